/** The zip of a bundle: its list of entries, and the bytes of one of them. */
import { DeployError } from "./errors.js";
import { readUpTo } from "./limited.js";

const CURE = "Build the bundle again, or get an undamaged copy.";
const DISTRUST = "Do not trust this bundle.";
const REWRITE = "Write it with `deploypipe zip`.";
const MOST_ENTRIES = 10_000;
const LARGEST_TABLE = 4_000_000;
const END = { signature: 0x06054b50, bytes: 22 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const LOCAL = { signature: 0x04034b50, bytes: 30 };
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** The kind of extra field that may hold other sizes than those that are read here. */
const ZIP64 = 1;
const FILE_TYPE = 0xf000;
/** Types of a file in a zip: not said, a file, a folder. */
const KNOWN_TYPES = [0, 0x8000, 0x4000];

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {number} flags
 * @property {number} method How it is packed.
 * @property {number} packed Bytes in the zip.
 * @property {number} size Bytes, unpacked.
 * @property {number} type Of file.
 * @property {number} offset Of its local header.
 */

/**
 * Lists the files of a zip; folders have no entry of their own here.
 * @param {Uint8Array} bytes
 * @param {string} bundle How it is called in errors.
 * @returns {Map<string, Entry>}
 */
export function listZip(bytes, bundle) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { count, start, end } = readEnd(view, bundle);
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  let found = 0;
  for (let place = start; place < end; found++) {
    const { entry, next } = readEntry(view, bytes.subarray(0, end), place, bundle);
    place = next;
    checkEntry(entry, bundle);
    if (entries.has(entry.name)) throw new DeployError(`${bundle} holds '${entry.name}' twice`, DISTRUST);
    if (!entry.name.endsWith("/") || entry.size) entries.set(entry.name, entry);
  }
  if (found !== count) throw broken(bundle, `it has ${found} entries instead of ${count}`);
  return entries;
}

/**
 * Unpacks an entry.
 * @param {Uint8Array} bytes
 * @param {Entry} entry
 * @param {string} bundle
 * @returns {Promise<{bytes: Uint8Array, length: number}>} What came, and how much: more than `entry.size` is not read.
 */
export async function readZipEntry(bytes, entry, bundle) {
  const packed = packedBytes(bytes, entry, bundle);
  if (entry.method === STORED) return { bytes: packed, length: packed.length };
  try {
    const stream = new Blob([/** @type {BlobPart} */ (packed)]).stream();
    return await readUpTo(stream.pipeThrough(new DecompressionStream("deflate-raw")), entry.size);
  } catch {
    throw broken(bundle, `${entry.name} cannot be unpacked`);
  }
}

/**
 * How many entries there are, and where their list begins and ends. It must be the last thing in the file, without a
 * comment and without zip64, so that every reader finds the same one.
 * @param {DataView} view
 * @param {string} bundle
 */
function readEnd(view, bundle) {
  const end = view.byteLength - END.bytes;
  if (end < 0 || view.getUint32(end, true) !== END.signature) throw broken(bundle, "it does not end as one");
  const [count, bytes, start] = [
    view.getUint16(end + 10, true),
    view.getUint32(end + 12, true),
    view.getUint32(end + 16, true),
  ];
  if (count > MOST_ENTRIES || bytes > LARGEST_TABLE)
    throw new DeployError(`${bundle} has ${count} entries; ${MOST_ENTRIES} are the most`, DISTRUST);
  if (start + bytes !== end || view.getUint16(end + 20, true)) throw broken(bundle, "it holds more than its entries");
  return { count, start, end };
}

/**
 * @param {Entry} entry
 * @param {string} bundle
 */
function checkEntry({ name, type, flags, method }, bundle) {
  if (!KNOWN_TYPES.includes(type)) throw new DeployError(`'${name}' in ${bundle} is a link`, DISTRUST);
  if (flags & ENCRYPTED || (method !== STORED && method !== DEFLATED)) {
    throw new DeployError(`'${name}' in ${bundle} is neither stored nor deflated`, REWRITE);
  }
}

/**
 * @param {DataView} view
 * @param {Uint8Array} bytes Up to the end of the list.
 * @param {number} place
 * @param {string} bundle
 */
function readEntry(view, bytes, place, bundle) {
  if (!has(view, place, CENTRAL.bytes, CENTRAL.signature)) throw broken(bundle, "its list of entries is cut off");
  const start = place + CENTRAL.bytes;
  const nameEnd = start + view.getUint16(place + 28, true);
  const extraEnd = nameEnd + view.getUint16(place + 30, true);
  const next = extraEnd + view.getUint16(place + 32, true);
  if (next > bytes.length) throw broken(bundle, "its list of entries is cut off");
  const name = new TextDecoder().decode(bytes.subarray(start, nameEnd));
  if (isZip64(view, nameEnd, extraEnd)) throw broken(bundle, `'${name}' is of the kind zip64`);
  const entry = {
    name,
    flags: view.getUint16(place + 8, true),
    method: view.getUint16(place + 10, true),
    packed: view.getUint32(place + 20, true),
    size: view.getUint32(place + 24, true),
    type: view.getUint16(place + 40, true) & FILE_TYPE,
    offset: view.getUint32(place + 42, true),
  };
  return { entry, next };
}

/**
 * Whether one of the extra fields of an entry is that of zip64.
 * @param {DataView} view
 * @param {number} place
 * @param {number} end
 */
function isZip64(view, place, end) {
  for (let field = place; field + 4 <= end; field += 4 + view.getUint16(field + 2, true)) {
    if (view.getUint16(field, true) === ZIP64) return true;
  }
  return false;
}

/**
 * @param {Uint8Array} bytes
 * @param {Entry} entry
 * @param {string} bundle
 */
function packedBytes(bytes, entry, bundle) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!has(view, entry.offset, LOCAL.bytes, LOCAL.signature))
    throw broken(bundle, `${entry.name} is not where it should be`);
  const start =
    entry.offset + LOCAL.bytes + view.getUint16(entry.offset + 26, true) + view.getUint16(entry.offset + 28, true);
  if (start + entry.packed > bytes.length) throw broken(bundle, `${entry.name} is cut off`);
  return bytes.subarray(start, start + entry.packed);
}

/**
 * Whether a record of this kind and size lies at a place.
 * @param {DataView} view
 * @param {number} place
 * @param {number} size
 * @param {number} signature
 */
function has(view, place, size, signature) {
  return place + size <= view.byteLength && view.getUint32(place, true) === signature;
}

/**
 * @param {string} bundle
 * @param {string} reason
 */
const broken = (bundle, reason) => new DeployError(`${bundle} is not a whole zip: ${reason}`, CURE);
