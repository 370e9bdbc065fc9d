// Brings the demonstration's room to life as Ada (servers, lamp, letter, alarm, door) and takes its pictures as desktop,
// phone and audience see it, to be looked at.
//
// node e2e/lively.mjs ADDRESS FOLDER
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";

const [address = "http://127.0.0.1:8480", folder = "shots"] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
try {
  const open = async (path, width, height, phone) => {
    const context = await browser.newContext({
      viewport: { width, height },
      deviceScaleFactor: phone ? 2 : 1,
      isMobile: Boolean(phone),
      hasTouch: Boolean(phone),
    });
    const page = await context.newPage();
    await page.goto(address + path, { waitUntil: "domcontentloaded" });
    await page.waitForSelector('[data-link="live"]');
    await page.waitForFunction(() => Number(document.querySelector(".stage")?.dataset.frames ?? 0) > 2);
    return page;
  };
  const desktop = await open("/?test=1&as=Ada", 1440, 900);
  const is = (key, power) =>
    desktop.waitForFunction(([key, power]) => window.primrack.look(key)?.power === power, [key, power]);
  const touch = async (key) => {
    const spot = await desktop.evaluate((key) => window.primrack.spot(key), key);
    if (!spot) throw new Error(`${key} is not in the picture`);
    await desktop.mouse.click(spot.x, spot.y);
  };
  const start = async (key) => {
    await touch(key);
    await desktop.locator(".ask button.choice", { hasText: /^Start$/ }).click();
  };
  await start("rack-1/6");
  await is("rack-1/6", "on");
  for (const key of ["rack-1/1", "rack-1/3"]) {
    await start(key);
    await is(key, "on");
  }
  await touch("lamp-1/1");
  await is("lamp-1/1", "on");
  await touch("letter-box-1/1");
  await is("letter-box-1/1", "on");
  // Unit 6 dies after 15 s.
  await is("alarm-1/1", "on");
  await touch("door-1/1");
  await is("door-1/1", "on");
  await desktop.waitForTimeout(1200);
  await desktop.screenshot({ path: join(folder, "lively-desktop.png"), timeout: 120_000 });
  for (const [name, path, width, height, phone] of [
    ["lively-audience", "/audience", 1920, 1080, false],
    ["lively-phone", "/?as=Ada", 390, 844, true],
  ]) {
    const page = await open(path, width, height, phone);
    await page.waitForTimeout(2000);
    await page.screenshot({ path: join(folder, `${name}.png`), timeout: 120_000 });
    await page.context().close();
  }
  await touch("alarm-1/1");
  await is("alarm-1/1", "paused");
  await desktop.waitForTimeout(800);
  await desktop.screenshot({ path: join(folder, "lively-acknowledged.png"), timeout: 120_000 });
} catch (error) {
  console.error(String(error?.message ?? error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
