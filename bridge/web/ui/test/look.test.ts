import { expect, test } from "vitest";
import { ALL_LOOKS, KINDS, LOOKS, STATES, WORDS, lookOf, tally, wordsOf } from "../src/look.ts";
import type { UnitView } from "../src/wire.ts";

const unit = (part: Partial<UnitView>): UnitView =>
  ({ power: "on", kind: "machine", word: "On", stale: false, transition: null, ...part }) as UnitView;

/** Relative luminance after WCAG 2. */
function luminance(colour: string): number {
  const part = (at: number): number => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
}

test("every state has its own colour, word and shape", () => {
  for (const part of ["colour", "word", "path", "index"] as const) {
    expect(new Set(STATES.map((state) => LOOKS[state][part])).size).toBe(STATES.length);
  }
});

test("every colour is read on the ground: 4.5 to 1 at least", () => {
  const ground = luminance("#1b2530");
  for (const { colour, word } of ALL_LOOKS) {
    expect((luminance(colour) + 0.05) / (ground + 0.05), word).toBeGreaterThan(4.5);
  }
});

test("a state that this page does not know looks unknown", () => {
  expect(lookOf(unit({ power: "melted" as UnitView["power"] }))).toBe(LOOKS.unknown);
});

test("words say what is under way, and what is old", () => {
  const transition = { action: "Start", by: "Ada", since_ms: 0 };
  expect(wordsOf(unit({ word: "Starting", transition }))).toBe("Starting (Start for Ada)");
  expect(wordsOf(unit({ stale: true }))).toBe("last known: On");
});

test("what is not heard from is not counted as on", () => {
  const { looks, stale, all } = tally([unit({}), unit({ stale: true }), unit({ power: "off" })]);
  expect([looks.get(LOOKS.on), looks.get(LOOKS.off), stale, all]).toEqual([1, 1, 1, 3]);
});

test("a door, a lamp and an alarm have shapes of their own in each state, and words as the bridge's", () => {
  for (const looks of Object.values(KINDS)) {
    const all = new Set(STATES.map((state) => looks[state] ?? LOOKS[state]));
    expect(all.size).toBeGreaterThanOrEqual(6);
    expect(new Set([...all].map((look) => look.path)).size).toBe(all.size);
    expect(new Set([...all].map((look) => look.word)).size).toBe(all.size);
  }
  expect(lookOf(unit({ kind: "door" })).word).toBe("Open");
  expect(lookOf(unit({ kind: "door", power: "off" })).word).toBe("Closed");
  expect(lookOf(unit({ kind: "alarm", power: "paused" })).word).toBe("Acknowledged");
  expect(lookOf(unit({ kind: "door", power: "unknown" }))).toBe(LOOKS.unknown);
  expect(lookOf(unit({ kind: "group", power: "unknown" })).word).toBe("Mixed");
  expect(lookOf(unit({ kind: "group", power: "unknown", stale: true }))).toBe(LOOKS.unknown);
});

test("the picture of all shapes has room for every look and every word", () => {
  expect(Math.max(...ALL_LOOKS.map((look) => look.index))).toBeLessThan(16);
  const shapes = new Map<number, string>();
  for (const look of ALL_LOOKS) {
    expect(shapes.get(look.index) ?? look.path).toBe(look.path);
    shapes.set(look.index, look.path);
  }
  expect(WORDS.length).toBeLessThanOrEqual(24);
});
