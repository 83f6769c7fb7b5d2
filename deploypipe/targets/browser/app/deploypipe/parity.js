/** How close an output is to its reference: the metrics and words of deploypipe/parity.py. */
import { isFloat } from "./tensors.js";

/**
 * @typedef {import("./tensors.js").Tensor} Tensor
 * @typedef {{what: string, output: string, metric: string, value: number | null, limit: number, passed: boolean}} Check
 * @typedef {{normalized_error: number, unequal_share: number}} Limits
 */

/**
 * RMS of the difference over the standard deviation of the reference; 0 is equal.
 *
 * A constant reference is measured against its magnitude, and a zero reference absolutely. Non-finite values must sit
 * at the same places, else the error is infinite.
 * @param {ArrayLike<number>} output
 * @param {ArrayLike<number>} reference
 */
export function normalizedError(output, reference) {
  /** @type {number[]} */
  const ref = [];
  /** @type {number[]} */
  const out = [];
  for (let i = 0; i < reference.length; i++) {
    if (!Number.isFinite(reference[i])) {
      if (!Object.is(output[i], reference[i])) return Infinity;
    } else if (Number.isFinite(output[i])) {
      ref.push(reference[i]);
      out.push(output[i]);
    } else return Infinity;
  }
  if (!ref.length) return 0;
  const centre = mean(ref, (value) => value);
  const spread = Math.sqrt(mean(ref, (value) => (value - centre) ** 2));
  const scale = spread || Math.sqrt(mean(ref, (value) => value ** 2)) || 1;
  return Math.sqrt(mean(ref, (value, i) => (out[i] - value) ** 2)) / scale;
}

/**
 * Share of the elements that differ, 0 to 1.
 * @param {ArrayLike<unknown>} output
 * @param {ArrayLike<unknown>} reference
 */
export function unequalShare(output, reference) {
  let unequal = 0;
  for (let i = 0; i < reference.length; i++) unequal += Number(output[i] !== reference[i]);
  return reference.length ? unequal / reference.length : 0;
}

/**
 * Compares an output with its golden vector.
 * @param {string} what
 * @param {string} name
 * @param {Tensor} output
 * @param {Tensor} expected
 * @param {Limits} limits
 * @returns {Check}
 */
export function compare(what, name, output, expected, limits) {
  const metric = isFloat(expected.dtype) ? "normalized_error" : "unequal_share";
  const distance = isFloat(expected.dtype) ? normalizedError : unequalShare;
  const same = output.dtype === expected.dtype && output.shape.join() === expected.shape.join();
  const value = same ? distance(/** @type {any} */ (output.data), /** @type {any} */ (expected.data)) : Infinity;
  const form = same ? what : `${what}, ${kind(output)}, not ${kind(expected)}`;
  return check(form, name, metric, value, limits[metric]);
}

/**
 * Says a finding as a part of a sentence.
 * @param {Check} check
 */
export function describeCheck(check) {
  const value = check.value === null ? "not finite" : shortest(check.value);
  return `${check.output}: ${check.metric} ${value}, limit ${shortest(check.limit)} (${check.what})`;
}

/**
 * Writes a number as Python's format `.3g` does.
 * @param {number} value
 */
export function shortest(value) {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits, power] = threeDigits(value).split("e");
  const exponent = Number(power);
  const plain = exponent >= -4 && exponent < 3;
  const text = plain ? Number(`${digits}e${power}`).toFixed(2 - exponent) : digits;
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return plain ? short : `${short}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/**
 * A number with three digits as `d.dde±d`, ties to even as in Python; toExponential rounds them up.
 * @param {number} value
 */
function threeDigits(value) {
  const [digits, power] = value.toExponential(100).split("e");
  const [, kept, rest] = /** @type {RegExpMatchArray} */ (digits.match(/^(-?\d\.\d\d)(\d*)$/));
  const down = /^50*$/.test(rest) && Number(kept.slice(-1)) % 2 === 0;
  return down ? `${kept}e${power}` : value.toExponential(2);
}

/**
 * @param {string} what
 * @param {string} output
 * @param {string} metric
 * @param {number} value
 * @param {number} limit
 * @returns {Check}
 */
function check(what, output, metric, value, limit) {
  const finite = Number.isFinite(value);
  return { what, output, metric, value: finite ? value : null, limit, passed: finite && value <= limit };
}

/** @param {Tensor} tensor */
const kind = (tensor) => `${tensor.dtype}[${tensor.shape.join(", ")}]`;

/**
 * @param {number[]} values
 * @param {(value: number, index: number) => number} of
 */
function mean(values, of) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += of(values[i], i);
  return sum / values.length;
}
