// Which prim a ray meets first: each as the box it fits in, exact enough for touching.

import { Quaternion, type Ray, Vector3 } from "three";
import type { PrimView } from "../wire.ts";

const turn = new Quaternion();
const from = new Vector3();
const along = new Vector3();

/** Distance to a prim along a ray, or nothing. */
export function meets(ray: Ray, prim: PrimView): number | undefined {
  turn.set(...prim.rot).invert();
  from.copy(ray.origin).sub(along.set(...prim.pos)).applyQuaternion(turn);
  along.copy(ray.direction).applyQuaternion(turn);
  let enter = -Infinity;
  let leave = Infinity;
  for (let axis = 0; axis < 3; axis += 1) {
    const half = (prim.size[axis] ?? 0) / 2;
    const at = from.getComponent(axis);
    const step = along.getComponent(axis);
    if (Math.abs(step) < 1e-9) {
      if (Math.abs(at) > half) return undefined;
      continue;
    }
    const one = (-half - at) / step;
    const two = (half - at) / step;
    enter = Math.max(enter, Math.min(one, two));
    leave = Math.min(leave, Math.max(one, two));
  }
  // From inside of something (a room's walls as one box) nothing is met.
  return enter > 0 && enter <= leave ? enter : undefined;
}

export function pick(ray: Ray, prims: Iterable<PrimView>): { prim: PrimView; far: number } | undefined {
  let best: { prim: PrimView; far: number } | undefined;
  for (const prim of prims) {
    if (prim.alpha < 0.02) continue;
    const far = meets(ray, prim);
    if (far !== undefined && (best === undefined || far < best.far)) best = { prim, far };
  }
  return best;
}
