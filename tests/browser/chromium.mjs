/** Headless Chromium of this machine, and the static server of an app. */
import { join } from "node:path";
import { env } from "node:process";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

/** Calls `use` with the browser that CHROMIUM names, and ends it whatever happens. */
export async function withBrowser(use) {
  const browser = await chromium.launch({ executablePath: env.CHROMIUM, args: ["--no-sandbox"] });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

/** Serves an app by its own server, calls `use` with the URL, and ends the server whatever happens. */
export async function withServer(app, use) {
  const { serve } = await import(pathToFileURL(join(app, "serve.mjs")));
  const server = await serve(app, 0);
  try {
    return await use(server.url);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
