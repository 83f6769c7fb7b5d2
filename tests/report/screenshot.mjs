/**
 * Opens a report in Chromium as a file, and tells what it shows and what it asks of the network.
 * usage: node screenshot.mjs REPORT FOLDER LOOK...
 *
 * A LOOK is a width, a height or `full` for the whole page, and a scheme: `390-full-dark`. Its picture is in FOLDER under
 * that name. The LOOK `paper` prints. Writes JSON.
 */
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { withBrowser } from "./chromium.mjs";

const [report, folder, ...looks] = argv.slice(2);
const FULL = 900;

/** Runs in the page: whether each chart is drawn as wide as its place. */
function settled() {
  const fits = (plot) => plot.querySelector(".main-svg")?.clientWidth === plot.clientWidth;
  return document.body.dataset.state === "ready" && [...document.querySelectorAll(".plot")].every(fits);
}

/** Runs in the page: what is wider than the window, and what became of the charts. */
function shown() {
  const beyond = (element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".scroll");
  const every = (selector) => [...document.querySelectorAll(selector)];
  return {
    headline: document.querySelector("main h2").textContent,
    models: every(".group th").map((each) => each.textContent),
    marks: every(".plot .ytick text").map((each) => each.textContent),
    inks: [...new Set(every(".plot .ytick text").map((each) => getComputedStyle(each).fill))],
    overflowing: every("body *").filter(beyond).map((each) => each.outerHTML.slice(0, 120)),
    scrolls: document.documentElement.scrollWidth > innerWidth,
    plots: every(".plot").length,
    sticky: getComputedStyle(document.querySelector("tbody th")).position,
    background: getComputedStyle(document.body).backgroundColor,
  };
}

async function look(page, name) {
  const [width, height, colorScheme] = name.split("-");
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width: Number(width), height: Number(height) || FULL });
  await page.waitForFunction(settled, undefined, { timeout: 100_000 });
  await page.screenshot({ path: join(folder, `report-${name}.png`), fullPage: height === "full" });
  return page.evaluate(shown);
}

/** Prints as a browser does, and tells the widths of the charts meanwhile. */
async function printed(page) {
  await page.evaluate(() => {
    addEventListener("beforeprint", () => {
      globalThis.paper = [...document.querySelectorAll(".plot .main-svg:first-child")].map((svg) => svg.clientWidth);
    });
  });
  await page.pdf({ path: join(folder, "report.pdf"), preferCSSPageSize: true });
  return page.evaluate("paper");
}

async function visit(browser) {
  const page = await browser.newPage();
  const problems = [];
  const asked = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(pathToFileURL(report).href);
  const found = {};
  for (const name of looks) found[name] = name === "paper" ? await printed(page) : await look(page, name);
  return { looks: found, problems, asked, ran: await page.evaluate("globalThis.ran ?? null") };
}

console.log(JSON.stringify(await withBrowser(visit)));
