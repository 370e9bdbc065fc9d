// The prims of the region as instanced solids.

import {
  BoxGeometry,
  type BufferGeometry,
  Color,
  CylinderGeometry,
  DynamicDrawUsage,
  InstancedBufferAttribute,
  InstancedMesh,
  Matrix4,
  Quaternion,
  type Scene,
  SphereGeometry,
  SRGBColorSpace,
  TorusGeometry,
  Vector3,
} from "three";
import { lookOf } from "../look.ts";
import type { PrimView, Shape, UnitView } from "../wire.ts";
import { unitKey, type World } from "../world.ts";
import type { Atlas } from "./atlas.ts";
import { pack, skin, type SkinUniforms } from "./skin.ts";

/** How long a state takes to turn into another, and a thing to its new place, in seconds. */
const TURN = 0.45;
/** What goes farther than this has not moved but is elsewhere, in metres. */
const FAR = 3;
const UP = new Vector3(0, 0, 1);

function geometry(shape: Shape): BufferGeometry {
  switch (shape) {
    case "box":
      return new BoxGeometry(1, 1, 1);
    case "cylinder":
      return new CylinderGeometry(0.5, 0.5, 1, 28).rotateX(Math.PI / 2);
    case "sphere":
      return new SphereGeometry(0.5, 28, 18).rotateX(Math.PI / 2);
    case "torus":
      return new TorusGeometry(0.37, 0.13, 12, 32).rotateY(Math.PI / 2);
    case "prism":
      return new CylinderGeometry(0.5774, 0.5774, 1, 3).rotateX(Math.PI / 2);
  }
}

interface Turning {
  from: Color;
  to: Color;
  light: [number, number];
  at: number;
}

interface Place {
  pos: Vector3;
  rot: Quaternion;
}

interface Going {
  from: Place;
  to: Place;
  at: number;
}

const placeOf = (prim: PrimView): Place => ({ pos: new Vector3(...prim.pos), rot: new Quaternion(...prim.rot) });

class Batch {
  readonly slots = new Map<number, number>();
  readonly ids: number[] = [];
  mesh: InstancedMesh;
  #room = 64;

  constructor(
    private readonly scene: Scene,
    private readonly shape: Shape,
    private readonly clear: boolean,
    private readonly paint: { atlas: Atlas; uniforms: SkinUniforms },
  ) {
    this.mesh = this.#make();
  }

  #make(): InstancedMesh {
    const shape = geometry(this.shape);
    const add = (name: string, width: number): void => {
      const attribute = new InstancedBufferAttribute(new Float32Array(this.#room * width), width);
      attribute.setUsage(DynamicDrawUsage);
      shape.setAttribute(name, attribute);
    };
    add("aFx", 4);
    add("aTint", 4);
    add("aTag", 2);
    if (this.clear) add("aAlpha", 1);
    const mesh = new InstancedMesh(shape, skin(this.paint.atlas, this.paint.uniforms, this.clear), this.#room);
    mesh.instanceMatrix.setUsage(DynamicDrawUsage);
    // Colours are made with the first one that is set.
    mesh.setColorAt(0, new Color(1, 1, 1));
    mesh.count = this.ids.length;
    mesh.frustumCulled = false;
    this.scene.add(mesh);
    return mesh;
  }

  #grow(): void {
    const old = this.mesh;
    this.#room *= 2;
    this.mesh = this.#make();
    this.mesh.instanceMatrix.array.set(old.instanceMatrix.array);
    if (this.mesh.instanceColor && old.instanceColor) this.mesh.instanceColor.array.set(old.instanceColor.array);
    for (const name of ["aFx", "aTint", "aTag", "aAlpha"]) {
      const before = old.geometry.getAttribute(name);
      const after = this.mesh.geometry.getAttribute(name);
      if (before && after) (after.array as Float32Array).set(before.array as Float32Array);
    }
    this.#drop(old);
  }

  #drop(mesh: InstancedMesh): void {
    this.scene.remove(mesh);
    mesh.geometry.dispose();
    if (!Array.isArray(mesh.material)) mesh.material.dispose();
    mesh.dispose();
  }

  place(id: number): number {
    const known = this.slots.get(id);
    if (known !== undefined) return known;
    if (this.ids.length === this.#room) this.#grow();
    const slot = this.ids.length;
    this.ids.push(id);
    this.slots.set(id, slot);
    this.mesh.count = this.ids.length;
    return slot;
  }

  remove(id: number): void {
    const slot = this.slots.get(id);
    if (slot === undefined) return;
    const last = this.ids.length - 1;
    const moved = this.ids[last];
    if (moved !== undefined && slot !== last) {
      this.#copy(this.mesh.instanceMatrix, last, slot, 16);
      if (this.mesh.instanceColor) this.#copy(this.mesh.instanceColor, last, slot, 3);
      for (const [name, width] of [["aFx", 4], ["aTint", 4], ["aTag", 2], ["aAlpha", 1]] as const) {
        const attribute = this.mesh.geometry.getAttribute(name);
        if (attribute) this.#copy(attribute as InstancedBufferAttribute, last, slot, width);
      }
      this.ids[slot] = moved;
      this.slots.set(moved, slot);
    }
    this.ids.pop();
    this.slots.delete(id);
    this.mesh.count = this.ids.length;
  }

  #copy(attribute: InstancedBufferAttribute, from: number, to: number, width: number): void {
    attribute.array.copyWithin(to * width, from * width, (from + 1) * width);
    attribute.needsUpdate = true;
  }

  set(name: string, slot: number, values: number[]): void {
    const attribute = this.mesh.geometry.getAttribute(name) as InstancedBufferAttribute | undefined;
    if (!attribute) return;
    attribute.array.set(values, slot * values.length);
    attribute.needsUpdate = true;
  }
}

export class Solids {
  readonly #batches = new Map<string, Batch>();
  readonly #at = new Map<number, Batch>();
  readonly #turning = new Map<number, Turning>();
  readonly #shown = new Map<number, { colour: Color; light: number }>();
  /** Where each prim is drawn, and which are on their way. */
  readonly #places = new Map<number, Place>();
  readonly #going = new Map<number, Going>();
  readonly #matrix = new Matrix4();
  readonly #turned = new Quaternion();
  readonly #tags = new Map<number, [number, number]>();

  constructor(
    private readonly scene: Scene,
    private readonly world: World,
    private readonly paint: { atlas: Atlas; uniforms: SkinUniforms },
  ) {}

  /** Everything afresh. */
  all(): void {
    for (const id of [...this.#at.keys()]) if (!this.world.prims.has(id)) this.gone(id);
    for (const prim of this.world.prims.values()) this.put(prim, 0);
  }

  gone(id: number): void {
    this.#at.get(id)?.remove(id);
    this.#at.delete(id);
    this.#shown.delete(id);
    this.#turning.delete(id);
    this.#tags.delete(id);
    this.#places.delete(id);
    this.#going.delete(id);
  }

  put(prim: PrimView, now: number): void {
    const clear = prim.alpha < 0.99;
    const key = `${prim.shape}/${clear}`;
    let batch = this.#batches.get(key);
    if (!batch) {
      batch = new Batch(this.scene, prim.shape, clear, this.paint);
      this.#batches.set(key, batch);
    }
    const before = this.#at.get(prim.id);
    if (before && before !== batch) before.remove(prim.id);
    this.#at.set(prim.id, batch);
    const slot = batch.place(prim.id);
    const to = placeOf(prim);
    const from = this.#places.get(prim.id);
    const moves = from && (from.pos.distanceTo(to.pos) > 1e-4 || from.rot.angleTo(to.rot) > 1e-3);
    if (now > 0 && from && moves && from.pos.distanceTo(to.pos) < FAR) {
      this.#going.set(prim.id, { from, to, at: now });
      this.#lay(batch, slot, prim, from, 0);
    } else if (!this.#going.has(prim.id) || moves || now === 0) {
      this.#going.delete(prim.id);
      this.#lay(batch, slot, prim, to, 0);
    }
    batch.mesh.setColorAt(slot, new Color().setRGB(...prim.colour, SRGBColorSpace));
    if (batch.mesh.instanceColor) batch.mesh.instanceColor.needsUpdate = true;
    if (clear) batch.set("aAlpha", slot, [prim.alpha]);
    batch.set("aTag", slot, this.#tags.get(prim.id) ?? [-1, 0]);
    this.state(prim, now);
  }

  #lay(batch: Batch, slot: number, prim: PrimView, place: Place, spun: number): void {
    this.#places.set(prim.id, place);
    const scale = prim.alpha < 0.02 ? 0 : 1;
    this.#turned.setFromAxisAngle(UP, spun).multiply(place.rot);
    this.#matrix.compose(place.pos, this.#turned, new Vector3(...prim.size).multiplyScalar(scale));
    batch.mesh.setMatrixAt(slot, this.#matrix);
    batch.mesh.instanceMatrix.needsUpdate = true;
  }

  /** Turns what spins by itself; true while something does. */
  spin(now: number): boolean {
    let spins = false;
    for (const prim of this.world.prims.values()) {
      if (prim.spin === 0) continue;
      const batch = this.#at.get(prim.id);
      const slot = batch?.slots.get(prim.id);
      if (!batch || slot === undefined) continue;
      spins = true;
      this.#lay(batch, slot, prim, this.#places.get(prim.id) ?? placeOf(prim), (now * prim.spin) % (2 * Math.PI));
    }
    return spins;
  }

  /** What the prim's unit shows now; with `now` the colour turns instead of jumping. */
  state(prim: PrimView, now: number): void {
    const batch = this.#at.get(prim.id);
    const slot = batch?.slots.get(prim.id);
    if (!batch || slot === undefined) return;
    const unit: UnitView | undefined = this.world.units.get(unitKey(prim));
    if (!unit) {
      batch.set("aFx", slot, [prim.glow, prim.fullbright ? 1 : 0, -1, 0]);
      return;
    }
    const look = lookOf(unit);
    batch.set("aFx", slot, [prim.glow, 0, ...pack(look, prim.shape === "box", unit.stale)]);
    const to = new Color(look.colour);
    const shown = this.#shown.get(prim.id);
    if (!shown || now === 0) {
      this.#shown.set(prim.id, { colour: to, light: look.light });
      batch.set("aTint", slot, [to.r, to.g, to.b, look.light]);
      this.#turning.delete(prim.id);
    } else {
      this.#turning.set(prim.id, { from: shown.colour.clone(), to, light: [shown.light, look.light], at: now });
    }
  }

  tag(id: number, cell: number, highlight: number): void {
    const [a, b] = this.#tags.get(id) ?? [-1, 0];
    if (a === cell && b === highlight) return;
    this.#tags.set(id, [cell, highlight]);
    const batch = this.#at.get(id);
    const slot = batch?.slots.get(id);
    if (batch && slot !== undefined) batch.set("aTag", slot, [cell, highlight]);
  }

  cellOf(id: number): number {
    return this.#tags.get(id)?.[0] ?? -1;
  }

  shown(id: number): { colour: string; settled: boolean } | undefined {
    const shown = this.#shown.get(id);
    return shown && { colour: `#${shown.colour.getHexString()}`, settled: !this.#turning.has(id) && !this.#going.has(id) };
  }

  /** Moves colours on; true while something still turns. */
  turn(now: number): boolean {
    for (const [id, turning] of this.#turning) {
      const share = Math.min(1, (now - turning.at) / TURN);
      const eased = share * share * (3 - 2 * share);
      const colour = turning.from.clone().lerp(turning.to, eased);
      const light = turning.light[0] + (turning.light[1] - turning.light[0]) * eased;
      this.#shown.set(id, { colour, light });
      const batch = this.#at.get(id);
      const slot = batch?.slots.get(id);
      if (batch && slot !== undefined) batch.set("aTint", slot, [colour.r, colour.g, colour.b, light]);
      if (share >= 1) this.#turning.delete(id);
    }
    for (const [id, { from, to, at }] of this.#going) {
      const share = Math.min(1, (now - at) / TURN);
      const eased = share * share * (3 - 2 * share);
      const prim = this.world.prims.get(id);
      const batch = this.#at.get(id);
      const slot = batch?.slots.get(id);
      if (prim && batch && slot !== undefined) {
        const place = { pos: from.pos.clone().lerp(to.pos, eased), rot: from.rot.clone().slerp(to.rot, eased) };
        this.#lay(batch, slot, prim, place, 0);
      }
      if (share >= 1) this.#going.delete(id);
    }
    return this.#turning.size > 0 || this.#going.size > 0;
  }
}
