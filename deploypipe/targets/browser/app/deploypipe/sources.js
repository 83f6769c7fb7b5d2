/** Where a bundle comes from: a folder behind a URL, or a zip. */
import { DeployError, firstLine } from "./errors.js";
import { readUpTo } from "./limited.js";
import { FILE } from "./manifest.js";
import { listZip, readZipEntry } from "./zip.js";

/**
 * A file as it was found: its bytes, unless there are more than were asked for, and how many there are.
 * @typedef {{bytes: Uint8Array, length: number}} Found
 *
 * @typedef {object} Source
 * @property {string} name How the bundle is called in errors.
 * @property {(name: string, limit: number) => Promise<Found | null>} read Null where there is no such file.
 * @property {(name: string) => number | null} size Known before it is read, or null.
 * @property {() => string[]} names Of all files; a folder behind a URL cannot list them and has none.
 */

/**
 * @param {string | URL | Blob | ArrayBuffer | Uint8Array} source
 * @param {number} maxBytes
 * @returns {Promise<Source>}
 */
export async function openSource(source, maxBytes) {
  if (source instanceof ArrayBuffer) return zipSource(new Uint8Array(source), "The zip");
  if (source instanceof Uint8Array) return zipSource(source, "The zip");
  if (source instanceof Blob) return blobSource(source, maxBytes);
  const url = address(source);
  return url.pathname.endsWith(".zip") ? urlZip(url, maxBytes) : folderSource(url);
}

/** @param {string | URL} source */
function address(source) {
  try {
    return new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    throw new DeployError(`${source} is no URL`, "Give the URL of the folder or of the zip of a bundle.");
  }
}

/**
 * @param {Blob} blob
 * @param {number} maxBytes
 */
async function blobSource(blob, maxBytes) {
  const name = blob instanceof File ? blob.name : "The zip";
  if (blob.size > maxBytes) throw tooLarge(name, blob.size, maxBytes);
  return zipSource(new Uint8Array(await blob.arrayBuffer()), name);
}

/**
 * @param {URL} url
 * @param {number} maxBytes
 */
async function urlZip(url, maxBytes) {
  const found = await download(url, maxBytes);
  if (!found) throw new DeployError(`There is no ${url.href}`, "Name the folder or the zip of a bundle.");
  if (found.length > maxBytes) throw tooLarge(url.href, found.length, maxBytes);
  return zipSource(found.bytes, url.href);
}

/**
 * @param {URL} url
 * @returns {Source}
 */
function folderSource(url) {
  const plain = Object.assign(new URL(url), { search: "", hash: "" });
  const folder = plain.href.replace(/\/?$/, "/");
  const within = (/** @type {string} */ name) => new URL(name.split("/").map(encodeURIComponent).join("/"), folder);
  return {
    name: folder.slice(0, -1),
    read: (name, limit) => download(within(name), limit),
    size: () => null,
    names: () => [],
  };
}

/**
 * @param {Uint8Array} bytes
 * @param {string} name
 * @returns {Source}
 */
function zipSource(bytes, name) {
  const entries = listZip(bytes, name);
  if (!entries.has(FILE)) {
    throw new DeployError(`${name} is not a bundle: it has no ${FILE} at its top`, "Write it with `deploypipe zip`.");
  }
  return {
    name,
    read: async (file, limit) => {
      const entry = entries.get(file);
      if (!entry) return null;
      if (entry.size > limit) return { bytes: new Uint8Array(), length: entry.size };
      return readZipEntry(bytes, entry, name);
    },
    size: (file) => entries.get(file)?.size ?? null,
    names: () => [...entries.keys()],
  };
}

/**
 * @param {URL} url
 * @param {number} limit
 * @returns {Promise<Found | null>}
 */
async function download(url, limit) {
  try {
    const response = await fetch(url, { cache: "no-cache" });
    if (response.status === 404) return null;
    if (!response.ok || !response.body) throw new Error(`the server answers ${response.status}`);
    const found = await readUpTo(response.body, limit);
    return { bytes: found.bytes, length: Math.max(found.length, announced(response)) };
  } catch (error) {
    throw new DeployError(`${url.href} cannot be read: ${firstLine(error)}`, "See whether it is served there.");
  }
}

/**
 * The length that a server announces, where it is that of the content.
 * @param {Response} response
 */
const announced = (response) =>
  response.headers.has("content-encoding") ? 0 : Number(response.headers.get("content-length"));

/**
 * @param {string} name
 * @param {number} size
 * @param {number} limit
 */
export const tooLarge = (name, size, limit) =>
  new DeployError(`The files of ${name} have ${size} bytes; ${limit} are the most`, "Raise maxBytes, if you trust it.");
