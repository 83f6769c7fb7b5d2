/** Digits as strokes, for those who cannot or do not want to draw. */

/** @typedef {import("./drawing.js").Point} Point */

/** @param {...[number, number]} points @returns {Point[]} */
const line = (...points) => points.map(([x, y]) => ({ x, y }));

/**
 * A part of an ellipse; the angles are turns, clockwise from the right.
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {number} from
 * @param {number} to
 * @returns {Point[]}
 */
function arc(x, y, width, height, from, to) {
  const angles = Array.from({ length: 25 }, (_, step) => 2 * Math.PI * (from + ((to - from) * step) / 24));
  return angles.map((angle) => ({ x: x + width * Math.cos(angle), y: y + height * Math.sin(angle) }));
}

/** One digit after the other, each as a list of strokes. */
export const EXAMPLES = [
  [arc(0.5, 0.5, 0.2, 0.34, -0.25, 0.75)],
  [line([0.4, 0.28], [0.54, 0.16], [0.54, 0.84])],
  [[...arc(0.5, 0.34, 0.18, 0.18, -0.5, 0.1), ...line([0.3, 0.84], [0.72, 0.84])]],
  [[...arc(0.48, 0.32, 0.18, 0.16, -0.45, 0.25), ...arc(0.48, 0.66, 0.2, 0.18, -0.25, 0.45)]],
  [line([0.5, 0.16], [0.3, 0.58], [0.72, 0.58]), line([0.6, 0.4], [0.56, 0.84])],
  [[...line([0.68, 0.16], [0.36, 0.16], [0.33, 0.46]), ...arc(0.48, 0.62, 0.2, 0.21, -0.35, 0.4)]],
  [[...arc(0.58, 0.64, 0.24, 0.48, -0.3, -0.5), ...arc(0.5, 0.67, 0.16, 0.17, -0.5, 0.5)]],
  [line([0.3, 0.16], [0.7, 0.16], [0.46, 0.84]), line([0.38, 0.5], [0.7, 0.5])],
  [[...arc(0.5, 0.33, 0.14, 0.17, 0.25, -0.75), ...arc(0.5, 0.67, 0.14, 0.17, -0.25, 0.75)]],
  [[...arc(0.5, 0.34, 0.18, 0.18, 0, -1), ...line([0.68, 0.4], [0.6, 0.84])]],
];
