/**
 * Opens the page of an app in Chromium, draws a digit with the mouse, and tells what the page shows.
 * usage: node draw.mjs APP SCREENSHOT DIGIT [dark]      writes JSON
 */
import { argv } from "node:process";
import { withBrowser, withServer } from "./chromium.mjs";

const [app, screenshot, digit, scheme] = argv.slice(2);
/** As one draws it: strokes of points in a unit square. */
const DIGITS = {
  0: [
    Array.from({ length: 33 }, (_, i) => [
      0.5 + 0.17 * Math.sin((i * Math.PI) / 16),
      0.5 - 0.28 * Math.cos((i * Math.PI) / 16),
    ]),
  ],
  1: [
    [
      [0.45, 0.3],
      [0.52, 0.22],
      [0.51, 0.78],
    ],
  ],
  4: [
    [
      [0.48, 0.2],
      [0.3, 0.56],
      [0.68, 0.55],
    ],
    [
      [0.58, 0.38],
      [0.55, 0.8],
    ],
  ],
  7: [
    [
      [0.32, 0.24],
      [0.66, 0.23],
      [0.52, 0.5],
      [0.45, 0.8],
    ],
  ],
};

async function drawOn(page, strokes) {
  const box = await page.locator("#pad").boundingBox();
  const place = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  for (const [first, ...rest] of strokes) {
    await page.mouse.move(...place(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...place(point), { steps: 6 });
    await page.mouse.up();
  }
}

async function shown(page) {
  const text = (selector) => page.locator(selector).textContent();
  return {
    state: await page.locator("body").getAttribute("data-state"),
    badge: await text("#badge"),
    about: await text("#about"),
    trouble: await page.locator("#trouble li").allTextContents(),
    cure: await text("#trouble-cure"),
    verdict: await text("#verdict"),
    digit: await text("#digit"),
    certainty: await text("#certainty"),
    latency: await text("#latency"),
    runs: await text("#runs"),
    bars: await page.locator("#bars li").allTextContents(),
    isolated: await page.evaluate(() => crossOriginIsolated),
  };
}

/** Runs in the page: whether the prediction is the same for a while, so that it is that of the whole drawing. */
async function settled() {
  const shown = () => document.querySelector("#bars").textContent;
  const before = shown();
  await new Promise((resolve) => setTimeout(resolve, 300));
  return shown() === before;
}

async function visit(browser, url) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 820 }, colorScheme: scheme ?? "light" });
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  await page.waitForSelector('body:not([data-state="loading"])', { timeout: 100_000 });
  if ((await page.locator("body").getAttribute("data-state")) === "ready") {
    await drawOn(page, DIGITS[digit]);
    await page.waitForSelector("#bars .best");
    await page.waitForFunction(settled);
  }
  await page.screenshot({ path: screenshot, fullPage: true });
  return { ...(await shown(page)), problems };
}

const found = await withServer(app, (url) => withBrowser((browser) => visit(browser, url)));
console.log(JSON.stringify(found));
