// Takes pictures of the page as people see it, to be looked at.
// node e2e/shots.mjs http://127.0.0.1:7407 FOLDER
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";

const [address = "http://127.0.0.1:7407", folder = "shots"] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
const wanted = [
  { name: "desktop", path: "/", width: 1440, height: 900 },
  { name: "phone", path: "/", width: 390, height: 844, phone: true },
  { name: "audience", path: "/audience", width: 1920, height: 1080 },
  { name: "table", path: "/?webgl=off", width: 1440, height: 900 },
  { name: "large", path: "/?text=large", width: 1440, height: 900 },
  { name: "phone-table", path: "/?view=table", width: 390, height: 844, phone: true },
  { name: "plain", path: "/plain", width: 1100, height: 800, bare: true },
];
const only = process.env["ONLY"]?.split(",");
for (const { name, path, width, height, phone, bare } of wanted) {
  if (only && !only.includes(name)) continue;
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: phone ? 2 : 1,
    isMobile: Boolean(phone),
    hasTouch: Boolean(phone),
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") console.log(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => console.log(`${name}: ${error}`));
  page.on("request", (request) => {
    const { url } = { url: request.url() };
    if (!url.startsWith(address) && !/^(data|blob):/.test(url)) console.log(`${name}: asks elsewhere: ${url}`);
  });
  const started = Date.now();
  await page.goto(address + path, { waitUntil: "domcontentloaded" });
  if (bare) await page.waitForSelector("#units tr");
  else {
    await page.waitForSelector('[data-link="live"]');
    await page.waitForFunction(() => {
      const stage = document.querySelector(".stage");
      return stage?.hidden || Number(stage?.dataset.frames ?? 0) > 2;
    }, undefined, { timeout: 60_000 });
  }
  console.log(`${name}: shown after ${Date.now() - started} ms`);
  // What the first seconds bring, for the picture.
  await page.waitForTimeout(2500);
  await page.screenshot({ path: join(folder, `${name}.png`), timeout: 120_000 });
  await context.close();
}
await browser.close();
