// Opens the page, clicks a unit that is off in 3-D, chooses Start and waits until it is On: in the table's word, in
// the picture's colour and in its shape. Ends with 0 when all that was seen, else with 1 and a reason.
//
// node e2e/touch.mjs ADDRESS [--unit OBJECT/UNIT] [--as AVATAR] [--shots FOLDER] [--wait SECONDS] [--keyboard]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";

const arguments_ = process.argv.slice(2);
const option = (name, fallback) => {
  const at = arguments_.indexOf(`--${name}`);
  return at < 0 ? fallback : arguments_[at + 1];
};
const address = (arguments_[0] ?? "http://127.0.0.1:7407").replace(/\/$/, "");
const patience = Number(option("wait", "60")) * 1000;
const shots = option("shots");
if (shots) mkdirSync(shots, { recursive: true });

const browser = await openBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(patience);
  const elsewhere = [];
  const errors = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(address) && !/^(data|blob):/.test(request.url())) elsewhere.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  const picture = async (name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });

  const as = option("as");
  await page.goto(`${address}/?test=1${as ? `&as=${encodeURIComponent(as)}` : ""}`, { waitUntil: "domcontentloaded" });
  await page.waitForSelector('[data-link="live"]');
  await page.waitForFunction(() => Number(document.querySelector(".stage")?.dataset.frames ?? 0) > 1);

  // Which unit: the one asked for, else the first that is off.
  const wanted = option("unit");
  const key = await page.evaluate((wanted) => window.primrack.find(wanted), wanted);
  if (!key) throw new Error(wanted ? `there is no unit ${wanted}` : "no unit is off");
  const before = await page.evaluate((key) => window.primrack.look(key), key);
  await picture("1-before");

  const started = Date.now();
  if (arguments_.includes("--keyboard")) {
    await page.locator(".stage canvas").focus();
    for (let n = 0; n < 2000; n += 1) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => window.primrack.focused())) === key) break;
    }
    await page.keyboard.press("Enter");
  } else {
    const spot = await page.evaluate((key) => window.primrack.spot(key), key);
    if (!spot) throw new Error(`${key} is not in the picture`);
    await page.mouse.click(spot.x, spot.y);
  }
  const start = page.locator(".ask button.choice", { hasText: /^(Start|On)$/ });
  await start.waitFor();
  const asked = Date.now();
  await picture("2-menu");
  const chosen = Date.now();
  await start.click();
  await page.waitForFunction((key) => window.primrack.look(key)?.power === "on", key);
  const on = Date.now();
  // The picture follows within the time a colour takes to turn.
  await page.waitForFunction((key) => window.primrack.look(key)?.settled === true, key);
  const after = await page.evaluate((key) => window.primrack.look(key), key);
  await picture("3-on");

  for (const part of ["word", "colour", "shape"]) {
    if (before[part] === after[part]) throw new Error(`its ${part} did not change: ${after[part]}`);
  }
  await page.getByRole("button", { name: "Table" }).click();
  const row = page.locator("tbody tr", { has: page.locator("th", { hasText: after.label }) }).first();
  const words = await row.locator(".state").innerText();
  if (!/^On/.test(words.trim())) throw new Error(`the table says ${words}`);
  if (elsewhere.length > 0) throw new Error(`the page asked elsewhere: ${elsewhere.join(", ")}`);
  if (errors.length > 0) throw new Error(`the page failed: ${errors.join("; ")}`);
  console.log(
    JSON.stringify({ unit: key, before, after, menu_ms: asked - started, on_ms: on - chosen }, undefined, 1),
  );
} catch (error) {
  console.error(String(error?.message ?? error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
