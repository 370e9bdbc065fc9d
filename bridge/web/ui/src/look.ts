// What a state looks like: colour, word and shape, the same in 3-D, table and board.
//
// The colours keep apart for the common kinds of colour blindness (after Okabe and Ito) and differ in lightness;
// nothing depends on them, since each state has its own shape and word.

import type { Power, UnitView } from "./wire.ts";

export interface Look {
  /** Its place in the picture of all shapes. */
  index: number;
  word: string;
  colour: string;
  /** How strongly it is lit in 3-D, 0 to 1. */
  light: number;
  /** Something moves: a command is under way. */
  moving: boolean;
  /** The shape in a box of 24 by 24, drawn filled, by even-odd rule. */
  path: string;
}

export const LOOKS: Record<Power, Look> = {
  off: {
    index: 0,
    word: "Off",
    colour: "#8794a6",
    light: 0.12,
    moving: false,
    path: "M12 3a9 9 0 1 1 0 18a9 9 0 0 1 0-18zM12 6.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 0 0 0-11.6z",
  },
  starting: {
    index: 1,
    word: "Starting",
    colour: "#f2df4a",
    light: 0.8,
    moving: true,
    path: "M12 3L21 13H3zM12 11.5L21 21H3z",
  },
  on: {
    index: 2,
    word: "On",
    colour: "#2cc79b",
    light: 1,
    moving: false,
    path: "M12 2.5a9.5 9.5 0 1 1 0 19a9.5 9.5 0 0 1 0-19z",
  },
  stopping: {
    index: 3,
    word: "Stopping",
    colour: "#e69f00",
    light: 0.7,
    moving: true,
    path: "M3 3H21L12 12.5zM3 11H21L12 21z",
  },
  paused: {
    index: 4,
    word: "Paused",
    colour: "#56b4e9",
    light: 0.7,
    moving: false,
    path: "M5 3H10V21H5zM14 3H19V21H14z",
  },
  saved: {
    index: 5,
    word: "Saved",
    colour: "#d79ac6",
    light: 0.45,
    moving: false,
    path: "M12 2L22 12L12 22L2 12zM12 7L7 12L12 17L17 12z",
  },
  crashed: {
    index: 6,
    word: "Crashed",
    colour: "#ff6b4a",
    light: 1,
    moving: false,
    path: "M5.6 2.5L12 8.9L18.4 2.5L21.5 5.6L15.1 12L21.5 18.4L18.4 21.5L12 15.1L5.6 21.5L2.5 18.4L8.9 12L2.5 5.6z",
  },
  unknown: {
    index: 7,
    word: "Unknown",
    colour: "#c9d1dc",
    light: 0.3,
    moving: false,
    path: "M6.5 8.5a5.5 5.5 0 1 1 8.2 4.8c-.9.5-1.2 1-1.2 1.9V16h-3v-1.3c0-1.9.9-3 2.4-3.9a2.6 2.6 0 1 0-3.4-2.3zM10.4 18h3.2v3.2h-3.2z",
  },
};

export const STATES = Object.keys(LOOKS) as Power[];

export function lookOf(unit: Pick<UnitView, "power">): Look {
  return LOOKS[unit.power] ?? LOOKS.unknown;
}

/** The state in words: everything that colour and shape say, and more. */
export function wordsOf(unit: UnitView): string {
  const way = unit.transition ? ` (${unit.transition.action} for ${unit.transition.by})` : "";
  return `${unit.stale ? "last known: " : ""}${unit.word}${way}`;
}

/** How many units are in each state; what is stale counts apart, since nobody knows. */
export function tally(units: Iterable<UnitView>): { states: Map<Power, number>; stale: number; all: number } {
  const states = new Map<Power, number>();
  let stale = 0;
  let all = 0;
  for (const unit of units) {
    all += 1;
    if (unit.stale) stale += 1;
    else states.set(unit.power, (states.get(unit.power) ?? 0) + 1);
  }
  return { states, stale, all };
}
