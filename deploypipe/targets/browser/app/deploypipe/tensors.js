/** Tensors: names, dtypes and shapes, and the checks that an input must pass. */
import { DeployError } from "./errors.js";

/**
 * @typedef {Float32Array | Float64Array | Int8Array | Uint8Array | Int32Array | BigInt64Array} Data
 *
 * A dense row-major tensor. The dtype of an input may be left out: it is that of its data.
 * @typedef {{dtype: string, shape: number[], data: Data}} Tensor
 *
 * An input or output as the manifest has it; a dynamic axis is a name.
 * @typedef {{name: string, dtype: string, shape: (number | string)[]}} TensorInfo
 *
 * The sizes that a dynamic axis takes.
 * @typedef {{min: number, max: number}} AxisRange
 */

/** The array that holds a dtype, by numpy's name of it. */
export const ARRAYS = Object.freeze({
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
});

/**
 * Writes an info as one would: `image float32[batch,1,8,8]`.
 * @param {TensorInfo} info
 */
export const describe = (info) => `${info.name} ${info.dtype}[${info.shape.join(",")}]`;

/** @param {string} dtype */
export const isFloat = (dtype) => dtype === "float32" || dtype === "float64";

/**
 * Number of elements, or NaN where it cannot be counted exactly.
 * @param {number[]} shape
 */
export function elements(shape) {
  const count = shape.reduce((product, size) => product * size, 1);
  return Number.isSafeInteger(count) && shape.every((size) => size >= 0) ? count : NaN;
}

/**
 * Returns the inputs in the order of `infos`, each with its dtype.
 * @param {TensorInfo[]} infos
 * @param {Map<string, AxisRange>} axes
 * @param {Record<string, {dtype?: string, shape: number[], data: Data}>} given
 * @returns {Tensor[]}
 */
export function checkInputs(infos, axes, given) {
  const names = Object.keys(given).sort();
  if (
    names.join("\0") !==
    infos
      .map((info) => info.name)
      .sort()
      .join("\0")
  ) {
    const wanted = infos.map(describe).join(", ");
    throw new DeployError(`The inputs are ${names.join(", ") || "nothing"}`, `Give exactly: ${wanted}.`);
  }
  const tensors = infos.map((info) => ({ ...given[info.name], dtype: dtypeOf(info.name, given[info.name]) }));
  /** @type {Map<string, number>} */
  const sizes = new Map();
  infos.forEach((info, index) => checkOne(info, axes, tensors[index], sizes));
  return tensors;
}

/**
 * Refuses NaN and infinity, for models with an op that is undefined there.
 * @param {TensorInfo[]} infos
 * @param {Tensor[]} tensors
 */
export function refuseNonFinite(infos, tensors) {
  infos.forEach((info, index) => {
    const { dtype, data } = tensors[index];
    if (isFloat(dtype) && !(/** @type {Float32Array} */ (data).every(Number.isFinite))) {
      throw new DeployError(
        `Input '${info.name}' holds NaN or infinity, for which an op of this model is undefined`,
        "Clean the data before it reaches the model.",
      );
    }
  });
}

/**
 * The dtype that is stated, or that of the array.
 * @param {string} name
 * @param {{dtype?: string, shape: number[], data: Data}} tensor
 */
function dtypeOf(name, tensor) {
  const found = Object.entries(ARRAYS).filter(([, array]) => tensor?.data instanceof array);
  const dtype = tensor?.dtype ?? found[0]?.[0];
  const fits = found.some(([known]) => known === dtype) && Array.isArray(tensor.shape);
  if (!fits || elements(tensor.shape) !== tensor.data.length) {
    throw new DeployError(
      `Input '${name}' is no tensor`,
      "Give {shape, data}: sizes, and a typed array of as many elements.",
    );
  }
  return dtype;
}

/**
 * @param {TensorInfo} info
 * @param {Map<string, AxisRange>} axes
 * @param {Tensor} tensor
 * @param {Map<string, number>} sizes Of the dynamic axes that were met before.
 */
function checkOne(info, axes, tensor, sizes) {
  const wrong = `Input '${info.name}' is ${tensor.dtype}[${tensor.shape.join(",")}]`;
  if (tensor.dtype !== info.dtype || tensor.shape.length !== info.shape.length) {
    throw new DeployError(wrong, `It must be ${describe(info)}.`);
  }
  info.shape.forEach((wanted, axis) => {
    const rule = broken(info, wanted, tensor.shape[axis], axes, sizes);
    if (rule) throw new DeployError(wrong, `It must be ${rule}.`);
  });
}

/**
 * The rule that a size breaks, or "".
 * @param {TensorInfo} info
 * @param {number | string} wanted
 * @param {number} size
 * @param {Map<string, AxisRange>} axes
 * @param {Map<string, number>} sizes
 */
function broken(info, wanted, size, axes, sizes) {
  if (typeof wanted === "number") return size === wanted ? "" : describe(info);
  const range = axes.get(wanted);
  if (!range) return "";
  if (!sizes.has(wanted)) sizes.set(wanted, size);
  const fits = size === sizes.get(wanted) && range.min <= size && size <= range.max;
  return fits ? "" : `${describe(info)} with ${wanted} ${range.min} to ${range.max}`;
}
