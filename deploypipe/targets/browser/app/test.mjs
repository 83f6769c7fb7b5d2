/**
 * Opens the bundle in Node.js, on the same WebAssembly as in a browser, and lets it prove itself.
 * usage: node test.mjs      Exits with 0 where the verdict passed, 1 where it failed, 2 where there is none.
 */
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-web/wasm";
import { DeployError, open } from "./deploypipe.js";
import { serve } from "./serve.mjs";

async function verdict(url) {
  const model = await open(url, { ort });
  const found = await model.verify();
  await model.close();
  return found;
}

function report(found) {
  const lines = found.passed
    ? [`pass: ${found.checks.length} checks`]
    : found.failures.map((failure) => `FAIL ${failure}`);
  console.log(lines.join("\n"));
  return found.passed ? 0 : 1;
}

function refuse(error) {
  if (!(error instanceof DeployError)) throw error;
  console.error(error.describe());
  return 2;
}

const server = await serve(fileURLToPath(new URL(".", import.meta.url)), 0);
process.exitCode = await verdict(new URL("bundle", server.url)).then(report, refuse);
server.closeAllConnections();
server.close();
