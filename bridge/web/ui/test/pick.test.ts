import { Ray, Vector3 } from "three";
import { expect, test } from "vitest";
import { pick } from "../src/stage/pick.ts";
import type { PrimView } from "../src/wire.ts";

const box = (id: number, part: Partial<PrimView>): PrimView =>
  ({ id, pos: [0, 0, 0], rot: [0, 0, 0, 1], size: [1, 1, 1], alpha: 1, ...part }) as PrimView;
const north = new Ray(new Vector3(0, -10, 0), new Vector3(0, 1, 0));

test("the nearer prim is met", () => {
  const met = pick(north, [box(1, { pos: [0, 3, 0] }), box(2, {}), box(3, { pos: [0, 1.5, 0] })]);
  expect(met?.prim.id).toBe(2);
  expect(met?.far).toBeCloseTo(9.5);
});

test("a turned prim is met as it stands", () => {
  const half = Math.SQRT1_2;
  // A plate that is thin along x, turned by a right angle about z: thin along y, wide along x.
  const plate = box(1, { pos: [0.4, 0, 0], size: [0.1, 1, 1], rot: [0, 0, half, half] });
  expect(pick(north, [plate])?.far).toBeCloseTo(9.95);
  expect(pick(north, [{ ...plate, rot: [0, 0, 0, 1] }])).toBeUndefined();
});

test("what cannot be seen, lies behind or is all around is not met", () => {
  expect(pick(north, [box(1, { alpha: 0 }), box(2, { pos: [0, -20, 0] }), box(3, { size: [50, 50, 50] })])).toBeUndefined();
});
