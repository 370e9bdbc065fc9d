// The same world without 3-D: a rack elevation and a table, both live, both usable by keyboard alone.

import { lookOf, wordsOf } from "../look.ts";
import { age, unitKey, type World } from "../world.ts";
import type { UnitView } from "../wire.ts";
import { button, el, mark } from "./dom.ts";

export class Table {
  readonly element = el("section", "plain");
  readonly #racks = el("div", "racks");
  readonly #rows = el("tbody");
  readonly #parts = new Map<string, { row: HTMLTableRowElement; slot: HTMLElement }>();

  constructor(
    private readonly world: World,
    private readonly touch: (key: string) => void,
    reason: string,
  ) {
    const head = el("tr");
    for (const name of ["Object", "Unit", "Target", "State", "For", "Note", "Touch"]) {
      const cell = el("th", "", name);
      cell.scope = "col";
      head.append(cell);
    }
    const table = el("table", "", el("caption", "", "Units and what they show"), el("thead", "", head), this.#rows);
    const title = el("h2", "", "Racks from the front");
    if (reason) this.element.append(el("p", "reason", reason));
    this.element.append(title, this.#racks, el("div", "scroll", table));
    setInterval(() => this.#ages(), 5_000);
  }

  drawAll(): void {
    this.#parts.clear();
    this.#rows.replaceChildren();
    this.#racks.replaceChildren();
    const racks = new Map<string, UnitView[]>();
    for (const unit of this.world.units.values()) {
      const rack = racks.get(unit.object);
      if (rack) rack.push(unit);
      else racks.set(unit.object, [unit]);
    }
    for (const units of racks.values()) {
      units.sort((a, b) => a.unit - b.unit);
      const list = el("ol", "slots");
      for (const unit of units) {
        const slot = el("li");
        const row = el("tr");
        this.#parts.set(unitKey(unit), { row, slot });
        list.append(slot);
        this.#rows.append(row);
        this.#draw(unit);
      }
      this.#racks.append(el("div", "rack", el("h3", "", units[0]?.object_label ?? ""), list));
    }
  }

  drawUnits(keys: string[]): void {
    for (const key of keys) {
      const unit = this.world.units.get(key);
      if (!unit) continue;
      if (this.#parts.has(key)) this.#draw(unit);
      else this.drawAll();
    }
  }

  #draw(unit: UnitView): void {
    const key = unitKey(unit);
    const parts = this.#parts.get(key);
    if (!parts) return;
    const { row, slot } = parts;
    const look = lookOf(unit);
    const words = wordsOf(unit) + (unit.simulated ? " (simulated)" : "");
    const touchable = this.world.touchable && this.world.primOf.has(key);

    const focusedSlot = slot.contains(document.activeElement);
    const face = el("span", "face", mark(look, unit.stale), el("span", "name", unit.label), el("span", "word", (unit.stale ? "last known: " : "") + unit.word));
    if (touchable) {
      const press = button("", "slot", () => this.touch(key));
      press.append(face);
      press.setAttribute("aria-label", `${unit.label}, ${words}. Touch`);
      slot.replaceChildren(press);
      if (focusedSlot) press.focus({ preventScroll: true });
    } else {
      slot.replaceChildren(el("div", "slot", face));
    }
    slot.dataset["state"] = unit.power;
    slot.classList.toggle("stale", unit.stale);
    slot.style.setProperty("--state", look.colour);

    const focused = row.contains(document.activeElement);
    const state = el("td", "state", mark(look, unit.stale), words);
    const since = el("td", "age", this.#age(unit));
    since.dataset["since"] = key;
    const last = el("td");
    if (touchable) {
      const press = button("Touch", "small", () => this.touch(key));
      press.setAttribute("aria-label", `Touch ${unit.label} in ${unit.object_label}`);
      last.append(press);
    }
    const name = el("th", "", unit.label);
    name.scope = "row";
    row.replaceChildren(el("td", "", unit.object_label), el("td", "", String(unit.unit)), name, state, since, el("td", "", unit.note), last);
    row.classList.toggle("stale", unit.stale);
    if (focused) last.querySelector("button")?.focus({ preventScroll: true });
  }

  #age(unit: UnitView): string {
    return age(unit.since_ms, Date.now() + this.world.skew);
  }

  #ages(): void {
    if (this.element.hidden) return;
    for (const cell of this.#rows.querySelectorAll<HTMLElement>("[data-since]")) {
      const unit = this.world.units.get(cell.dataset["since"] ?? "");
      if (unit) cell.textContent = this.#age(unit);
    }
  }
}
