// What a state looks like: colour, word and shape, the same in 3-D, table and board.
//
// The colours keep apart for the common kinds of colour blindness (after Okabe and Ito) and differ in lightness;
// nothing depends on them, since each state has its own shape and word.

import type { Kind, Power, UnitView } from "./wire.ts";

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

const FRAME = "M4 2H20V22H18V4H6V22H4z";

// An alarm is either sounding or not: to become so is no state of its own.
const SOUNDING: Look = {
  ...LOOKS.crashed,
  index: 13,
  word: "Sounding",
  moving: true,
  path: "M12 1.5L23.5 21.5H.5zM10.7 8.5h2.6l-.4 7h-1.8zM10.7 17h2.6v2.4h-2.6z",
};
const QUIET: Look = { ...LOOKS.off, index: 15, word: "Quiet", path: "M12 1.5L23.5 21.5H.5zM12 6L4.2 19.4H19.8z" };

/** What is called and drawn otherwise than a machine: the words are those of the bridge. */
export const KINDS: Partial<Record<Kind, Partial<Record<Power, Look>>>> = {
  door: {
    on: { ...LOOKS.on, index: 8, word: "Open", path: `${FRAME}M7.5 5.5L14 8V22L7.5 19.5z` },
    off: { ...LOOKS.off, index: 9, word: "Closed", path: "M4 2H20V22H4zM14.5 11h2.4v2.8h-2.4z" },
    starting: { ...LOOKS.starting, index: 10, word: "Opening", path: `${FRAME}M7.5 5.5L16.5 6.5V21.5L7.5 19.5z` },
    stopping: { ...LOOKS.stopping, index: 11, word: "Closing", path: `${FRAME}M16.5 5.5L7.5 6.5V21.5L16.5 19.5z` },
  },
  output: {
    on: {
      ...LOOKS.on,
      index: 12,
      colour: "#ffe08a",
      path: "M12 1.5a7 7 0 0 1 4 12.7V17H8v-2.8A7 7 0 0 1 12 1.5zM8 18.2h8V20H8zM9.8 21h4.4v1.6H9.8z",
    },
    starting: { ...LOOKS.starting, word: "Switching on" },
    stopping: { ...LOOKS.stopping, word: "Switching off" },
  },
  alarm: {
    on: SOUNDING,
    starting: SOUNDING,
    paused: {
      ...LOOKS.stopping,
      index: 14,
      word: "Acknowledged",
      moving: false,
      path: "M12 1.5L23.5 21.5H.5zM7.4 15.2L9 13.6L11.2 15.8L15.2 11.6L16.8 13.2L11.2 19z",
    },
    off: QUIET,
    stopping: QUIET,
  },
  // Its members are known and differ: not On and not Off.
  group: { unknown: { ...LOOKS.unknown, word: "Mixed" } },
};

/** Every look there is, in the order of a legend. */
export const ALL_LOOKS: Look[] = [
  ...new Set([...Object.values(LOOKS), ...Object.values(KINDS).flatMap((looks) => Object.values(looks))]),
];

/** Every word of a look, in the order of the picture of all shapes. */
export const WORDS = [...new Set(ALL_LOOKS.map((look) => look.word))];

export function lookOf(unit: Pick<UnitView, "power" | "kind" | "stale">): Look {
  if (unit.power === "unknown" && unit.stale) return LOOKS.unknown;
  return KINDS[unit.kind]?.[unit.power] ?? LOOKS[unit.power] ?? LOOKS.unknown;
}

/** The state in words: everything that colour and shape say, and more. */
export function wordsOf(unit: UnitView): string {
  const way = unit.transition ? ` (${unit.transition.action} for ${unit.transition.by})` : "";
  return `${unit.stale ? "last known: " : ""}${unit.word}${way}`;
}

/** How many units look like what; what is stale counts apart, since nobody knows. */
export function tally(units: Iterable<UnitView>): { looks: Map<Look, number>; stale: number; all: number } {
  const looks = new Map<Look, number>();
  let stale = 0;
  let all = 0;
  for (const unit of units) {
    all += 1;
    if (unit.stale) stale += 1;
    else looks.set(lookOf(unit), (looks.get(lookOf(unit)) ?? 0) + 1);
  }
  return { looks, stale, all };
}
