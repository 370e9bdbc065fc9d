import { LOOKS, type Look } from "../look.ts";

type Child = Node | string | undefined | false;
const SVG = "http://www.w3.org/2000/svg";

/** An element with a class and children. Text is only ever text. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const child of children) if (child) element.append(child);
  return element;
}

export function button(words: string, className: string, press: () => void): HTMLButtonElement {
  const element = el("button", className, words);
  element.type = "button";
  element.addEventListener("click", press);
  return element;
}

/** A state's shape in its colour; the word stands beside it, so it is silent. */
export function mark(look: Look, stale = false): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("mark");
  if (stale) svg.classList.add("stale");
  svg.dataset["state"] = String(look.index);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", look.path);
  path.setAttribute("fill-rule", "evenodd");
  path.setAttribute("fill", look.colour);
  svg.append(path);
  return svg;
}

export const staleMark = (): SVGSVGElement => mark({ ...LOOKS.unknown, path: "M3 10h4v4H3zM10 10h4v4h-4zM17 10h4v4h-4z" });

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`primrack.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`primrack.${name}`, value);
  } catch {
    // A browser without storage forgets; nothing else is lost.
  }
}
