// Opens the page, clicks a unit that is off in 3-D, chooses Start and waits until it is On: in the table's word, in
// the picture's colour and in its shape. Ends with 0 when all that was seen, else with 1 and a reason.
//
// node e2e/touch.mjs ADDRESS [--unit OBJECT/UNIT] [--as AVATAR] [--shots FOLDER] [--wait SECONDS] [--keyboard]
import { given, option, visit } from "./visit.mjs";

await visit(async ({ page, picture, look, click, shows }) => {
  // Which unit: the one asked for, else the first that is off.
  const wanted = option("unit");
  const key = await page.evaluate((wanted) => window.primrack.find(wanted), wanted);
  if (!key) throw new Error(wanted ? `there is no unit ${wanted}` : "no unit is off");
  const before = await look(key);
  await picture("1-before");

  const started = Date.now();
  if (given.includes("--keyboard")) {
    await page.locator(".stage canvas").focus();
    for (let n = 0; n < 2000; n += 1) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => window.primrack.focused())) === key) break;
    }
    await page.keyboard.press("Enter");
  } else await click(key);
  const start = page.locator(".ask button.choice", { hasText: /^(Start|On)$/ });
  await start.waitFor();
  const asked = Date.now();
  await picture("2-menu");
  const chosen = Date.now();
  await start.click();
  await page.waitForFunction((key) => window.primrack.look(key)?.power === "on", key);
  const on = Date.now();
  // The picture follows within the time a colour takes to turn.
  const after = await shows(key, "on");
  await picture("3-on");

  for (const part of ["word", "colour", "shape"]) {
    if (before[part] === after[part]) throw new Error(`its ${part} did not change: ${after[part]}`);
  }
  await page.getByRole("button", { name: "Table" }).click();
  const row = page.locator("tbody tr", { has: page.locator("th", { hasText: after.label }) }).first();
  const words = await row.locator(".state").innerText();
  if (!/^On/.test(words.trim())) throw new Error(`the table says ${words}`);
  return { unit: key, before, after, menu_ms: asked - started, on_ms: on - chosen };
});
