/** The manifest of a bundle: what it holds, what it needs, and how an app's data becomes its tensors. */
import { DeployError, firstLine } from "./errors.js";
import { GOLDEN } from "./golden.js";
import * as rule from "./schema.js";

export const FILE = "manifest.json";
const FORMAT = 1;

const MOST_FILES = 10_000;
const MOST_RESIZES = 8;
const LARGEST_SIDE = 16384;
const RESIZE = rule.record({
  height: rule.between(1, LARGEST_SIDE),
  width: rule.between(1, LARGEST_SIDE),
  method: rule.oneOf("area", "bilinear"),
});
const IMAGE = rule.record({
  kind: rule.optional(rule.oneOf("image"), "image"),
  color: /** @type {rule.Rule<"gray" | "rgb">} */ (rule.oneOf("gray", "rgb")),
  layout: rule.optional(rule.oneOf("NCHW", "NHWC"), "NCHW"),
  resize: rule.optional(rule.list(RESIZE, 0, MOST_RESIZES), []),
  mean: rule.list(rule.finite),
  std: rule.list(rule.positive),
});
const CLASSES = rule.record({
  kind: rule.optional(rule.oneOf("classes"), "classes"),
  labels: rule.list(rule.string, 1),
  softmax: rule.optional(rule.boolean, true),
});
const PROCESSING = rule.record({
  inputs: rule.optional(rule.table(IMAGE), new Map()),
  outputs: rule.optional(rule.table(CLASSES), new Map()),
});
const TENSOR = rule.record({
  name: rule.string,
  dtype: rule.string,
  shape: rule.list(rule.either(rule.count, rule.string)),
});
const MANIFEST = rule.record({
  model: rule.string,
  target: rule.string,
  platform: rule.string,
  request: rule.record({ precision: rule.string }),
  runtime: rule.record({ name: rule.string, package: rule.string, min_version: rule.string, built_with: rule.string }),
  artifact: rule.string,
  ops: rule.list(rule.record({ name: rule.string, library: rule.optional(rule.string, "") })),
  inputs: rule.list(TENSOR, 1),
  outputs: rule.list(TENSOR, 1),
  axes: rule.table(rule.record({ min: rule.count, max: rule.count })),
  processing: rule.optional(PROCESSING, { inputs: new Map(), outputs: new Map() }),
  limits: rule.record({ normalized_error: rule.finite, unequal_share: rule.finite }),
  finite_inputs: rule.optional(rule.boolean, false),
  sizes: rule.table(rule.count, MOST_FILES),
  files: rule.table(rule.string, MOST_FILES),
});

/**
 * @typedef {ReturnType<typeof MANIFEST>} Manifest
 * @typedef {ReturnType<typeof IMAGE>} ImageInput
 * @typedef {ReturnType<typeof CLASSES>} ClassOutput
 */

/**
 * Reads the text of a manifest.
 * @param {Uint8Array} bytes
 * @param {string} bundle How the bundle is called in errors.
 * @returns {Manifest}
 */
export function parse(bytes, bundle) {
  try {
    const table = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    checkFormat(table?.deploypipe_bundle, bundle);
    return MANIFEST(table, "");
  } catch (error) {
    if (error instanceof DeployError) throw error;
    throw new DeployError(`${bundle}/${FILE} is damaged: ${firstLine(error)}`, "Build the bundle again.");
  }
}

/**
 * The files that a bundle cannot do without.
 * @param {Manifest} manifest
 */
export const neededFiles = (manifest) => [manifest.artifact, GOLDEN, ...libraries(manifest)];

/**
 * The op libraries of a bundle, each once.
 * @param {Manifest} manifest
 */
export const libraries = (manifest) => [...new Set(manifest.ops.map((op) => op.library).filter(Boolean))];

/**
 * @param {unknown} version
 * @param {string} bundle
 */
function checkFormat(version, bundle) {
  if (version === FORMAT || version === undefined) return;
  if (!Number.isSafeInteger(version) || Number(version) < FORMAT) {
    throw new rule.Broken("deploypipe_bundle", `Input should be ${FORMAT}`);
  }
  throw new DeployError(
    `${bundle} has format ${version}; this deploypipe reads up to ${FORMAT}`,
    "Install a newer deploypipe.",
  );
}
