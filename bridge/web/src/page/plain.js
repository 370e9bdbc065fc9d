// The page without a build step: the same stream as a table.
"use strict";

const MARKS = { off: "○", starting: "▲", on: "●", stopping: "▼", paused: "‖", saved: "⌂", crashed: "✕", unknown: "?" };
const by = (id) => document.getElementById(id);
const units = new Map();
const prims = new Map();
let acting = false;
let source;

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function act(deed) {
  const answer = await fetch("/page/act", {
    method: "POST",
    headers: { "content-type": "application/json", "x-primrack-page": "1" },
    body: JSON.stringify({ avatar: by("avatar").value, ...deed }),
  });
  if (!answer.ok) {
    const why = await answer.json().catch(() => ({}));
    say("Page", why.error || `refused (${answer.status})`);
  }
}

function say(from, text) {
  const log = by("log");
  log.append(make("li", `${from}: ${text}`));
  while (log.children.length > 50) log.firstChild.remove();
}

function row(unit) {
  const key = `${unit.object}/${unit.unit}`;
  let line = units.get(key);
  if (!line) {
    line = make("tr");
    units.set(key, line);
    by("units").append(line);
  }
  const state = make("td");
  state.append(make("span", MARKS[unit.power] || "?", { class: "mark", "aria-hidden": "true" }));
  const way = unit.transition ? ` (${unit.transition.action}, ${unit.transition.by})` : "";
  state.append((unit.stale ? "last known: " : "") + unit.word + way + (unit.simulated ? " (simulated)" : ""));
  const touch = make("td");
  if (acting && prims.has(key)) {
    const button = make("button", "Touch", { "aria-label": `Touch ${unit.label}`, type: "button" });
    button.onclick = () => act({ deed: "touch", prim: prims.get(key) });
    touch.append(button);
  }
  const focused = line.contains(document.activeElement);
  line.className = unit.stale ? "stale" : "";
  line.replaceChildren(make("td", unit.object_label), make("td", String(unit.unit)), make("td", unit.label), state, make("td", unit.note), touch);
  if (focused) line.querySelector("button")?.focus();
}

function ask(event) {
  const box = by("ask");
  box.hidden = false;
  box.replaceChildren(make("strong", event.from), make("p", event.text));
  const done = () => { box.hidden = true; };
  if (event.kind === "dialog") {
    for (const label of event.buttons) {
      const button = make("button", label, { type: "button" });
      button.onclick = () => { done(); act({ deed: "choose", dialog: event.dialog, button: label }); };
      box.append(button);
    }
  } else {
    const input = make("input", undefined, { "aria-label": event.text });
    const button = make("button", "Send", { type: "button" });
    button.onclick = () => { done(); act({ deed: "write", dialog: event.dialog, text: input.value }); };
    box.append(input, button);
  }
}

function place(list) {
  for (const prim of list) if (prim.unit != null && prim.object) prims.set(`${prim.object}/${prim.unit}`, prim.id);
}

function snapshot(scene) {
  acting = scene.acting && scene.touchable;
  by("region").textContent = scene.region.name;
  by("simulated").hidden = !scene.region.simulated;
  const chooser = by("avatar");
  const was = chooser.value;
  chooser.replaceChildren(...scene.avatars.map((avatar) => make("option", avatar.name, { value: avatar.id })));
  if (scene.avatars.some((avatar) => avatar.id === was)) chooser.value = was;
  by("who").hidden = !acting || scene.avatars.length === 0;
  const may = () => { by("may").textContent = scene.avatars.find((avatar) => avatar.id === chooser.value)?.note || ""; };
  chooser.onchange = () => { may(); connect(); };
  may();
  units.clear();
  prims.clear();
  by("units").replaceChildren();
  place(scene.prims);
  scene.units.forEach(row);
  if (acting && chooser.value && new URL(source.url).searchParams.get("as") !== chooser.value) connect();
}

function change(event) {
  if (event.kind === "units") event.units.forEach(row);
  else if (event.kind === "prims") place(event.prims);
  else if (event.kind === "say") say(event.from, event.text);
  else if (event.kind === "dialog" || event.kind === "text-box") ask(event);
  else if (event.kind === "hops") say(event.what, `${event.words} (${event.hops.map((hop) => `${hop.name} ${hop.ms.toFixed(0)} ms`).join(", ")})`);
}

function connect() {
  source?.close();
  const who = by("avatar").value;
  source = new EventSource(who ? `/page/stream?as=${encodeURIComponent(who)}` : "/page/stream");
  source.onopen = () => { by("link").textContent = "Live"; };
  source.onerror = () => { by("link").textContent = "The bridge does not answer; trying again"; };
  source.addEventListener("snapshot", (message) => snapshot(JSON.parse(message.data)));
  source.addEventListener("change", (message) => change(JSON.parse(message.data)));
}

connect();
