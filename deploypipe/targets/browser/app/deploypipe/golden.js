/** Golden vectors: a safetensors file with tensors `<case>.inputs.<name>` and `<case>.outputs.<name>`. */
import { DeployError } from "./errors.js";
import { ARRAYS, elements } from "./tensors.js";

/**
 * @typedef {import("./tensors.js").Tensor} Tensor
 * @typedef {import("./tensors.js").TensorInfo} TensorInfo
 * @typedef {{inputs: Record<string, Tensor>, outputs: Record<string, Tensor>}} Case
 */

export const GOLDEN = "golden.safetensors";

const DTYPES = /** @type {Record<string, keyof ARRAYS>} */ ({
  F32: "float32",
  F64: "float64",
  I8: "int8",
  U8: "uint8",
  I32: "int32",
  I64: "int64",
  BOOL: "bool",
});
const LENGTH_BYTES = 8;
const LONGEST_HEADER = 100_000_000;

/**
 * Reads the golden vectors of these inputs and outputs.
 * @param {Uint8Array} bytes
 * @param {TensorInfo[]} inputs
 * @param {TensorInfo[]} outputs
 * @returns {Case[]}
 */
export function readCases(bytes, inputs, outputs) {
  try {
    const tensors = readTensors(bytes);
    const count = 1 + [...tensors.keys()].reduce((last, key) => Math.max(last, caseNumber(key)), -1);
    const cases = [];
    for (let number = 0; number < count; number++) {
      cases.push({
        inputs: side(tensors, number, "inputs", inputs),
        outputs: side(tensors, number, "outputs", outputs),
      });
    }
    return cases;
  } catch (error) {
    if (!(error instanceof Flaw)) throw error;
    throw new DeployError(`${GOLDEN} holds no golden vectors of it: ${error.message}`, "Build the bundle again.");
  }
}

/** What is wrong with the file, before it is put in a sentence. */
class Flaw extends Error {}

/** @param {string} key */
function caseNumber(key) {
  const [number] = key.split(".");
  if (!/^\d{1,9}$/.test(number)) throw new Flaw(`'${key}' is not named after a case`);
  return Number(number);
}

/**
 * @param {Map<string, Tensor>} tensors
 * @param {number} number
 * @param {string} name
 * @param {TensorInfo[]} infos
 */
function side(tensors, number, name, infos) {
  return Object.fromEntries(infos.map((info) => [info.name, found(tensors, `${number}.${name}.${info.name}`)]));
}

/**
 * @param {Map<string, Tensor>} tensors
 * @param {string} key
 */
function found(tensors, key) {
  const tensor = tensors.get(key);
  if (!tensor) throw new Flaw(`'${key}' is missing`);
  return tensor;
}

/**
 * Reads a safetensors file: 8 bytes with the length of the header, the header as JSON, the data.
 * @param {Uint8Array} bytes
 * @returns {Map<string, Tensor>}
 */
export function readTensors(bytes) {
  const start = LENGTH_BYTES + headerLength(bytes);
  const entries = Object.entries(headerOf(bytes.subarray(LENGTH_BYTES, start))).filter(
    ([key]) => key !== "__metadata__",
  );
  const spans = entries.map(([key, entry]) => spanOf(key, entry));
  checkCover(spans, bytes.length - start);
  return new Map(spans.map((span) => [span.key, tensorOf(span, bytes.subarray(start + span.begin, start + span.end))]));
}

/** @param {Uint8Array} bytes */
function headerLength(bytes) {
  if (bytes.length < LENGTH_BYTES) throw new Flaw("it is too short for a header");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > LONGEST_HEADER) throw new Flaw("its header is too large");
  if (Number(length) > bytes.length - LENGTH_BYTES) throw new Flaw("its header is longer than the file");
  return Number(length);
}

/**
 * @param {Uint8Array} bytes
 * @returns {Record<string, any>}
 */
function headerOf(bytes) {
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Flaw("its header is not JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) throw new Flaw("its header is no table");
  return header;
}

/**
 * Where a tensor lies, after checking that its size is that of its dtype and shape.
 * @param {string} key
 * @param {any} entry
 */
function spanOf(key, entry) {
  const [begin, end] = sizes(key, entry?.data_offsets);
  const shape = sizes(key, entry?.shape);
  const dtype = Object.hasOwn(DTYPES, entry.dtype) ? DTYPES[entry.dtype] : undefined;
  if (!dtype) throw new Flaw(`'${key}' has the dtype ${entry.dtype}`);
  if (elements(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT !== end - begin) {
    throw new Flaw(`'${key}' has another size than its shape says`);
  }
  return { key, dtype, shape, begin, end };
}

/**
 * @param {string} key
 * @param {unknown} value
 * @returns {number[]}
 */
function sizes(key, value) {
  if (Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0)) return value;
  throw new Flaw(`'${key}' has no sizes that make sense`);
}

/**
 * The tensors must follow each other without a gap, up to the end of the file.
 * @param {{key: string, begin: number, end: number}[]} spans
 * @param {number} length
 */
function checkCover(spans, length) {
  let place = 0;
  for (const { key, begin, end } of [...spans].sort((one, other) => one.begin - other.begin || one.end - other.end)) {
    if (begin !== place) throw new Flaw(`'${key}' does not begin where the tensor before it ends`);
    place = end;
  }
  if (place !== length || !spans.length) throw new Flaw("its tensors are not all of its data");
}

/**
 * @param {{dtype: keyof ARRAYS, shape: number[]}} span
 * @param {Uint8Array} bytes
 * @returns {Tensor}
 */
function tensorOf({ dtype, shape }, bytes) {
  return { dtype, shape, data: new ARRAYS[dtype](bytes.slice().buffer) };
}
