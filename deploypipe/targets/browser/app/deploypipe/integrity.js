/** A bundle is checked before anything in it is trusted: its names, its files and their digests. */
import { DeployError } from "./errors.js";
import { FILE, neededFiles, parse } from "./manifest.js";
import { tooLarge } from "./sources.js";

/**
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {import("./sources.js").Source} Source
 */

const CURE = "Build the bundle again, or get an undamaged copy.";
const DISTRUST = "Do not trust this bundle.";
const LARGEST_MANIFEST = 16_000_000;
const LONGEST_NAME = 200;
/** What cannot be printed: control characters and the like, and white space but the blank. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|[^ \P{Zs}]/u;
/** What no manifest lists. */
const UNLISTED = [FILE, "model.sig"];

/**
 * Reads a bundle, and checks every file of it against its manifest.
 * @param {Source} source
 * @param {number} maxBytes
 * @returns {Promise<{manifest: Manifest, files: Map<string, Uint8Array>}>}
 */
export async function check(source, maxBytes) {
  const manifest = await readManifest(source);
  checkNames(source, manifest);
  checkTotal(source, manifest, maxBytes);
  refuseStrangers(source, manifest);
  const files = new Map();
  for (const [name, digest] of manifest.files)
    files.set(name, await checkFile(source, name, digest, manifest.sizes.get(name)));
  return { manifest, files };
}

/** @param {Source} source */
async function readManifest(source) {
  const found = await source.read(FILE, LARGEST_MANIFEST);
  if (!found)
    throw new DeployError(`${source.name} is not a bundle: it has no ${FILE}`, "Name the folder that holds it.");
  if (found.length > LARGEST_MANIFEST) {
    throw new DeployError(
      `The manifest of ${source.name} has ${found.length} bytes; ${LARGEST_MANIFEST} are the most`,
      DISTRUST,
    );
  }
  return parse(found.bytes, source.name);
}

/**
 * @param {Source} source
 * @param {Manifest} manifest
 */
function checkNames(source, manifest) {
  for (const name of manifest.files.keys()) {
    if ([...name].length > LONGEST_NAME || UNPRINTABLE.test(name)) {
      throw new DeployError(
        `The manifest of ${source.name} names a file that cannot be: ${quoted(name.slice(0, LONGEST_NAME))}`,
        CURE,
      );
    }
    if (leaves(name))
      throw new DeployError(`The manifest of ${source.name} names a file outside of it: ${name}`, DISTRUST);
  }
  for (const name of neededFiles(manifest)) {
    if (!manifest.files.has(name))
      throw new DeployError(`The manifest of ${source.name} uses ${name} but does not list it`, CURE);
  }
}

/**
 * A name in one line, whatever is in it.
 * @param {string} name
 */
const quoted = (name) => `'${JSON.stringify(name).slice(1, -1)}'`;

/** @param {string} name */
function leaves(name) {
  const parts = name.split("/").filter((part) => part && part !== ".");
  return !parts.length || parts.includes("..") || name.startsWith("/") || name.includes("\\");
}

/**
 * @param {Source} source
 * @param {Manifest} manifest
 * @param {number} maxBytes
 */
function checkTotal(source, manifest, maxBytes) {
  const total = [...manifest.files.keys()].reduce((sum, name) => sum + (manifest.sizes.get(name) ?? 0), 0);
  if (total > maxBytes) throw tooLarge(source.name, total, maxBytes);
}

/**
 * @param {Source} source
 * @param {Manifest} manifest
 */
function refuseStrangers(source, manifest) {
  const stranger = source.names().find((name) => !UNLISTED.includes(name) && !manifest.files.has(name));
  if (stranger)
    throw new DeployError(`${source.name} holds ${quoted(stranger)}, which its manifest does not list`, CURE);
}

/**
 * @param {Source} source
 * @param {string} name
 * @param {string} digest
 * @param {number | undefined} size
 */
async function checkFile(source, name, digest, size) {
  const wrongSize = (/** @type {number} */ length) =>
    new DeployError(`${name} in ${source.name} has ${length} bytes instead of ${size ?? "None"}`, CURE);
  const announced = source.size(name);
  if (announced !== null && announced !== size) throw wrongSize(announced);
  const found = await source.read(name, size ?? 0);
  if (!found) throw new DeployError(`${name} is missing in ${source.name}`, CURE);
  if (found.length !== size) throw wrongSize(found.length);
  if ((await sha256(found.bytes)) !== digest) {
    throw new DeployError(`${name} in ${source.name} was changed: its SHA-256 differs from the manifest`, CURE);
  }
  return found.bytes;
}

/** @param {Uint8Array} bytes */
async function sha256(bytes) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new DeployError(
      "SHA-256 needs crypto.subtle, which a page has in a secure context only",
      "Serve it over https, or from localhost.",
    );
  }
  const digest = new Uint8Array(await subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
