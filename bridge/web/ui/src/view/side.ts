// Beside the region: who you are, what asks you, what the last action took, what was said.

import { LOOKS } from "../look.ts";
import { age, answered, type World } from "../world.ts";
import type { DialogEvent, TextBoxEvent } from "../wire.ts";
import { button, el } from "./dom.ts";

export interface Doing {
  avatar(): string;
  become(avatar: string): void;
  choose(dialog: number, button: string): void;
  write(dialog: number, text: string): void;
}

export class Side {
  readonly element = el("aside", "side");
  readonly #who = el("section", "card who");
  readonly #asked = el("section", "asked");
  readonly #hops = el("section", "card hops");
  readonly #lines = el("ol", "lines");
  readonly #log = el("section", "card log", el("h2", "", "Heard"), this.#lines);
  readonly #select = el("select");
  readonly #may = el("p", "may");
  #shown = 0;

  constructor(
    private readonly world: World,
    private readonly doing: Doing,
  ) {
    this.element.setAttribute("aria-label", "You and what is said to you");
    this.#asked.setAttribute("aria-live", "assertive");
    this.#lines.setAttribute("aria-live", "polite");
    this.#lines.tabIndex = 0;
    this.#lines.setAttribute("aria-label", "Heard");
    const label = el("label", "", "You are ", this.#select);
    this.#who.append(label, this.#may);
    this.#select.addEventListener("change", () => this.doing.become(this.#select.value));
    this.element.append(this.#who, this.#asked, this.#hops, this.#log);
    this.drawHops();
    this.drawLines();
  }

  drawWho(): void {
    const { world } = this;
    const me = this.doing.avatar();
    this.#select.replaceChildren(
      ...world.avatars.map((avatar) => {
        const option = el("option", "", avatar.name);
        option.value = avatar.id;
        return option;
      }),
    );
    this.#select.value = me;
    const known = world.avatars.find((avatar) => avatar.id === me);
    this.#who.hidden = false;
    this.#select.parentElement!.hidden = !world.touchable || world.avatars.length === 0;
    this.#may.textContent = world.touchable
      ? (known?.note ?? "")
      : "This page only shows the region: touch things in the world.";
  }

  drawAsked(): void {
    const shown = new Map<string, HTMLElement>();
    for (const card of this.#asked.querySelectorAll<HTMLElement>("[data-dialog]")) {
      shown.set(card.dataset["dialog"] ?? "", card);
    }
    const wanted = new Set(this.world.asked.map((asked) => String(asked.dialog)));
    for (const [id, card] of shown) if (!wanted.has(id)) card.remove();
    for (const asked of this.world.asked) {
      if (shown.has(String(asked.dialog))) continue;
      const card = this.#card(asked);
      this.#asked.prepend(card);
      card.querySelector<HTMLElement>("button.choice, input")?.focus({ preventScroll: true });
    }
  }

  #card(asked: DialogEvent | TextBoxEvent): HTMLElement {
    const title = el("h2", "", asked.from);
    title.id = `asked-${asked.dialog}`;
    const close = (): void => {
      answered(this.world, asked.dialog);
      this.drawAsked();
      document.querySelector<HTMLElement>("[data-home]")?.focus({ preventScroll: true });
    };
    const away = button("×", "away", close);
    away.setAttribute("aria-label", "Close without an answer");
    const card = el("div", "card ask", el("div", "row", title, away), el("p", "text", asked.text));
    card.dataset["dialog"] = String(asked.dialog);
    card.setAttribute("role", "dialog");
    card.setAttribute("aria-labelledby", title.id);
    card.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    if (asked.kind === "dialog") {
      const choices = el("div", "choices");
      for (const label of asked.buttons) {
        choices.append(
          button(label, "choice", () => {
            close();
            this.doing.choose(asked.dialog, label);
          }),
        );
      }
      card.append(choices);
    } else {
      const input = el("input");
      input.maxLength = 250;
      input.setAttribute("aria-label", asked.text);
      const send = (): void => {
        close();
        this.doing.write(asked.dialog, input.value);
      };
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") send();
      });
      card.append(el("div", "row", input, button("Send", "choice", send)));
    }
    return card;
  }

  drawHops(): void {
    const last = this.world.hops.at(-1);
    this.#hops.hidden = last === undefined;
    if (last === undefined) return;
    this.#hops.replaceChildren(el("h2", "", "Last action"), hopsOf(last));
  }

  drawLines(): void {
    this.#log.hidden = this.world.lines.length === 0;
    const now = Date.now();
    for (const line of this.world.lines) {
      if (line.id <= this.#shown) continue;
      this.#shown = line.id;
      const item = el("li", line.whisper ? "whisper" : "", el("b", "", line.from), " ", line.text);
      if (line.whisper) item.append(el("span", "only", "only you hear this"));
      item.title = `${age(line.at, now)} ago`;
      this.#lines.append(item);
    }
    while (this.#lines.children.length > 60) this.#lines.firstElementChild?.remove();
    this.#lines.scrollTop = this.#lines.scrollHeight;
  }
}

/** The way of an action as a bar of its legs and a list of them. */
export function hopsOf(action: { what: string; words: string; hops: { name: string; ms: number }[] }): HTMLElement {
  const all = action.hops.reduce((sum, hop) => sum + hop.ms, 0);
  const bar = el("div", "bar");
  bar.setAttribute("aria-hidden", "true");
  const list = el("ol", "legs");
  const shades = [LOOKS.paused.colour, LOOKS.on.colour, LOOKS.starting.colour, LOOKS.saved.colour, LOOKS.stopping.colour];
  action.hops.forEach((hop, n) => {
    const shade = shades[n % shades.length] ?? "#fff";
    const leg = el("i");
    // A share below 3 % would not be seen.
    leg.style.flexGrow = String(Math.max(hop.ms, all * 0.03));
    leg.style.background = shade;
    bar.append(leg);
    const dot = el("i", "dot");
    dot.style.background = shade;
    list.append(el("li", "", dot, el("span", "", hop.name), el("b", "", milliseconds(hop.ms))));
  });
  const title = el("p", "what", el("b", "", action.what), ` ${action.words}`);
  const total = el("span", "total", milliseconds(all));
  return el("div", "way", el("div", "row", title, total), bar, list);
}

export function milliseconds(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}
