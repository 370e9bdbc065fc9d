// What the tests in a browser share: options, the open page, a person's click.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";

export const given = process.argv.slice(2);
export const address = (given[0] ?? "http://127.0.0.1:7407").replace(/\/$/, "");

export function option(name, fallback) {
  const at = given.indexOf(`--${name}`);
  return at < 0 ? fallback : given[at + 1];
}

/** Opens the page as `--as` and calls `visit`; what goes wrong ends the program with 1 and a reason. */
export async function visit(visit) {
  const shots = option("shots");
  if (shots) mkdirSync(shots, { recursive: true });
  const browser = await openBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(Number(option("wait", "60")) * 1000);
    const elsewhere = [];
    const errors = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(address) && !/^(data|blob):/.test(request.url())) elsewhere.push(request.url());
    });
    page.on("pageerror", (error) => errors.push(String(error)));
    const as = option("as");
    await page.goto(`${address}/?test=1${as ? `&as=${encodeURIComponent(as)}` : ""}`, { waitUntil: "domcontentloaded" });
    await page.waitForSelector('[data-link="live"]');
    await page.waitForFunction(() => Number(document.querySelector(".stage")?.dataset.frames ?? 0) > 1);
    const seen = await visit({
      page,
      picture: async (name) => shots && page.screenshot({ path: join(shots, `${name}.png`) }),
      look: (key) => page.evaluate((key) => window.primrack.look(key), key),
      click: async (key) => {
        const spot = await page.evaluate((key) => window.primrack.spot(key), key);
        if (!spot) throw new Error(`${key} is not in the picture`);
        await page.mouse.click(spot.x, spot.y);
      },
      /** Until a unit is in this state and has come to rest in the picture. */
      shows: async (key, power) => {
        await page.waitForFunction(
          ([key, power]) => window.primrack.look(key)?.power === power && window.primrack.look(key)?.settled === true,
          [key, power],
        );
        return page.evaluate((key) => window.primrack.look(key), key);
      },
    });
    if (elsewhere.length > 0) throw new Error(`the page asked elsewhere: ${elsewhere.join(", ")}`);
    if (errors.length > 0) throw new Error(`the page failed: ${errors.join("; ")}`);
    console.log(JSON.stringify(seen, undefined, 1));
  } catch (error) {
    console.error(String(error?.message ?? error));
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}
