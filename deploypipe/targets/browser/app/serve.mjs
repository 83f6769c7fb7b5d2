/**
 * A static server for this folder, on this machine only.
 * usage: node serve.mjs [PORT]
 */
import { createReadStream, realpathSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, posix } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PORT = 8080;
const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
const HEADERS = {
  // A page that is cross-origin isolated has clocks of 5 microseconds and may use threads.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

/**
 * Serves a folder on 127.0.0.1.
 * @param {string} folder
 * @param {number} port 0 takes a free one.
 * @returns {Promise<import("node:http").Server & {url: string}>}
 */
export async function serve(folder, port) {
  const server = createServer((request, response) => {
    answer(folder, request, response).catch(() => response.writeHead(404, HEADERS).end());
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return Object.assign(server, { url: `http://127.0.0.1:${server.address().port}/` });
}

async function answer(folder, request, response) {
  const path = posix.normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
  const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
  const found = await stat(file);
  // On Windows a backslash would lead out of the folder.
  if (!found.isFile() || path.includes("\\")) throw new Error("no such file");
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  const stream = createReadStream(file);
  await new Promise((resolve, reject) => stream.once("open", resolve).once("error", reject));
  response.writeHead(200, { ...HEADERS, "Content-Type": type, "Content-Length": found.size });
  stream.once("error", () => response.destroy()).pipe(response);
}

async function start(port) {
  try {
    const server = await serve(HERE, Number(port));
    console.log(`${server.url} (Ctrl-C ends it)`);
  } catch (error) {
    console.error(`Error: Port ${port} cannot be used: ${error.message}.\nName another one: npm start -- PORT`);
    process.exitCode = 2;
  }
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) await start(argv[2] ?? PORT);
