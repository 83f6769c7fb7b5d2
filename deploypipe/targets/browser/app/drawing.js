/** A drawing: strokes of points in a unit square, and the image of it that a model is given. */

/**
 * @typedef {{x: number, y: number}} Point 0 to 1 from the left and from the top.
 */

/** Side of the image that is given to the model, in pixels; its processing makes it smaller. */
const SIDE = 128;
/** How much of the square the strokes cover: the share of ink in the images that the models are trained on. */
const INK = 0.3;
const THINNEST = 0.16;
const THICKEST = 0.24;
/** A dot is not blown up to a blot. */
const LARGEST_SCALE = 6;

const easel = /** @type {OffscreenCanvasRenderingContext2D} */ (
  new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true })
);

export class Drawing {
  /** @param {Point[][]} [strokes] */
  constructor(strokes = []) {
    this.strokes = strokes;
  }

  get empty() {
    return !this.strokes.length;
  }

  /** Begins a stroke. @param {Point} point */
  begin(point) {
    this.strokes.push([point]);
  }

  /** Goes on with the last stroke. @param {Point} point */
  extend(point) {
    this.strokes[this.strokes.length - 1].push(point);
  }

  /**
   * Paints it as it was drawn.
   * @param {CanvasRenderingContext2D} context
   * @param {string} color
   */
  paint(context, color) {
    const side = context.canvas.width;
    context.clearRect(0, 0, side, side);
    context.strokeStyle = color;
    trace(context, this.strokes, (point) => ({ x: point.x * side, y: point.y * side }), 0.065 * side);
  }

  /**
   * Paints it as the models know digits: light on dark, as high as the square and in the middle of it, in a line so
   * thick that digits of long and of short lines have the same ink.
   * @returns {ImageData}
   */
  image() {
    const { place, width } = this.#fitted();
    easel.fillStyle = "black";
    easel.fillRect(0, 0, SIDE, SIDE);
    easel.strokeStyle = "white";
    trace(easel, this.strokes, place, width);
    return easel.getImageData(0, 0, SIDE, SIDE);
  }

  /** Where its points go, and how thick the line is, in pixels of the image. */
  #fitted() {
    const box = this.#box();
    const extent = Math.max(box.right - box.left, box.bottom - box.top, 1 / LARGEST_SCALE);
    const width = SIDE * thickness(this.#length() / extent);
    const scale = (SIDE - width) / extent;
    const middle = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
    const place = (/** @type {Point} */ { x, y }) => ({
      x: SIDE / 2 + (x - middle.x) * scale,
      y: SIDE / 2 + (y - middle.y) * scale,
    });
    return { place, width };
  }

  #box() {
    const [xs, ys] = [this.strokes.flat().map((point) => point.x), this.strokes.flat().map((point) => point.y)];
    return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
  }

  #length() {
    const steps = this.strokes.flatMap((stroke) => stroke.slice(1).map((to, index) => [stroke[index], to]));
    return steps.reduce((sum, [from, to]) => sum + Math.hypot(to.x - from.x, to.y - from.y), 0);
  }
}

/**
 * How thick a line must be for its ink, as a share of the square that it fills together with its thickness.
 * @param {number} length Of the line, in sizes of the drawing.
 */
function thickness(length) {
  const share = (1 - Math.sqrt(Math.max(1 - (4 * INK) / length, 0))) / 2;
  return Math.min(Math.max(share, THINNEST), THICKEST);
}

/**
 * Draws strokes as round lines, smooth through the middle of each step.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Point[][]} strokes
 * @param {(point: Point) => Point} place
 * @param {number} width
 */
function trace(context, strokes, place, width) {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  for (const stroke of strokes) {
    const points = stroke.map(place);
    context.moveTo(points[0].x, points[0].y);
    points.slice(1).forEach((to, index) => {
      const from = points[index];
      context.quadraticCurveTo(from.x, from.y, (from.x + to.x) / 2, (from.y + to.y) / 2);
    });
    context.lineTo(points[points.length - 1].x, points[points.length - 1].y);
  }
  context.stroke();
}
