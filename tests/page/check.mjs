// Opens pages in Chromium and checks that they make no requests, log nothing to the console, have no accessibility
// violations (axe-core), no labels that are cut off or overlap, and fit a narrow screen.
//
//   node check.mjs CHROMIUM SCREENSHOTS PAGE...
//
// Prints each problem on a line and exits with 1 if there are any. SCREENSHOTS is a folder, or - for none.
// playwright-core and axe-core are found in NODE_PATH or beside this file.

import { createRequire } from "node:module";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const WIDTHS = [360, 800, 1400];
const MEDIA = [
  { media: "screen", colorScheme: "light" },
  { media: "screen", colorScheme: "dark" },
  { media: "print", colorScheme: "dark" },
];
const CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const [executablePath, screenshots, ...pages] = process.argv.slice(2);
const problems = [];

// Runs in the page: finds what overflows, is cut off or overlaps at the current size.
const measure = () => {
  const drawn = (svg) => svg.getBoundingClientRect().width > 0;
  const texts = [...document.querySelectorAll("svg")].filter(drawn)
    .map((svg) => [svg, [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()])]);
  const beyond = (x, y) => x.left < y.left - 1 || x.right > y.right + 1 || x.top < y.top - 1 || x.bottom > y.bottom + 1;
  const meet = (x, y) => x.left < y.right && y.left < x.right && x.top + 4 < y.bottom && y.top + 4 < x.bottom;
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    small: texts.filter(([svg]) => svg.getBoundingClientRect().width < 0.85 * svg.viewBox.baseVal.width).length,
    cut: texts.flatMap(([svg, boxes]) => boxes.filter(([, box]) => beyond(box, svg.getBoundingClientRect())).map(([text]) => text)),
    touching: texts.flatMap(([, boxes]) => boxes.flatMap(([a, x], i) =>
      boxes.slice(i + 1).filter(([, y]) => meet(x, y)).map(([b]) => `${a} and ${b}`))),
  };
};

async function check(browser, path) {
  const name = basename(path, ".html");
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) problems.push(`${name}: requests ${request.url()}`);
  });
  page.on("console", (message) => problems.push(`${name}: console: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
  await page.goto(url);
  const scripts = await page.evaluate(() => document.scripts.length);
  if (scripts > 0) problems.push(`${name}: ${scripts} scripts`);
  const ids = await page.evaluate(() => [...document.querySelectorAll("[id]")].map((element) => element.id));
  if (new Set(ids).size < ids.length) problems.push(`${name}: duplicate ids`);
  await page.addScriptTag({ path: axe });
  for (const width of WIDTHS) for (const media of MEDIA) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia(media);
    await inspect(page, name, width, media);
  }
  if (screenshots !== "-") {
    const margin = { top: "12mm", bottom: "12mm", left: "12mm", right: "12mm" };
    await page.pdf({ path: `${screenshots}/${name}.pdf`, format: "A4", margin });
  }
  await context.close();
}

async function inspect(page, name, width, { media, colorScheme }) {
  const view = `${name} at ${width} px, ${media === "print" ? media : colorScheme}`;
  const { overflow, small, cut, touching } = await page.evaluate(measure);
  if (media === "screen" && overflow > 0) problems.push(`${view}: ${overflow} px too wide`);
  if (small > 0) problems.push(`${view}: ${small} figures drawn too small`);
  cut.forEach((text) => problems.push(`${view}: label cut off: ${text}`));
  touching.forEach((texts) => problems.push(`${view}: labels overlap: ${texts}`));
  if (screenshots !== "-") {
    await page.screenshot({ path: `${screenshots}/${view.replaceAll(/[ ,]+/g, "-")}.png`, fullPage: true });
  }
  if (media === "screen" && width !== WIDTHS[1]) {
    const open = (open) => document.querySelectorAll("details").forEach((details) => { details.open = open; });
    await page.evaluate(open, true);
    const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
    for (const { id, impact, help, nodes } of violations) {
      problems.push(`${view}: ${impact}: ${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
    }
    await page.evaluate(open, false);
  }
}

// Checks that the content security policy is in force: a script and an image that are added must be refused.
async function policy(browser, path) {
  const page = await (await browser.newContext()).newPage();
  const refused = [];
  page.on("console", (message) => refused.push(message.text()));
  await page.goto(pathToFileURL(path).href);
  const ran = await page.evaluate(() => new Promise((done) => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    const image = document.createElement("img");
    image.onerror = image.onload = () => done(window.ran === true);
    document.body.append(script, image);
    image.src = "http://127.0.0.1:9/x.png";
  }));
  if (ran || refused.length < 2) problems.push(`${basename(path)}: its policy is not in force`);
  await page.context().close();
}

const browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
try {
  for (const path of pages) {
    await check(browser, path);
    await policy(browser, path);
  }
} finally {
  await browser.close();
}
problems.forEach((line) => console.log(line));
process.exit(problems.length > 0 ? 1 : 0);
