// Opens pages in a real browser: nothing may be asked for elsewhere, nothing may be said on the console, axe-core may find
// nothing, no label may be cut off or cover another, nothing may reach beyond a narrow screen.
//
//   node check.mjs CHROMIUM SCREENSHOTS PAGE...
//
// It prints what is wrong, a line each, and exits with 1 if there is any. SCREENSHOTS is a folder, or - for none.
// playwright-core and axe-core are found in NODE_PATH or beside this file.

import { createRequire } from "node:module";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const WIDTHS = [360, 800, 1400];
const WAYS = [
  { media: "screen", colorScheme: "light" },
  { media: "screen", colorScheme: "dark" },
  { media: "print", colorScheme: "dark" },
];
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const [executablePath, screenshots, ...pages] = process.argv.slice(2);
const wrong = [];

// What of the page as it is now can be measured.
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
    if (request.url() !== url && !request.url().startsWith("data:")) wrong.push(`${name}: asks for ${request.url()}`);
  });
  page.on("console", (message) => wrong.push(`${name}: console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`${name}: ${error.message}`));
  await page.goto(url);
  const scripts = await page.evaluate(() => document.scripts.length);
  if (scripts > 0) wrong.push(`${name}: ${scripts} scripts`);
  const ids = await page.evaluate(() => [...document.querySelectorAll("[id]")].map((element) => element.id));
  if (new Set(ids).size < ids.length) wrong.push(`${name}: an id is there twice`);
  await page.addScriptTag({ path: axe });
  for (const width of WIDTHS) for (const way of WAYS) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia(way);
    await look(page, name, width, way);
  }
  if (screenshots !== "-") {
    const margin = { top: "12mm", bottom: "12mm", left: "12mm", right: "12mm" };
    await page.pdf({ path: `${screenshots}/${name}.pdf`, format: "A4", margin });
  }
  await context.close();
}

async function look(page, name, width, { media, colorScheme }) {
  const view = `${name} at ${width} px, ${media === "print" ? media : colorScheme}`;
  const { overflow, small, cut, touching } = await page.evaluate(measure);
  if (media === "screen" && overflow > 0) wrong.push(`${view}: ${overflow} px too wide`);
  if (small > 0) wrong.push(`${view}: ${small} figures drawn too small`);
  cut.forEach((text) => wrong.push(`${view}: label cut off: ${text}`));
  touching.forEach((texts) => wrong.push(`${view}: labels overlap: ${texts}`));
  if (screenshots !== "-") {
    await page.screenshot({ path: `${screenshots}/${view.replaceAll(/[ ,]+/g, "-")}.png`, fullPage: true });
  }
  if (media === "screen" && width !== WIDTHS[1]) {
    const open = (open) => document.querySelectorAll("details").forEach((details) => { details.open = open; });
    await page.evaluate(open, true);
    const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
    for (const { id, impact, help, nodes } of violations) {
      wrong.push(`${view}: ${impact}: ${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
    }
    await page.evaluate(open, false);
  }
}

// The policy itself: with it in force, a page that tries to load or to run something gets nothing.
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
  if (ran || refused.length < 2) wrong.push(`${basename(path)}: its policy is not in force`);
  await page.context().close();
}

const browser = await chromium.launch({ executablePath, args: QUIET });
try {
  for (const path of pages) {
    await check(browser, path);
    await policy(browser, path);
  }
} finally {
  await browser.close();
}
wrong.forEach((line) => console.log(line));
process.exit(wrong.length > 0 ? 1 : 0);
