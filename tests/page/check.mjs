// Opens pages in a real browser: nothing may be asked for elsewhere, nothing may be said on the console, axe-core may find
// nothing serious, nothing may reach beyond a narrow screen.
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
  { name: "light", colorScheme: "light", media: "screen" },
  { name: "dark", colorScheme: "dark", media: "screen" },
  { name: "print", colorScheme: "dark", media: "print" },
];
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const [executablePath, screenshots, ...pages] = process.argv.slice(2);
const wrong = [];

async function check(browser, path, width, way) {
  const name = `${basename(path)} at ${width} px, ${way.name}`;
  const context = await browser.newContext({
    viewport: { width, height: 900 }, colorScheme: way.colorScheme, bypassCSP: true, deviceScaleFactor: 1,
  });
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) wrong.push(`${name}: asks for ${request.url()}`);
  });
  page.on("console", (message) => wrong.push(`${name}: console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`${name}: ${error.message}`));
  await page.goto(url);
  await page.emulateMedia({ media: way.media, colorScheme: way.colorScheme });
  const facts = await page.evaluate(() => ({
    scripts: document.scripts.length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ids: [...document.querySelectorAll("[id]")].map((element) => element.id),
    small: [...document.querySelectorAll("svg text")].filter((text) => {
      const svg = text.ownerSVGElement.getBoundingClientRect();
      return svg.width > 0 && svg.width / text.ownerSVGElement.viewBox.baseVal.width < 0.85;
    }).length,
    cut: [...document.querySelectorAll("svg text")].filter((text) => {
      const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
      return outer.width > 0 && (inner.left < outer.left - 1 || inner.right > outer.right + 1
        || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1);
    }).map((text) => text.textContent),
    touching: [...document.querySelectorAll("svg")].flatMap((svg) => {
      const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
      return boxes.flatMap(([a, x], i) => boxes.slice(i + 1)
        .filter(([, y]) => x.width > 0 && x.left < y.right && y.left < x.right && x.top + 4 < y.bottom && y.top + 4 < x.bottom)
        .map(([b]) => `${a} and ${b}`));
    }),
  }));
  if (facts.scripts > 0) wrong.push(`${name}: ${facts.scripts} scripts`);
  if (way.media === "screen" && facts.overflow > 0) wrong.push(`${name}: ${facts.overflow} px too wide`);
  if (facts.small > 0) wrong.push(`${name}: ${facts.small} labels drawn too small`);
  facts.cut.forEach((text) => wrong.push(`${name}: label cut off: ${text}`));
  facts.touching.forEach((texts) => wrong.push(`${name}: labels overlap: ${texts}`));
  if (new Set(facts.ids).size < facts.ids.length) wrong.push(`${name}: an id is there twice`);
  if (screenshots !== "-") {
    await page.screenshot({ path: `${screenshots}/${basename(path, ".html")}-${width}-${way.name}.png`, fullPage: true });
    if (way.media === "print" && width === WIDTHS[0]) {
      await page.pdf({ path: `${screenshots}/${basename(path, ".html")}.pdf`, format: "A4", margin: { top: "12mm", bottom: "12mm", left: "12mm", right: "12mm" } });
    }
  }
  if (way.media === "screen") {
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
    await page.addScriptTag({ path: axe });
    const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
    for (const { id, impact, help, nodes } of violations) {
      wrong.push(`${name}: ${impact}: ${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
    }
  }
  await context.close();
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
    for (const width of WIDTHS) for (const way of WAYS) await check(browser, path, width, way);
    await policy(browser, path);
  }
} finally {
  await browser.close();
}
wrong.forEach((line) => console.log(line));
process.exit(wrong.length > 0 ? 1 : 0);
