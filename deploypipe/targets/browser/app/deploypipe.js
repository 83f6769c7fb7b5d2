/**
 * A bundle of deploypipe in a browser, over onnxruntime-web: open it, let it prove itself on this machine, run it.
 *
 *     import * as ort from "onnxruntime-web/wasm";
 *     import { open } from "./deploypipe.js";
 *
 *     const model = await open("bundle", { ort });
 *     const verdict = await model.verify();
 *     const outputs = await model.runImage(context.getImageData(0, 0, 256, 256));
 *     const [best] = model.classes(outputs);
 */
import { DeployError, firstLine } from "./deploypipe/errors.js";
import { GOLDEN, readCases } from "./deploypipe/golden.js";
import { prepare } from "./deploypipe/image.js";
import { check } from "./deploypipe/integrity.js";
import { compare, describeCheck } from "./deploypipe/parity.js";
import { checkProcessing, classesOf } from "./deploypipe/processing.js";
import { openSource } from "./deploypipe/sources.js";
import { ARRAYS, checkInputs, describe, refuseNonFinite } from "./deploypipe/tensors.js";

export { DeployError };

/**
 * @typedef {import("./deploypipe/golden.js").Case} Case
 * @typedef {import("./deploypipe/manifest.js").Manifest} Manifest
 * @typedef {import("./deploypipe/parity.js").Check} Check
 * @typedef {import("./deploypipe/processing.js").Class} Class
 * @typedef {import("./deploypipe/image.js").Image} Image
 * @typedef {import("./deploypipe/tensors.js").Data} Data
 * @typedef {import("./deploypipe/tensors.js").Tensor} Tensor
 *
 * @typedef {{passed: boolean, checks: Check[], failures: string[]}} Verdict
 *
 * @typedef {object} Options
 * @property {any} ort The module onnxruntime-web, or onnxruntime-web/wasm.
 * @property {number} [maxBytes] A bundle of more bytes, unpacked, is refused; 1 GiB unless given.
 * @property {number} [threads] Of one run; one unless given. More need a page that is cross-origin isolated.
 */

const RUNTIME = "onnxruntime";
const GIBIBYTE = 2 ** 30;

/**
 * Checks every file of a bundle against its manifest, then loads it.
 * @param {string | URL | Blob | ArrayBuffer | Uint8Array} source URL of its folder or of its zip, or the zip itself.
 * @param {Options} options
 * @returns {Promise<Model>}
 */
export async function open(source, { ort, maxBytes = GIBIBYTE, threads = 1 }) {
  const { manifest, files } = await check(await openSource(source, maxBytes), maxBytes);
  checkHost(manifest, ort);
  checkProcessing(manifest);
  ort.env.wasm.numThreads = threads;
  const session = await load(ort, manifest.artifact, files.get(manifest.artifact));
  return new Model(ort, manifest, session, files.get(GOLDEN));
}

/** A bundle that is loaded and ready to run. */
export class Model {
  #ort;
  #session;
  #golden;
  /** The run before the next one: one session does not run twice at a time. @type {Promise<unknown>} */
  #last = Promise.resolve();

  /**
   * @param {any} ort
   * @param {Manifest} manifest
   * @param {any} session
   * @param {Uint8Array | undefined} golden
   */
  constructor(ort, manifest, session, golden) {
    this.#ort = ort;
    this.#session = session;
    this.#golden = golden;
    this.manifest = manifest;
  }

  /**
   * Runs the golden vectors and judges the outputs by the limits in the manifest.
   * @returns {Promise<Verdict>} It says what is wrong; only a bundle whose golden vectors cannot be read is an error.
   */
  async verify() {
    const { inputs, outputs } = this.manifest;
    const cases = readCases(this.#golden ?? new Uint8Array(), inputs, outputs);
    try {
      const checks = [];
      for (const each of cases) checks.push(...(await this.#judge(each)));
      const failures = checks.filter((each) => !each.passed).map(describeCheck);
      return { passed: !failures.length, checks, failures };
    } catch (error) {
      return {
        passed: false,
        checks: [],
        failures: [error instanceof DeployError ? error.describe() : firstLine(error)],
      };
    }
  }

  /**
   * Runs the model once.
   * @param {Record<string, {dtype?: string, shape: number[], data: Data}>} inputs By the names of its inputs.
   * @returns {Promise<Record<string, Tensor>>} By the names of its outputs.
   */
  async run(inputs) {
    const session = this.#session;
    if (!session) throw new DeployError("The model is closed", "Open the bundle again.");
    const tensors = checkInputs(this.manifest.inputs, this.manifest.axes, inputs);
    if (this.manifest.finite_inputs) refuseNonFinite(this.manifest.inputs, tensors);
    const result = this.#last.then(() => this.#execute(session, tensors));
    this.#last = result.catch(() => {});
    return result;
  }

  /**
   * Prepares an image as the manifest says, and runs the model on it; its one input is an image.
   * @param {Image} image An ImageData, or any pixels of 1, 3 or 4 bytes.
   */
  async runImage(image) {
    return this.run(this.prepareImage(image));
  }

  /**
   * What `runImage` gives to the model.
   * @param {Image} image
   * @returns {Record<string, Tensor>}
   */
  prepareImage(image) {
    const [input, ...others] = this.manifest.inputs;
    const info = this.manifest.processing.inputs.get(input.name);
    if (!info || others.length) {
      throw new DeployError(
        `The manifest does not say how an image becomes the inputs of ${this.manifest.model}`,
        "Use run.",
      );
    }
    return { [input.name]: prepare(image, info) };
  }

  /**
   * The classes of one row of an output, the most probable first.
   * @param {Record<string, Tensor>} outputs What a run gave.
   * @param {{output?: string, row?: number}} [which] The first output that has classes, and row 0.
   * @returns {Class[]}
   */
  classes(outputs, { output = [...this.manifest.processing.outputs.keys()][0], row = 0 } = {}) {
    const info = this.manifest.processing.outputs.get(output);
    if (!info)
      throw new DeployError(
        `The manifest does not name classes of ${output ?? this.manifest.model}`,
        "Use the output as it is.",
      );
    if (!Object.hasOwn(outputs, output))
      throw new DeployError(`There is no output '${output}'`, "Give what a run of this model gave.");
    return classesOf(outputs[output], row, info);
  }

  /** Releases what the runtime holds. */
  async close() {
    const session = this.#session;
    this.#session = null;
    await this.#last;
    await session?.release();
  }

  /** @param {Case} golden */
  async #judge(golden) {
    const outputs = await this.run(golden.inputs);
    const what = `without op library, ${this.#sizes(golden)}`;
    const { limits } = this.manifest;
    return this.manifest.outputs.map(({ name }) => compare(what, name, outputs[name], golden.outputs[name], limits));
  }

  /**
   * Names the sizes of a case: `batch=5`.
   * @param {Case} golden
   */
  #sizes(golden) {
    const sizes = new Map();
    for (const { name, shape } of this.manifest.inputs) {
      shape.forEach((axis, place) => typeof axis === "string" && sizes.set(axis, golden.inputs[name].shape[place]));
    }
    return [...sizes].map(([axis, size]) => `${axis}=${size}`).join(", ") || "fixed size";
  }

  /**
   * @param {any} session
   * @param {Tensor[]} tensors In the order of the inputs.
   * @returns {Promise<Record<string, Tensor>>}
   */
  async #execute(session, tensors) {
    const { inputNames, outputNames } = session;
    const { artifact, inputs, outputs } = this.manifest;
    if (inputNames.length !== inputs.length || outputNames.length !== outputs.length) {
      throw new DeployError(
        `${artifact} has other inputs or outputs than its manifest says`,
        "Build the bundle again.",
      );
    }
    const feeds = tensors.map(({ dtype, shape, data }, index) => [
      inputNames[index],
      new this.#ort.Tensor(dtype, data, shape),
    ]);
    const results = await ran(session, Object.fromEntries(feeds));
    return Object.fromEntries(outputs.map(({ name }, index) => [name, plain(results[outputNames[index]])]));
  }
}

/**
 * @param {any} session
 * @param {Record<string, any>} feeds
 */
async function ran(session, feeds) {
  try {
    return await session.run(feeds);
  } catch (error) {
    throw new DeployError(`onnxruntime-web cannot run the model: ${firstLine(error)}`, "Build the bundle again.");
  }
}

/**
 * @param {any} tensor
 * @returns {Tensor}
 */
const plain = (tensor) => ({ dtype: tensor.type, shape: [...tensor.dims], data: tensor.data });

/**
 * @param {Manifest} manifest
 * @param {any} ort
 */
function checkHost({ runtime, inputs, outputs }, ort) {
  if (runtime.name !== RUNTIME) {
    throw new DeployError(
      `This bundle is for ${runtime.name}; in a browser runs ${RUNTIME}`,
      "Build it with `--target browser`.",
    );
  }
  const found = ort.env.versions.web;
  if (older(found, runtime.min_version)) {
    throw new DeployError(
      `The bundle needs onnxruntime ${runtime.min_version}; ${found} is installed`,
      "Install a newer one.",
    );
  }
  const strange = [...inputs, ...outputs].find((info) => !Object.hasOwn(ARRAYS, info.dtype));
  if (strange)
    throw new DeployError(
      `The dtype of ${describe(strange)} has no array in JavaScript`,
      "Let the model take and give float32.",
    );
}

/**
 * @param {string} found
 * @param {string} wanted
 */
function older(found, wanted) {
  const [here, there] = [found, wanted].map((version) => version.split(".").map((part) => parseInt(part, 10) || 0));
  const place = there.findIndex((part, index) => part !== (here[index] ?? 0));
  return place >= 0 && (here[place] ?? 0) < there[place];
}

/**
 * @param {any} ort
 * @param {string} name
 * @param {Uint8Array | undefined} bytes
 */
async function load(ort, name, bytes) {
  try {
    return await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new DeployError(
      `onnxruntime-web cannot load ${name}: ${firstLine(error)}`,
      "Build the bundle with `--target browser`.",
    );
  }
}
