/**
 * Opens bundles in Chromium with the modules of an app, and lets each prove itself.
 * usage: node verify.mjs APP NAME...      NAME is a folder or a zip in APP. Writes one JSON for each.
 */
import { argv } from "node:process";
import { withBrowser, withServer } from "./chromium.mjs";

const [app, ...names] = argv.slice(2);

/** Runs in the page. */
async function verdict(name) {
  const ort = await import("/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs");
  const { open } = await import("/deploypipe.js");
  try {
    const model = await open(name, { ort });
    return await model.verify();
  } catch (error) {
    return { name: error.name, message: error.message, cure: error.cure };
  }
}

await withServer(app, (url) =>
  withBrowser(async (browser) => {
    const page = await browser.newPage();
    await page.goto(url);
    for (const name of names) console.log(JSON.stringify(await page.evaluate(verdict, name)));
  }),
);
