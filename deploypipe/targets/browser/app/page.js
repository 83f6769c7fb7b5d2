/** The page: a bundle proves itself, and then guesses what is drawn. */
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { DeployError, open } from "./deploypipe.js";
import { Drawing } from "./drawing.js";
import { EXAMPLES } from "./examples.js";
import * as view from "./view.js";

const BUNDLE = "bundle";
/** The latency that is shown is the median of so many runs. */
const RECENT = 50;

/** @typedef {import("./deploypipe.js").Model} Model */

/**
 * Predicts drawings, never more than one at a time; those that come in between are left out.
 * @param {Model} model
 */
function predictor(model) {
  /** @type {number[]} */
  const times = [];
  /** @type {Drawing | null} */
  let next = null;
  let busy = false;

  async function predict(/** @type {Drawing} */ drawing) {
    const input = model.prepareImage(drawing.image());
    const start = performance.now();
    const outputs = await model.run(input);
    times.push(performance.now() - start);
    if (times.length > RECENT) times.shift();
    if (next?.empty) return;
    view.showPrediction(model.classes(outputs), times);
    view.showSeen(Object.values(input)[0]);
  }

  return async (/** @type {Drawing} */ drawing) => {
    next = drawing;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      if (!now.empty) await predict(now);
    }
    busy = false;
  };
}

/**
 * Draws what the pointer draws, on an empty pad where an example was shown.
 * @param {() => Drawing} begun The drawing that a stroke belongs to.
 * @param {(drawing: Drawing) => void} changed
 */
function listenToPad(begun, changed) {
  const { pad } = view;
  /** @type {Drawing} */
  let drawing;
  const place = (/** @type {PointerEvent} */ event) => {
    const box = pad.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  };
  pad.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    pad.setPointerCapture(event.pointerId);
    drawing = begun();
    drawing.begin(place(event));
    changed(drawing);
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) drawing.extend(place(each));
    changed(drawing);
  });
}

/** @param {Model} model */
function begin(model) {
  const labels = [...model.manifest.processing.outputs.values()].flatMap((output) => output.labels);
  const predict = predictor(model);
  let drawing = new Drawing();
  let example = -1;

  const show = (/** @type {Drawing} */ next) => {
    drawing = next;
    view.showDrawing(drawing);
    if (drawing.empty) view.showNothing(labels);
    predict(drawing).catch((error) => view.showTrouble("The run failed", ...sentences(error)));
  };
  const begun = () => (EXAMPLES.includes(drawing.strokes) ? new Drawing() : drawing);
  listenToPad(begun, show);
  view.clearButton.addEventListener("click", () => show(new Drawing()));
  view.exampleButton.addEventListener("click", () => {
    example = (example + 1) % EXAMPLES.length;
    show(new Drawing(EXAMPLES[example]));
  });
  view.ready(labels);
}

/**
 * What is wrong, and what to do.
 * @param {unknown} error
 * @returns {[string[], string]}
 */
const sentences = (error) => (error instanceof DeployError ? [[error.message], error.cure] : [[String(error)], ""]);

/** @param {unknown} error */
function refuse(error) {
  view.badge(false, "Not verified");
  view.showTrouble("The bundle was refused", ...sentences(error));
}

async function start() {
  const model = await open(BUNDLE, { ort });
  view.showAbout(model.manifest, ort.env.versions.web);
  const verdict = await model.verify();
  view.showVerdict(verdict);
  if (verdict.passed) begin(model);
}

start().catch(refuse);
