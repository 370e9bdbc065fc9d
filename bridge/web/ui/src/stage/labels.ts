// Hover text above prims, as letters of the page: sharp at any size, and only where there is room.

import { type Camera, Vector3 } from "three";
import { lookOf, wordsOf } from "../look.ts";
import { el, mark } from "../view/dom.ts";
import type { PrimView, UnitView } from "../wire.ts";
import { age } from "../world.ts";

/** How far hover text is read, in metres, and how many at once. */
const FAR = 22;
const MOST = 28;

export class Labels {
  readonly element = el("div", "labels");
  readonly #pool: { element: HTMLElement; text: string }[] = [];
  readonly #near = el("div", "label near");
  readonly #spot = new Vector3();
  #shownNear = "";

  constructor() {
    this.element.setAttribute("aria-hidden", "true");
    this.#near.hidden = true;
    this.element.append(this.#near);
  }

  #project(prim: PrimView, camera: Camera, width: number, height: number): { x: number; y: number } | undefined {
    const up = Math.max(Math.abs(prim.size[2]) / 2, 0.02);
    this.#spot.set(prim.pos[0], prim.pos[1], prim.pos[2] + up + 0.04).project(camera);
    if (this.#spot.z > 1 || Math.abs(this.#spot.x) > 1.1 || Math.abs(this.#spot.y) > 1.1) return undefined;
    return { x: (this.#spot.x * 0.5 + 0.5) * width, y: (0.5 - this.#spot.y * 0.5) * height };
  }

  /** Draws the hover text of scenery; units carry theirs on their front. */
  draw(prims: PrimView[], camera: Camera, eye: Vector3, width: number, height: number): void {
    const here = new Vector3();
    const near = prims
      .map((prim) => ({ prim, far: here.set(...prim.pos).distanceTo(eye) }))
      .filter(({ far }) => far < FAR)
      .sort((a, b) => a.far - b.far);
    const taken: [number, number, number, number][] = [];
    let used = 0;
    for (const { prim, far } of near) {
      if (used >= MOST) break;
      const spot = this.#project(prim, camera, width, height);
      if (!spot) continue;
      // From afar the first line is enough.
      const lines = prim.text.trim().split("\n").slice(0, far < 6 ? 8 : 1);
      const wide = Math.max(...lines.map((line) => line.length)) * 8 + 16;
      const tall = lines.length * 20 + 8;
      // Whole words at the edge of the picture, too.
      spot.x = Math.min(Math.max(spot.x, wide / 2), width - wide / 2);
      const box: [number, number, number, number] = [spot.x - wide / 2, spot.y - tall, spot.x + wide / 2, spot.y];
      if (taken.some(([l, t, r, b]) => box[0] < r && box[2] > l && box[1] < b && box[3] > t)) continue;
      taken.push(box);
      let entry = this.#pool[used];
      if (!entry) {
        entry = { element: el("div", "label sign"), text: "" };
        this.#pool.push(entry);
        this.element.append(entry.element);
      }
      used += 1;
      const text = lines.join("\n");
      if (entry.text !== text) {
        entry.text = text;
        entry.element.textContent = text;
      }
      const [r, g, b] = prim.text_colour.map((part) => Math.round(130 + part * 125));
      entry.element.style.color = `rgb(${r} ${g} ${b})`;
      entry.element.style.opacity = String(Math.min(1, (FAR - far) / 6));
      entry.element.style.transform = `translate(-50%, -100%) translate(${spot.x.toFixed(1)}px, ${spot.y.toFixed(1)}px)`;
      entry.element.hidden = false;
    }
    for (const entry of this.#pool.slice(used)) entry.element.hidden = true;
  }

  /** The card at what is pointed at or has the focus. */
  point(prim: PrimView | undefined, unit: UnitView | undefined, now: number, camera: Camera, width: number, height: number): void {
    const spot = prim && this.#project(prim, camera, width, height);
    if (!prim || !spot || (!unit && !prim.text)) {
      this.#near.hidden = true;
      return;
    }
    this.#near.hidden = false;
    const words = unit
      ? `${unit.label}|${unit.power}|${wordsOf(unit)}|${unit.note}|${age(unit.since_ms, now)}`
      : prim.text;
    if (words !== this.#shownNear) {
      this.#shownNear = words;
      if (unit) {
        const made = unit.simulated ? " (simulated)" : "";
        this.#near.replaceChildren(
          el("b", "", unit.label),
          mark(lookOf(unit), unit.stale),
          ` ${wordsOf(unit)}${made}`,
          el("small", "", ` for ${age(unit.since_ms, now)}`),
        );
        if (unit.note) this.#near.append("\n", el("small", "", unit.note));
      } else {
        this.#near.textContent = prim.text;
      }
    }
    const x = Math.min(Math.max(spot.x, 110), width - 110);
    const y = Math.max(spot.y, 130);
    this.#near.style.transform = `translate(-50%, -100%) translate(${x.toFixed(1)}px, ${(y - 6).toFixed(1)}px)`;
  }
}
