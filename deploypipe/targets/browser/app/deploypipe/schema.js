/** Checks of JSON: what a value must be, said in the words of the Python side. */

/**
 * Takes a value and its place in the table, and returns what it stands for.
 * @template T
 * @typedef {(value: unknown, place: string) => T} Rule
 */

/** A value that breaks a rule; the text says where and which. */
export class Broken extends Error {
  /**
   * @param {string} place
   * @param {string} rule
   */
  constructor(place, rule) {
    super(place ? `${place}: ${rule}` : rule);
  }
}

/**
 * @param {unknown} value
 * @param {string} place
 * @param {string} rule
 */
const broken = (value, place, rule) => new Broken(place, value === undefined ? "Field required" : rule);

/**
 * @template T
 * @param {(value: any) => boolean} fits
 * @param {string} rule
 * @returns {Rule<T>}
 */
const plain = (fits, rule) => (value, place) => {
  if (!fits(value)) throw broken(value, place, rule);
  return /** @type {T} */ (value);
};

/** @type {Rule<string>} */
export const string = plain((value) => typeof value === "string", "Input should be a valid string");
/** @type {Rule<boolean>} */
export const boolean = plain((value) => typeof value === "boolean", "Input should be a valid boolean");
/** @type {Rule<number>} */
export const finite = plain(Number.isFinite, "Input should be a finite number");
/** @type {Rule<number>} */
export const positive = plain((value) => Number.isFinite(value) && value > 0, "Input should be greater than 0");
/** @type {Rule<number>} */
export const count = plain((value) => Number.isSafeInteger(value) && value >= 0, "Input should be a valid integer");

/** @param {number} low @param {number} high @returns {Rule<number>} */
export const between = (low, high) =>
  plain((value) => Number.isSafeInteger(value) && low <= value && value <= high, `Input should be ${low} to ${high}`);

/** @param {string[]} words @returns {Rule<any>} */
export const oneOf = (...words) =>
  plain((value) => words.includes(value), `Input should be ${words.map((word) => `'${word}'`).join(" or ")}`);

/**
 * @template A, B
 * @param {Rule<A>} first
 * @param {Rule<B>} second
 * @returns {Rule<A | B>}
 */
export const either = (first, second) => (value, place) => {
  try {
    return first(value, place);
  } catch {
    return second(value, place);
  }
};

/**
 * @template T
 * @param {Rule<T>} of
 * @param {number} least
 * @param {number} most
 * @returns {Rule<T[]>}
 */
export const list =
  (of, least = 0, most = Infinity) =>
  (value, place) => {
    if (!Array.isArray(value)) throw broken(value, place, "Input should be a valid tuple");
    if (value.length < least)
      throw new Broken(place, `Tuple should have at least ${least} item after validation, not ${value.length}`);
    if (value.length > most)
      throw new Broken(place, `Tuple should have at most ${most} items after validation, not ${value.length}`);
    return value.map((item, index) => of(item, `${place}.${index}`));
  };

/**
 * A table with any keys.
 * @template T
 * @param {Rule<T>} of
 * @param {number} most
 * @returns {Rule<Map<string, T>>}
 */
export const table =
  (of, most = Infinity) =>
  (value, place) => {
    const items = Object.entries(object(value, place));
    if (items.length > most)
      throw new Broken(place, `Dictionary should have at most ${most} items after validation, not ${items.length}`);
    return new Map(items.map(([key, item]) => [key, of(item, `${place}.${key}`)]));
  };

/**
 * A value that may be missing or null.
 * @template T, D
 * @param {Rule<T>} of
 * @param {D} otherwise
 * @returns {Rule<T | D>}
 */
export const optional = (of, otherwise) => (value, place) =>
  value === undefined || value === null ? otherwise : of(value, place);

/**
 * A table with these keys; others are left alone.
 * @template {Record<string, Rule<any>>} F
 * @param {F} fields
 * @returns {Rule<{[K in keyof F]: ReturnType<F[K]>}>}
 */
export const record = (fields) => (value, place) => {
  const given = object(value, place);
  const field = (/** @type {string} */ key) => (Object.hasOwn(given, key) ? given[key] : undefined);
  const below = place ? `${place}.` : "";
  const read = Object.entries(fields).map(([key, rule]) => [key, rule(field(key), below + key)]);
  return Object.fromEntries(read);
};

/**
 * @param {unknown} value
 * @param {string} place
 * @returns {Record<string, unknown>}
 */
function object(value, place) {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return /** @type {any} */ (value);
  throw broken(value, place, "Input should be a valid dictionary");
}
