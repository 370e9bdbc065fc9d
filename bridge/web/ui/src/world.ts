// The world as this page knows it: a snapshot and the changes since. No DOM, no camera.

import type {
  AvatarView,
  Change,
  DialogEvent,
  HopsEvent,
  PrimView,
  RegionView,
  TextBoxEvent,
  UnitView,
  Welcome,
} from "./wire.ts";

export interface Line {
  id: number;
  from: string;
  text: string;
  whisper: boolean;
  at: number;
}

export interface World {
  region: RegionView;
  avatars: AvatarView[];
  prims: Map<number, PrimView>;
  units: Map<string, UnitView>;
  /** Unit to the prim that a touch on it goes to. */
  primOf: Map<string, number>;
  touchable: boolean;
  /** Server clock minus ours. */
  skew: number;
  asked: (DialogEvent | TextBoxEvent)[];
  lines: Line[];
  hops: (HopsEvent & { at: number })[];
}

/** What a change touched, so that a view draws no more than that. */
export interface Touched {
  all?: true;
  prims?: number[];
  gone?: number[];
  units?: string[];
  asked?: true;
  lines?: true;
  hops?: true;
}

const KEPT_LINES = 60;
const KEPT_HOPS = 4;
const KEPT_ASKED = 5;
let lineId = 0;

export function emptyWorld(): World {
  return {
    region: { name: "", simulated: false, size: [0, 0], note: "" },
    avatars: [],
    prims: new Map(),
    units: new Map(),
    primOf: new Map(),
    touchable: false,
    skew: 0,
    asked: [],
    lines: [],
    hops: [],
  };
}

export const unitKey = (of: { object: string; unit: number | null }): string =>
  `${of.object}/${of.unit ?? ""}`;

function bind(world: World, prim: PrimView): void {
  if (prim.unit === null || prim.object === "") return;
  const key = unitKey(prim);
  const known = world.primOf.get(key);
  if (known === undefined || prim.id <= known) world.primOf.set(key, prim.id);
}

/** Takes a snapshot. Words heard and menus open stay: a lost connection does not forget them. */
export function welcome(world: World, view: Welcome, now: number): Touched {
  world.region = view.region;
  world.avatars = view.avatars;
  world.touchable = view.touchable && view.acting;
  world.skew = view.now_ms - now;
  world.prims = new Map(view.prims.map((prim) => [prim.id, prim]));
  world.units = new Map(view.units.map((unit) => [unitKey(unit), unit]));
  world.primOf = new Map();
  for (const prim of view.prims) bind(world, prim);
  return { all: true };
}

export function apply(world: World, change: Change, now: number): Touched {
  switch (change.kind) {
    case "prims":
      for (const prim of change.prims) {
        world.prims.set(prim.id, prim);
        bind(world, prim);
      }
      return { prims: change.prims.map((prim) => prim.id) };
    case "gone": {
      const gone = new Set(change.ids);
      for (const id of gone) world.prims.delete(id);
      for (const [key, id] of world.primOf) if (gone.has(id)) world.primOf.delete(key);
      return { gone: change.ids };
    }
    case "units":
      for (const unit of change.units) world.units.set(unitKey(unit), unit);
      return { units: change.units.map(unitKey) };
    case "dialog":
    case "text-box":
      // A newer question from the same object replaces the older one, as a person would expect.
      world.asked = [...world.asked.filter((old) => old.from !== change.from), change].slice(-KEPT_ASKED);
      return { asked: true };
    case "say":
      world.lines = [
        ...world.lines,
        { id: ++lineId, from: change.from, text: change.text, whisper: change.to !== undefined, at: now },
      ].slice(-KEPT_LINES);
      return { lines: true };
    case "hops":
      world.hops = [...world.hops, { ...change, at: now }].slice(-KEPT_HOPS);
      return { hops: true };
    case "beat":
      world.skew = change.now_ms - now;
      return {};
  }
}

/** Closes a menu or a text box. */
export function answered(world: World, dialog: number): Touched {
  world.asked = world.asked.filter((asked) => asked.dialog !== dialog);
  return { asked: true };
}

/** How old something is, in words: "now", "12 s", "3 min", "5 h", "2 d". */
export function age(since: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - since) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
