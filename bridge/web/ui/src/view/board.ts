// For a projector: how many are in each state, what just happened, and where to look at it yourself.

import { ALL_LOOKS, type Look, LOOKS, lookOf, tally, wordsOf } from "../look.ts";
import type { World } from "../world.ts";
import { el, mark, staleMark } from "./dom.ts";
import { hopsOf } from "./side.ts";

const NEWS = 6;

export class Board {
  readonly element = el("aside", "board");
  readonly #counts = el("ul", "counts");
  readonly #news = el("ol", "news");
  readonly #hops = el("section", "card hops");
  readonly #address = el("p", "address");

  constructor(private readonly world: World) {
    const code = el("img", "qr");
    code.alt = "QR code of this page's address";
    code.src = "/qr.svg";
    const share = el("section", "share", code, el("div", "", el("h2", "", "On your phone"), this.#address));
    this.#news.setAttribute("aria-live", "polite");
    this.#address.textContent = location.host;
    void fetch("/qr.svg")
      .then((answer) => {
        const address = answer.headers.get("x-primrack-address");
        if (answer.ok && address) this.#address.textContent = address.replace(/^https?:\/\//, "");
        share.hidden = !answer.ok;
      })
      .catch(() => undefined);
    this.#hops.hidden = true;
    this.element.append(this.#counts, el("section", "card", el("h2", "", "Just now"), this.#news), this.#hops, share);
  }

  drawCounts(): void {
    const { looks, stale } = tally(this.world.units.values());
    const always: Look[] = [LOOKS.on, LOOKS.off, LOOKS.crashed];
    const items = ALL_LOOKS.filter((look) => always.includes(look) || looks.has(look)).map((look) => {
      const item = el("li", "", mark(look), el("b", "", String(looks.get(look) ?? 0)), el("span", "", look.word));
      item.classList.toggle("none", !looks.has(look));
      return item;
    });
    if (stale > 0) items.push(el("li", "", staleMark(), el("b", "", String(stale)), el("span", "", "Not heard")));
    this.#counts.replaceChildren(...items);
  }

  drawUnits(keys: string[]): void {
    this.drawCounts();
    for (const key of keys) {
      const unit = this.world.units.get(key);
      if (!unit) continue;
      for (const old of this.#news.querySelectorAll<HTMLElement>("li")) if (old.dataset["key"] === key) old.remove();
      const item = el("li", "", mark(lookOf(unit), unit.stale), el("b", "", unit.label), el("span", "", wordsOf(unit)));
      item.dataset["key"] = key;
      this.#news.prepend(item);
    }
    while (this.#news.children.length > NEWS) this.#news.lastElementChild?.remove();
  }

  drawHops(): void {
    const last = this.world.hops.at(-1);
    if (!last) return;
    this.#hops.hidden = false;
    this.#hops.replaceChildren(el("h2", "", "Last action"), hopsOf(last));
  }
}
