// Puts the page together: one world, one stream, and the views that draw from it.

import "./style.css";
import { act } from "./act.ts";
import { ALL_LOOKS, lookOf, tally } from "./look.ts";
import type { Stage } from "./stage/stage.ts";
import { Stream, type Link } from "./stream.ts";
import { Board } from "./view/board.ts";
import { button, el, mark, remember, remembered, staleMark } from "./view/dom.ts";
import { Side } from "./view/side.ts";
import { Table } from "./view/table.ts";
import type { Deed } from "./wire.ts";
import { apply, emptyWorld, welcome, type Touched } from "./world.ts";

const audience = location.pathname.startsWith("/audience");
const query = new URLSearchParams(location.search);
const app = document.getElementById("app") ?? document.body;
const world = emptyWorld();
let me = "";
let stage: Stage | undefined;
const drawn = drawer();

document.documentElement.classList.toggle("audience", audience);

// --- the frame -------------------------------------------------------------------------------------------------

const regionName = el("span", "region", "");
const simulated = el("span", "chip simulated", "Simulated");
simulated.hidden = true;
simulated.title = "No real grid is behind this region.";
const link = el("span", "chip link", "Connecting");
link.setAttribute("role", "status");
const tools = el("nav", "tools");
tools.setAttribute("aria-label", "View");
const head = el("header", "head", el("h1", "", "Primrack"), regionName, simulated, link, tools);
const holder = el("div", "stage");
const legend = el("ul", "legend");
legend.setAttribute("aria-label", "How many units are in each state");
const note = el("div", "toast");
note.setAttribute("role", "status");
const table = new Table(world, (key) => touch(key), drawn !== "none" ? "" : "This browser shows no 3-D (WebGL 2 is off), so here is the same region as a table.");
const side = new Side(world, {
  avatar: () => me,
  become: (avatar) => {
    me = avatar;
    remember("avatar", avatar);
    world.asked = [];
    side.drawAsked();
    side.drawWho();
    stream.open(me);
  },
  choose: (dialog, label) => send({ deed: "choose", avatar: me, dialog, button: label }),
  write: (dialog, text) => send({ deed: "write", avatar: me, dialog, text }),
});
const board = audience ? new Board(world) : undefined;
table.element.hidden = true;
const main = el("main", "main", holder, table.element);
app.append(head, main, board?.element ?? side.element, legend, note);

// --- doing -----------------------------------------------------------------------------------------------------

let toastEnds: ReturnType<typeof setTimeout> | undefined;
function toast(words: string): void {
  note.textContent = words;
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => (note.textContent = ""), 6_000);
}

function send(deed: Deed): void {
  void act(deed).then((why) => why && toast(why));
}

function touch(key: string): void {
  const prim = world.primOf.get(key);
  if (prim !== undefined) touchPrim(prim);
}

function touchPrim(prim: number): void {
  if (audience) return;
  if (!world.touchable) toast("This page only shows the region: touch it in the world.");
  else send({ deed: "touch", avatar: me, prim });
}

// --- views -----------------------------------------------------------------------------------------------------

/** What draws: nothing, a graphics card, or the processor. */
function drawer(): "none" | "card" | "software" {
  if (query.get("webgl") === "off") return "none";
  try {
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe) return "none";
    const named = probe.getExtension("WEBGL_debug_renderer_info");
    const name = String(probe.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : probe.RENDERER));
    probe.getExtension("WEBGL_lose_context")?.loseContext();
    return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name) ? "software" : "card";
  } catch {
    return "none";
  }
}

const viewButton = button("", "tool", () => show(table.element.hidden ? "table" : "3d"));
const textButton = button("Large text", "tool", () => large(!document.documentElement.classList.contains("large")));

function large(on: boolean): void {
  document.documentElement.classList.toggle("large", on);
  textButton.setAttribute("aria-pressed", String(on));
  remember("text", on ? "large" : "normal");
  stage?.resize();
}

function show(view: "3d" | "table"): void {
  const flat = view === "table";
  table.element.hidden = !flat;
  holder.hidden = flat;
  document.documentElement.classList.toggle("flat", flat);
  viewButton.textContent = flat ? "3-D" : "Table";
  viewButton.title = flat ? "Show the region in 3-D" : "Show the same region as a table";
  remember("view", view);
  if (flat) table.drawAll();
  else void raise();
}

/** Loads the 3-D view when it is first wanted: the frame and the table do not wait for it. */
async function raise(): Promise<void> {
  if (stage) {
    stage.wake();
    return;
  }
  holder.classList.add("loading");
  try {
    const { Stage } = await import("./stage/stage.ts");
    stage = new Stage(holder, world, { touch: touchPrim, still: audience, software: drawn === "software" });
    stage.draw({ all: true });
    if (!audience) {
      for (const extra of stage.tools()) tools.prepend(extra);
      void stage.headset().then((enter) => enter && tools.prepend(enter));
    }
  } catch (error) {
    console.error(error);
    toast("The 3-D view could not start; here is the table.");
    viewButton.hidden = true;
    show("table");
  } finally {
    holder.classList.remove("loading");
  }
}

function drawLegend(): void {
  const { looks, stale } = tally(world.units.values());
  const items = ALL_LOOKS.filter((look) => looks.has(look)).map((look) =>
    el("li", "", mark(look), el("b", "", String(looks.get(look))), " ", look.word),
  );
  if (stale > 0) items.push(el("li", "", staleMark(), el("b", "", String(stale)), " Not heard (last known)"));
  legend.replaceChildren(...items);
}

function draw(touched: Touched): void {
  const { all, units, asked, lines, hops } = touched;
  stage?.draw(touched);
  if (all) {
    regionName.textContent = world.region.name;
    regionName.title = world.region.note;
    simulated.hidden = !world.region.simulated;
    document.title = `${world.region.name || "Region"} · Primrack`;
    side.drawWho();
    board?.drawCounts();
    if (!table.element.hidden) table.drawAll();
  }
  if (units) {
    if (!table.element.hidden) table.drawUnits(units);
    board?.drawUnits(units);
  }
  if (all || units) drawLegend();
  if (asked) side.drawAsked();
  if (lines) side.drawLines();
  if (hops) {
    side.drawHops();
    board?.drawHops();
  }
}

// --- the stream ------------------------------------------------------------------------------------------------

const LINKS: Record<Link, string> = { connecting: "Connecting", live: "Live", lost: "No answer, trying again" };

const stream = new Stream({
  welcome: (view) => {
    draw(welcome(world, view, Date.now()));
    if (audience || !world.touchable || world.avatars.some((avatar) => avatar.id === me)) return;
    const wanted = query.get("as") ?? remembered("avatar");
    const known = world.avatars.find((avatar) => avatar.id === wanted) ?? world.avatars[0];
    if (known) {
      me = known.id;
      side.drawWho();
      stream.open(me);
    }
  },
  change: (change) => draw(apply(world, change, Date.now())),
  link: (state) => {
    if (link.dataset["link"] === state) return;
    link.dataset["link"] = state;
    link.textContent = LINKS[state];
    document.documentElement.classList.toggle("lost", state === "lost");
  },
});

if (!audience) {
  const projector = el("a", "tool", "Audience");
  projector.href = "/audience";
  projector.title = "A read-only view with large letters, for a projector";
  tools.append(projector);
}
tools.append(textButton);
if (drawn !== "none") tools.append(viewButton);
large((query.get("text") ?? remembered("text")) === "large");
const wanted = query.get("view") ?? (audience ? "3d" : remembered("view"));
show(drawn !== "none" && wanted !== "table" ? "3d" : "table");
stream.open("");

// --- for tests that look at the picture, only where the address asks for it ------------------------------------

if (query.has("test")) {
  const eyes = {
    find: (wanted?: string) =>
      wanted
        ? world.units.has(wanted) && wanted
        : [...world.units].find(([key, unit]) => unit.power === "off" && !unit.stale && stage?.spot(key))?.[0],
    spot: (key: string) => stage?.spot(key),
    focused: () => stage?.focused,
    count: () => world.units.size,
    look: (key: string) => {
      const unit = world.units.get(key);
      const shape = unit && lookOf(unit).path;
      const prim = world.prims.get(world.primOf.get(key) ?? -1);
      const place = prim && [...prim.pos, ...prim.rot];
      return unit && { label: unit.label, power: unit.power, word: unit.word, shape, place, ...stage?.shown(key) };
    },
  };
  Object.assign(window, { primrack: eyes });
}
