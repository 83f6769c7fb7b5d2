/**
 * Opens bundles in Node.js with the modules of an app, and lets each prove itself.
 * usage: node check.mjs APP BUNDLE...      A BUNDLE is a folder, which is served, or a zip. Writes one JSON for each.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-web/wasm";

const [app, ...bundles] = argv.slice(2);
const { DeployError, open } = await import(pathToFileURL(join(app, "deploypipe.js")));
const { serve } = await import(pathToFileURL(join(app, "serve.mjs")));

async function verdict(source) {
  try {
    const model = await open(source, { ort });
    const found = await model.verify();
    await model.close();
    return found;
  } catch (error) {
    return error instanceof DeployError ? { message: error.message, cure: error.cure } : { crash: String(error.stack) };
  }
}

async function ofFolder(folder) {
  const server = await serve(folder, 0);
  const found = await verdict(server.url);
  server.closeAllConnections();
  server.close();
  // A folder is known to the browser by its URL.
  return JSON.parse(JSON.stringify(found).replaceAll(server.url.slice(0, -1), folder));
}

for (const path of bundles) {
  const isFolder = (await stat(path)).isDirectory();
  const found = isFolder ? await ofFolder(path) : await verdict(new File([await readFile(path)], path));
  console.log(JSON.stringify(found));
}
