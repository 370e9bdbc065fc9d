// How long it takes from navigation to the first picture with units, and how many pictures a second come while the camera
// turns: medians of some visits, each in a fresh browser context. With --first or --least it ends with 1 beyond them.
//
// node e2e/measure.mjs ADDRESS [--visits 5] [--seconds 4] [--first MILLISECONDS] [--least PICTURES_A_SECOND]
import { openBrowser } from "./browser.mjs";
import { address, option } from "./visit.mjs";

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const browser = await openBrowser();
try {
  const firsts = [];
  const rates = [];
  let units = 0;
  let renderer = "";
  for (let n = 0; n < Number(option("visits", "5")); n += 1) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    await page.goto(`${address}/?test=1`, { waitUntil: "commit" });
    await page.waitForFunction(() => performance.getEntriesByName("primrack-units-drawn").length > 0);
    firsts.push(await page.evaluate(() => performance.getEntriesByName("primrack-units-drawn")[0].startTime));
    await page.waitForTimeout(1000);
    await page.locator(".stage canvas").focus();
    const frames = () => page.evaluate(() => Number(document.querySelector(".stage").dataset.frames));
    await page.keyboard.down("ArrowRight");
    await page.waitForTimeout(500);
    const [before, from] = [await frames(), Date.now()];
    await page.waitForTimeout(Number(option("seconds", "4")) * 1000);
    rates.push(((await frames()) - before) / ((Date.now() - from) / 1000));
    await page.keyboard.up("ArrowRight");
    units = await page.evaluate(() => window.primrack.count());
    renderer = await page.evaluate(() => {
      const gl = document.createElement("canvas").getContext("webgl2");
      const named = gl?.getExtension("WEBGL_debug_renderer_info");
      return gl && named ? gl.getParameter(named.UNMASKED_RENDERER_WEBGL) : "";
    });
    await context.close();
  }
  const seen = { units, renderer, first_ms: Math.round(median(firsts)), pictures_a_second: Number(median(rates).toFixed(1)) };
  console.log(JSON.stringify({ ...seen, firsts: firsts.map(Math.round), rates: rates.map((rate) => Number(rate.toFixed(1))) }));
  if (seen.first_ms > Number(option("first", "Infinity"))) throw new Error("it takes too long until something is seen");
  if (seen.pictures_a_second < Number(option("least", "0"))) throw new Error("too few pictures a second");
} catch (error) {
  console.error(String(error?.message ?? error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
