import { beforeEach, expect, test } from "vitest";
import type { PrimView, UnitView, Welcome } from "../src/wire.ts";
import { age, answered, apply, emptyWorld, unitKey, welcome, type World } from "../src/world.ts";

const prim = (id: number, unit: number | null): PrimView => ({
  id,
  object: unit === null ? "" : "rack-1",
  link: 2,
  unit,
  shape: "box",
  pos: [0, 0, 0],
  rot: [0, 0, 0, 1],
  size: [1, 1, 1],
  colour: [1, 1, 1],
  alpha: 1,
  glow: 0,
  fullbright: false,
  light: 0,
  spin: 0,
  text: "",
  text_colour: [1, 1, 1],
  name: "",
});

const unit = (number: number, power: UnitView["power"]): UnitView => ({
  object: "rack-1",
  object_label: "Rack 1",
  unit: number,
  target: `t-${number}`,
  label: `t-${number}`,
  kind: "machine",
  power,
  word: power,
  note: "",
  cpu: null,
  stale: false,
  simulated: true,
  since_ms: 0,
  transition: null,
});

const view = (): Welcome => ({
  region: { name: "Room", simulated: true, size: [1, 1], note: "" },
  avatars: [],
  prims: [prim(1, null), prim(9, 3), prim(7, 3)],
  units: [unit(3, "off")],
  touchable: true,
  acting: true,
  now_ms: 5_000,
  epoch: 1,
});

let world: World;
beforeEach(() => {
  world = emptyWorld();
  welcome(world, view(), 1_000);
});

test("a unit that several prims show is touched at the first of them", () => {
  expect(world.primOf.get("rack-1/3")).toBe(7);
});

test("ages go by the bridge's clock", () => {
  expect(world.skew).toBe(4_000);
});

test("a page that may not act does not offer to", () => {
  welcome(world, { ...view(), acting: false }, 0);
  expect(world.touchable).toBe(false);
});

test("a change says which units to draw, and no more", () => {
  expect(apply(world, { kind: "units", units: [unit(3, "on")] }, 0)).toEqual({ units: ["rack-1/3"] });
  expect(world.units.get("rack-1/3")?.power).toBe("on");
});

test("a snapshot replaces the region but not what was said or asked", () => {
  apply(world, { kind: "say", from: "Rack", text: "Hello" }, 0);
  apply(world, { kind: "dialog", to: "a", dialog: 1, from: "Rack", text: "?", buttons: ["Start"] }, 0);
  welcome(world, { ...view(), prims: [], units: [] }, 0);
  expect([world.prims.size, world.units.size, world.primOf.size]).toEqual([0, 0, 0]);
  expect([world.lines.length, world.asked.length]).toEqual([1, 1]);
});

test("a prim that is gone can no longer be touched", () => {
  apply(world, { kind: "gone", ids: [7] }, 0);
  expect(world.primOf.has("rack-1/3")).toBe(false);
});

test("an object that asks again replaces its question; an answer closes it", () => {
  const ask = (dialog: number) => ({ kind: "dialog" as const, to: "a", dialog, from: "Rack", text: "?", buttons: [] });
  apply(world, ask(1), 0);
  apply(world, ask(2), 0);
  expect(world.asked.map((asked) => asked.dialog)).toEqual([2]);
  answered(world, 2);
  expect(world.asked).toEqual([]);
});

test("what is kept is bounded", () => {
  for (let n = 0; n < 500; n += 1) {
    apply(world, { kind: "say", from: "Rack", text: String(n) }, 0);
    apply(world, { kind: "hops", what: "x", words: "", hops: [] }, 0);
    apply(world, { kind: "text-box", to: "a", dialog: n, from: `Rack ${n}`, text: "" }, 0);
  }
  expect(world.lines.length).toBeLessThanOrEqual(60);
  expect(world.hops.length).toBeLessThanOrEqual(4);
  expect(world.asked.length).toBeLessThanOrEqual(5);
  expect(world.lines.at(-1)?.text).toBe("499");
});

test("a whisper is marked as one", () => {
  apply(world, { kind: "say", to: "a", from: "Rack", text: "No." }, 0);
  expect(world.lines.at(-1)?.whisper).toBe(true);
});

test("ages are read at a glance", () => {
  expect([0, 12_000, 200_000, 7_200_000, 200_000_000].map((ms) => age(0, ms))).toEqual(["now", "12 s", "3 min", "2 h", "2 d"]);
  expect(age(10_000, 0)).toBe("now");
});

test("a key names object and unit", () => {
  expect(unitKey({ object: "door", unit: 1 })).toBe("door/1");
});
