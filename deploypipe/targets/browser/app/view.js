/** What the page shows, and where. */
import { shortest } from "./deploypipe/parity.js";

/**
 * @typedef {import("./deploypipe.js").Class} Class
 * @typedef {import("./deploypipe.js").Manifest} Manifest
 * @typedef {import("./deploypipe.js").Tensor} Tensor
 * @typedef {import("./deploypipe.js").Verdict} Verdict
 * @typedef {import("./drawing.js").Drawing} Drawing
 */

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id);

export const pad = /** @type {HTMLCanvasElement} */ (element("pad"));
export const clearButton = /** @type {HTMLButtonElement} */ (element("clear"));
export const exampleButton = /** @type {HTMLButtonElement} */ (element("example"));

/**
 * @param {string} name
 * @param {string} text
 * @param {string} [kind] Its class.
 */
function made(name, text, kind = "") {
  return Object.assign(document.createElement(name), { textContent: text, className: kind });
}

/** @param {Manifest} manifest @param {string} version */
export function showAbout(manifest, version) {
  const bytes = manifest.sizes.get(manifest.artifact) ?? 0;
  const parts = [
    manifest.model,
    manifest.request.precision,
    `${(bytes / 1e6).toFixed(1)} MB`,
    `onnxruntime-web ${version}`,
  ];
  element("about").textContent = parts.join(" · ");
}

/** @param {Verdict} verdict */
export function showVerdict(verdict) {
  const passed = verdict.checks.filter((check) => check.passed).length;
  badge(verdict.passed, verdict.passed ? `Verified: ${passed} of ${verdict.checks.length} checks` : "Verdict: failed");
  element("verdict").textContent = JSON.stringify(verdict, null, 2);
  element("checks").replaceChildren(...verdict.checks.map(checkRow));
  if (!verdict.passed) {
    showTrouble("The bundle failed its verdict on this machine", verdict.failures, "Nothing is predicted with it.");
  }
}

/** @param {Verdict["checks"][number]} check */
function checkRow(check) {
  const value = check.value === null ? "not finite" : shortest(check.value);
  const cells = [check.output, check.what, check.metric, value, shortest(check.limit), check.passed ? "yes" : "no"];
  const row = document.createElement("tr");
  row.append(...cells.map((text) => made("td", text)));
  return row;
}

/** @param {boolean} good @param {string} text */
export function badge(good, text) {
  element("badge").textContent = text;
  element("badge").classList.add(good ? "good" : "bad");
}

/** @param {string} title @param {string[]} sentences @param {string} cure */
export function showTrouble(title, sentences, cure) {
  document.body.dataset.state = "trouble";
  element("trouble-title").textContent = title;
  element("trouble-list").replaceChildren(...sentences.map((sentence) => made("li", sentence)));
  element("trouble-cure").textContent = cure;
  element("trouble").hidden = false;
  element("columns").inert = true;
}

/** @param {string[]} labels Of the classes. */
export function ready(labels) {
  showNothing(labels);
  element("columns").inert = false;
  document.body.dataset.state = "ready";
}

/** @param {Drawing} drawing */
export function showDrawing(drawing) {
  const context = /** @type {CanvasRenderingContext2D} */ (pad.getContext("2d"));
  drawing.paint(context, getComputedStyle(pad).color);
  element("hint").hidden = !drawing.empty;
}

/** @param {Class[]} classes The most probable first. @param {number[]} times Of the recent runs, in ms. */
export function showPrediction(classes, times) {
  const [best] = classes;
  element("digit").textContent = best.label;
  element("digit").classList.remove("none");
  element("certainty").textContent = `${percent(best.probability)} certain`;
  element("latency").textContent = `${median(times).toFixed(2)} ms per run`;
  element("runs").textContent = `median of the last ${times.length}`;
  const inOrder = [...classes].sort((one, other) => one.index - other.index);
  element("bars").replaceChildren(...inOrder.map((each) => bar(each, each.index === best.index)));
}

/** @param {string[]} labels Of the classes. */
export function showNothing(labels) {
  element("digit").textContent = "?";
  element("digit").classList.add("none");
  element("certainty").textContent = "nothing drawn yet";
  element("bars").replaceChildren(...labels.map((label, index) => bar({ label, index, probability: 0 }, false)));
  const seen = element("seen");
  seen.getContext("2d").clearRect(0, 0, seen.width, seen.height);
}

/** @param {Class} each @param {boolean} best */
function bar(each, best) {
  const item = made("li", "", best ? "best" : "");
  const fill = made("span", "", "fill");
  fill.style.setProperty("--share", String(each.probability));
  item.append(
    made("span", each.label, "name"),
    made("span", "", "track"),
    made("span", percent(each.probability), "share"),
  );
  item.children[1].append(fill);
  return item;
}

/** Shows the first channel of an image tensor of [1,C,H,W]. @param {Tensor} tensor */
export function showSeen({ shape, data }) {
  const [height, width] = shape.slice(2);
  const seen = element("seen");
  Object.assign(seen, { width, height });
  const pixels = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const light = Math.round(255 * Number(data[pixel]));
    pixels.data.set([light, light, light, 255], 4 * pixel);
  }
  seen.getContext("2d").putImageData(pixels, 0, 0);
}

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 ? 0 : 1)} %`;

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
