/** Reading of streams that are not trusted: never more than was announced. */

/**
 * Reads a stream to its end, or until it has more than `limit` bytes.
 * @param {ReadableStream<Uint8Array>} stream
 * @param {number} limit
 * @returns {Promise<{bytes: Uint8Array, length: number}>} The bytes up to the limit, and how many came.
 */
export async function readUpTo(stream, limit) {
  const reader = stream.getReader();
  const parts = [];
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    length += part.value.length;
    if (length > limit) {
      reader.cancel().catch(() => {});
      return { bytes: new Uint8Array(), length };
    }
    parts.push(part.value);
  }
  return { bytes: joined(parts, length), length };
}

/**
 * @param {Uint8Array[]} parts
 * @param {number} length
 */
function joined(parts, length) {
  const bytes = new Uint8Array(length);
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return bytes;
}
