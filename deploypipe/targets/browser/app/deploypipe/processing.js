/** What the manifest says of images and classes, against the model; and the classes of an output. */
import { DeployError } from "./errors.js";
import { CHANNELS } from "./image.js";
import { describe, isFloat } from "./tensors.js";

/**
 * @typedef {import("./manifest.js").ImageInput} ImageInput
 * @typedef {import("./manifest.js").ClassOutput} ClassOutput
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {import("./tensors.js").Tensor} Tensor
 * @typedef {import("./tensors.js").TensorInfo} TensorInfo
 *
 * @typedef {{label: string, index: number, probability: number}} Class
 */

/**
 * Names the classes of a row of an output, the most probable first; of equals the first in order comes first.
 * @param {Tensor} output
 * @param {number} row
 * @param {ClassOutput} info
 * @returns {Class[]}
 */
export function classesOf(output, row, info) {
  const size = info.labels.length;
  if (output.shape.at(-1) !== size || !(Number.isInteger(row) && row >= 0 && row < output.data.length / size)) {
    throw new DeployError(
      `[${output.shape.join(",")}] has no row ${row} of ${size} classes`,
      "Give an output, and one of its rows.",
    );
  }
  const values = Array.from(output.data.subarray(row * size, (row + 1) * size), Number);
  const probabilities = info.softmax ? softmax(values) : values;
  const named = info.labels.map((label, index) => ({ label, index, probability: probabilities[index] }));
  const rank = (/** @type {Class} */ { probability }) => (Number.isNaN(probability) ? -1 : probability);
  return named.sort((one, other) => rank(other) - rank(one) || one.index - other.index);
}

/**
 * Checks that a model has what its processing names, in shapes that fit.
 * @param {Manifest} manifest
 */
export function checkProcessing(manifest) {
  for (const [name, image] of manifest.processing.inputs)
    checkImage(named(name, manifest.inputs, "input"), image, manifest);
  for (const [name, classes] of manifest.processing.outputs)
    checkClasses(named(name, manifest.outputs, "output"), classes);
}

/**
 * @param {string} name
 * @param {TensorInfo[]} infos
 * @param {string} side
 */
function named(name, infos, side) {
  const info = infos.find((each) => each.name === name);
  const known = infos
    .map((each) => each.name)
    .sort()
    .join(", ");
  if (!info) throw new DeployError(`The processing names an unknown ${side} '${name}'`, `Known are: ${known}.`);
  return info;
}

/**
 * @param {TensorInfo} info
 * @param {ImageInput} image
 * @param {Manifest} manifest
 */
function checkImage(info, image, manifest) {
  const channels = CHANNELS[image.color];
  const last = image.resize.at(-1);
  const wanted =
    image.layout === "NCHW" ? [1, channels, last?.height, last?.width] : [1, last?.height, last?.width, channels];
  const takes = (/** @type {number | string} */ axis, /** @type {number | undefined} */ size) => {
    const range = manifest.axes.get(String(axis));
    return (
      size === undefined ||
      axis === size ||
      (typeof axis === "string" && (!range || (range.min <= size && size <= range.max)))
    );
  };
  const values = image.mean.length === channels && image.std.length === channels;
  const fits =
    info.dtype === "float32" &&
    info.shape.length === 4 &&
    info.shape.every((axis, place) => takes(axis, wanted[place]));
  if (!values || !fits) {
    const shape = wanted.map((size) => size ?? "any").join(",");
    throw new DeployError(
      `The processing gives float32[${shape}] to ${describe(info)}`,
      "Correct its layout, color or resize.",
    );
  }
}

/**
 * @param {TensorInfo} info
 * @param {ClassOutput} classes
 */
function checkClasses(info, classes) {
  if (isFloat(info.dtype) && info.shape.at(-1) === classes.labels.length) return;
  throw new DeployError(
    `The processing has ${classes.labels.length} labels for ${describe(info)}`,
    "Give one label for each value of the last axis, which is a float of fixed size.",
  );
}

/** @param {number[]} values */
function softmax(values) {
  const largest = values.reduce((one, other) => Math.max(one, other), -Infinity);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((one, other) => one + other, 0);
  return powers.map((power) => power / sum);
}
