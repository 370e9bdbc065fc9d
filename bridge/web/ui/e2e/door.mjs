// Touches the demonstration's door as somebody who may, sees it open in word and shape, and close by itself; then as
// somebody who may not, who alone is told so. Ends with 0 when all that was seen, else with 1 and a reason.
//
// node e2e/door.mjs ADDRESS [--unit OBJECT/UNIT] [--as AVATAR] [--but AVATAR] [--shots FOLDER] [--wait SECONDS]
import { option, visit } from "./visit.mjs";

await visit(async ({ page, picture, look, click, shows }) => {
  const key = option("unit", "door-1/1");
  const closed = await shows(key, "off");
  if (closed.word !== "Closed") throw new Error(`it says ${closed.word}, not Closed`);

  const touched = Date.now();
  await click(key);
  await page.waitForFunction((key) => window.primrack.look(key)?.power === "on", key);
  const opened = Date.now();
  const open = await shows(key, "on");
  await picture("4-door-open");
  if (open.word !== "Open") throw new Error(`it says ${open.word}, not Open`);
  const moved = (a, b) => Math.max(...a.place.map((part, n) => Math.abs(part - b.place[n])));
  if (moved(open, closed) < 0.1) throw new Error("its leaf did not move");
  for (const part of ["colour", "shape"]) {
    if (open[part] === closed[part]) throw new Error(`its ${part} did not change: ${open[part]}`);
  }

  // The bridge closes it.
  const again = await shows(key, "off");
  const closes = Date.now();
  if (again.word !== "Closed") throw new Error(`it says ${again.word}, not Closed`);
  if (moved(again, closed) > 0.001) throw new Error("its leaf is not where it was");

  await page.locator(".who select").selectOption({ label: option("but", "Eve") });
  await page.waitForSelector('[data-link="live"]');
  await click(key);
  const heard = page.locator(".lines .whisper", { hasText: "may not" }).last();
  await heard.waitFor();
  const refused = await heard.innerText();
  await picture("5-door-refused");
  const still = await look(key);
  if (still.power !== "off" || moved(still, closed) > 0.001) throw new Error(`it opened all the same: ${still.word}`);
  return { unit: key, closed, open, open_ms: opened - touched, open_for_ms: closes - opened, refused };
});
