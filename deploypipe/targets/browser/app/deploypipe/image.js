/** From an image to a tensor, as deploypipe/processing.py does it: in double precision until the last step. */
import { DeployError } from "./errors.js";
import { elements } from "./tensors.js";

/**
 * @typedef {import("./manifest.js").ImageInput} ImageInput
 * @typedef {import("./tensors.js").Tensor} Tensor
 *
 * Bytes of rows from the top, pixels from the left, 1 (gray), 3 (RGB) or 4 (RGBA) each: an ImageData is one.
 * @typedef {{width: number, height: number, data: Uint8Array | Uint8ClampedArray}} Image
 *
 * One channel of an image.
 * @typedef {{width: number, height: number, values: Float64Array}} Plane
 *
 * What a new pixel takes of old ones: the first of them, and a weight for each.
 * @typedef {{first: number, weights: number[]}} Share
 */

export const CHANNELS = Object.freeze({ gray: 1, rgb: 3 });
/** ITU-R BT.601: how bright the eye finds red, green and blue. */
const LUMA = { red: 0.299, green: 0.587, blue: 0.114 };
const BRIGHTEST = 255;

/**
 * Makes the tensor that a model takes for an image.
 * @param {Image} image
 * @param {ImageInput} info
 * @returns {Tensor} float32[1,C,H,W] or float32[1,H,W,C].
 */
export function prepare(image, info) {
  const planes = coloured(image, info.color).map((plane) => info.resize.reduce(resized, plane));
  const { width, height } = planes[0];
  const first = info.layout === "NCHW";
  const data = new Float32Array(planes.length * width * height);
  planes.forEach(({ values }, channel) => {
    const [start, step] = first ? [channel * values.length, 1] : [channel, planes.length];
    for (let i = 0; i < values.length; i++)
      data[start + i * step] = (values[i] - info.mean[channel]) / info.std[channel];
  });
  const shape = first ? [1, planes.length, height, width] : [1, height, width, planes.length];
  return { dtype: "float32", shape, data };
}

/**
 * The channels that the model takes, each 0 to 1.
 * @param {Image} image
 * @param {"gray" | "rgb"} color
 * @returns {Plane[]}
 */
function coloured(image, color) {
  const channels = channelsOf(image);
  if (channels === 1) return Array(CHANNELS[color]).fill(channel(image, channels, 0));
  return color === "rgb" ? [0, 1, 2].map((index) => channel(image, channels, index)) : [brightness(image, channels)];
}

/** @param {Image} image */
function channelsOf({ width, height, data }) {
  const pixels = elements([width, height]);
  const channels = data.length / pixels;
  if (pixels > 0 && [1, 3, 4].includes(channels)) return channels;
  throw new DeployError(
    `The image is ${width} x ${height} with ${data.length} bytes`,
    "Give 1, 3 or 4 bytes for each pixel.",
  );
}

/**
 * @param {Image} image
 * @param {number} channels
 * @param {number} index
 * @returns {Plane}
 */
function channel({ width, height, data }, channels, index) {
  const values = new Float64Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = data[i * channels + index] / BRIGHTEST;
  return { width, height, values };
}

/**
 * @param {Image} image
 * @param {number} channels
 * @returns {Plane}
 */
function brightness({ width, height, data }, channels) {
  const values = new Float64Array(width * height);
  for (let i = 0, at = 0; i < values.length; i++, at += channels) {
    values[i] = (LUMA.red * data[at] + LUMA.green * data[at + 1] + LUMA.blue * data[at + 2]) / BRIGHTEST;
  }
  return { width, height, values };
}

/**
 * Rows first, then columns.
 * @param {Plane} plane
 * @param {{height: number, width: number, method: string}} step
 */
const resized = (plane, { height, width, method }) =>
  resizedColumns(resizedRows(plane, shares(height, plane.height, method)), shares(width, plane.width, method));

/**
 * @param {Plane} old
 * @param {Share[]} rows
 * @returns {Plane}
 */
function resizedRows({ width, values }, rows) {
  const made = new Float64Array(rows.length * width);
  rows.forEach(({ first, weights }, row) => {
    const to = row * width;
    weights.forEach((weight, index) => {
      const from = (first + index) * width;
      for (let x = 0; x < width; x++) made[to + x] += weight * values[from + x];
    });
  });
  return { width, height: rows.length, values: made };
}

/**
 * @param {Plane} old
 * @param {Share[]} columns
 * @returns {Plane}
 */
function resizedColumns({ width, height, values }, columns) {
  const made = new Float64Array(height * columns.length);
  columns.forEach(({ first, weights }, column) => {
    for (let row = 0; row < height; row++) {
      const from = row * width + first;
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * values[from + i];
      made[row * columns.length + column] = sum;
    }
  });
  return { width: columns.length, height, values: made };
}

/**
 * @param {number} size
 * @param {number} old
 * @param {string} method
 * @returns {Share[]}
 */
function shares(size, old, method) {
  const share = method === "area" ? area : bilinear;
  return Array.from({ length: size }, (_, index) => share(index, size, old));
}

/**
 * What a pixel covers of the old axis.
 * @param {number} index
 * @param {number} size
 * @param {number} old
 * @returns {Share}
 */
function area(index, size, old) {
  const [begin, end] = [(index * old) / size, ((index + 1) * old) / size];
  const first = Math.floor(begin);
  const weights = [];
  for (let i = first; i < end; i++) weights.push((Math.min(end, i + 1) - Math.max(begin, i)) / (old / size));
  return { first, weights };
}

/**
 * What lies at the centre of a pixel, between two old ones.
 * @param {number} index
 * @param {number} size
 * @param {number} old
 * @returns {Share}
 */
function bilinear(index, size, old) {
  const centre = Math.min(Math.max(((index + 0.5) * old) / size - 0.5, 0), old - 1);
  const first = Math.floor(centre);
  const share = centre - first;
  return { first, weights: share ? [1 - share, share] : [1] };
}
