// The region in 3-D. Draws only when something changed, moves, or the camera does.

import {
  AmbientLight,
  Color,
  DirectionalLight,
  Frustum,
  Group,
  HemisphereLight,
  Matrix4,
  PerspectiveCamera,
  Plane,
  Raycaster,
  Scene,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "three";
import { lookOf, wordsOf } from "../look.ts";
import { button, el } from "../view/dom.ts";
import type { PrimView, UnitView } from "../wire.ts";
import { type Touched, unitKey, type World } from "../world.ts";
import { Atlas, LABEL_CELLS } from "./atlas.ts";
import { Eye } from "./eye.ts";
import { Ground } from "./ground.ts";
import { Halos } from "./halos.ts";
import { Labels } from "./labels.ts";
import { pick } from "./pick.ts";
import { Solids } from "./solids.ts";

const BACKGROUND = new Color("#0a0e13");
/** Frames a second while only lamps pulse. */
const PULSE = 20;
const PULSE_SOFT = 8;
/** Labels on fronts are read up to this far, in metres. */
const READ = 26;

export interface StageOptions {
  touch(prim: number): void;
  /** Nobody touches here. */
  still: boolean;
  /** There is no graphics card: fewer points while things move. */
  software: boolean;
}

export class Stage {
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(36, 1, 0.05, 400);
  readonly #eye = new Eye(this.#camera);
  readonly #atlas: Atlas;
  readonly #uniforms = { time: { value: 0 }, accent: { value: new Vector3(0.2, 0.55, 0.85) } };
  readonly #solids: Solids;
  readonly #ground = new Ground(BACKGROUND);
  readonly #labels = new Labels();
  readonly #says = el("p", "silent");
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #canvas: HTMLCanvasElement;
  readonly #pointers = new Map<number, { x: number; y: number }>();
  readonly #low = new Vector3();
  readonly #high = new Vector3();
  #floor = 0;
  #front = new Vector3(0, -1, 0);
  #framed = false;
  #gone = false;
  #begun = false;
  #asked = false;
  #last = 0;
  #drawn = 0;
  #dragged = 0;
  #labelled = -1e9;
  #laid = "";
  #signs: PrimView[] = [];
  readonly #halos = new Halos();
  #over: number | undefined;
  #focus: string | undefined;
  #pointerAt: { x: number; y: number } | undefined;
  #slow = 0;
  /** Points for each point of the page: at rest, and while things move. */
  readonly #best: number;
  #swift: number;
  #ratio = 0;
  #width = 1;
  #height = 1;

  constructor(
    private readonly holder: HTMLElement,
    private readonly world: World,
    private readonly options: StageOptions,
  ) {
    this.#renderer = new WebGLRenderer({ antialias: !options.software, powerPreference: "high-performance" });
    this.#renderer.setClearColor(BACKGROUND);
    this.#canvas = this.#renderer.domElement;
    this.#canvas.tabIndex = 0;
    this.#canvas.dataset["home"] = "";
    this.#canvas.setAttribute("role", "application");
    this.#canvas.setAttribute(
      "aria-label",
      "The region. Tab goes from unit to unit, Enter touches, W A S D or arrow keys walk, Escape leaves. The Table button shows the same as a table.",
    );
    this.#says.setAttribute("aria-live", "polite");
    this.#atlas = new Atlas(options.software ? 0.5 : 1);
    this.#best = Math.min(devicePixelRatio, options.software ? 1 : 2);
    this.#swift = options.software ? Math.min(this.#best, 0.5) : this.#best;
    this.#solids = new Solids(this.#scene, world, { atlas: this.#atlas, uniforms: this.#uniforms });
    this.#scene.add(this.#ground.mesh);
    this.#scene.add(new AmbientLight("#8fa3b8", 0.5), new HemisphereLight("#cfe3f5", "#10161d", 1.5));
    const key = new DirectionalLight("#fff4e6", 2.8);
    key.position.set(-4, -7, 9);
    const rim = new DirectionalLight("#7fb4e0", 1.4);
    rim.position.set(6, 4, 5);
    this.#scene.add(key, rim, this.#halos.group);
    holder.append(this.#canvas, this.#labels.element, this.#says);
    new ResizeObserver(() => this.resize()).observe(holder);
    if (!options.still) this.#listen();
    this.#canvas.addEventListener("webglcontextrestored", () => this.wake());
    this.resize();
  }

  // --- from the world ------------------------------------------------------------------------------------------

  draw(touched: Touched): void {
    const now = performance.now() / 1000;
    const { all, prims, gone, units } = touched;
    if (all) this.#solids.all();
    for (const id of gone ?? []) this.#solids.gone(id);
    for (const id of prims ?? []) {
      const prim = this.world.prims.get(id);
      if (prim) this.#solids.put(prim, this.#calm.matches ? 0 : now);
    }
    for (const key of units ?? []) {
      for (const prim of this.#primsOf(key)) this.#solids.state(prim, this.#calm.matches ? 0 : now);
    }
    if (all || prims || gone) this.#survey();
    // A room that is renewed is looked at anew, unless somebody has gone somewhere in it.
    if (all && this.#framed && !this.#gone) this.home(true);
    if (all || prims || gone || units) this.#labelled = -1e9;
    this.wake();
  }

  *#primsOf(key: string): Generator<PrimView> {
    for (const prim of this.world.prims.values()) if (prim.unit !== null && unitKey(prim) === key) yield prim;
  }

  /** How far the room goes, where its floor is and which way its racks face. */
  #survey(): void {
    const prims = [...this.world.prims.values()];
    this.#signs = prims.filter((prim) => prim.text.trim() !== "" && !this.world.units.has(unitKey(prim)));
    this.#halos.put(prims.filter((prim) => prim.light > 0 || (prim.glow > 0.05 && !this.world.units.has(unitKey(prim)))));
    this.#ground.light(prims.filter((prim) => prim.light > 0));
    const things = prims.filter((prim) => prim.size[0] * prim.size[1] < 30 && prim.alpha > 0.02);
    if (things.length === 0) return;
    this.#low.setScalar(Infinity);
    this.#high.setScalar(-Infinity);
    for (const prim of things) {
      // A turned box is at most as wide as its diagonal.
      const turned = Math.abs(prim.rot[3]) < 0.999 ? Math.hypot(prim.size[0], prim.size[1]) / 2 : 0;
      const half = new Vector3(turned || prim.size[0] / 2, turned || prim.size[1] / 2, prim.size[2] / 2);
      const at = new Vector3(...prim.pos);
      this.#low.min(at.clone().sub(half));
      this.#high.max(at.clone().add(half));
    }
    this.#floor = this.#low.z;
    this.#eye.floor = this.#floor;
    const lying = `${this.#low.toArray().join()} ${this.#high.toArray().join()} ${things.length}`;
    if (lying !== this.#laid) {
      this.#laid = lying;
      this.#ground.lay(things, this.#low, this.#high, this.#floor);
    }
    if (!this.#framed && this.world.units.size > 0) {
      this.#framed = true;
      this.#front = this.#facing(prims);
      this.home(true);
    }
  }

  /** Units stand a little in front of the middle of their rack. Things with one unit say little: a raised flag, an open door. */
  #facing(prims: PrimView[]): Vector3 {
    const sums = new Map<string, { units: Vector3; count: number; rest: Vector3; others: number }>();
    for (const prim of prims) {
      if (!prim.object) continue;
      const sum = sums.get(prim.object) ?? { units: new Vector3(), count: 0, rest: new Vector3(), others: 0 };
      const at = new Vector3(prim.pos[0], prim.pos[1], 0);
      if (prim.unit !== null) {
        sum.units.add(at);
        sum.count += 1;
      } else {
        sum.rest.add(at);
        sum.others += 1;
      }
      sums.set(prim.object, sum);
    }
    const front = new Vector3();
    const most = Math.max(...[...sums.values()].map(({ count }) => count));
    for (const { units, count, rest, others } of sums.values()) {
      if (count > 0 && count * 2 >= most && others > 0) front.add(units.divideScalar(count).sub(rest.divideScalar(others)));
    }
    if (front.length() < 0.005) return new Vector3(0, -1, 0);
    // Rooms are built along the axes: the nearest one.
    return Math.abs(front.x) > Math.abs(front.y)
      ? new Vector3(Math.sign(front.x), 0, 0)
      : new Vector3(0, Math.sign(front.y), 0);
  }

  /** The view of the room: all of it, or on a narrow screen as much of its middle as can be read. */
  home(jump: boolean, all = false): void {
    const middle = this.#low.clone().add(this.#high).multiplyScalar(0.5);
    let wide = Math.abs(this.#front.y) > 0.5 ? this.#high.x - this.#low.x : this.#high.y - this.#low.y;
    const some = Math.max(2.2, (this.#width / this.#height) * 6.2);
    if (!all && this.#width <= 760 && wide > some * 1.2) {
      wide = some;
      const centre = this.#crowd();
      middle.x = centre.x;
      middle.y = centre.y;
    }
    const deep = Math.abs(this.#front.y) > 0.5 ? this.#high.y - this.#low.y : this.#high.x - this.#low.x;
    const tall = this.#high.z - this.#low.z;
    const free = this.#free();
    const tangent = Math.tan((this.#camera.fov * Math.PI) / 360);
    const byHeight = (tall * 1.3) / (2 * tangent * (free.height / this.#height));
    const byWidth = (wide * 1.1) / (2 * tangent * (free.width / this.#height));
    const reach = Math.max(byHeight, byWidth, 2.5) + deep * (deep > 4 ? 0.65 : 0.35);
    const side = new Vector3(-this.#front.y, this.#front.x, 0);
    const deepRoom = deep > 4;
    const from = this.#front.clone().addScaledVector(side, -0.24).add(new Vector3(0, 0, deepRoom ? 0.62 : 0.2));
    this.#eye.frame(middle, from, reach, jump);
    this.wake();
  }

  /** Where most of the units are. */
  #crowd(): Vector3 {
    const sum = new Vector3();
    let count = 0;
    for (const prim of this.world.prims.values()) {
      if (prim.unit === null) continue;
      sum.add(new Vector3(...prim.pos));
      count += 1;
    }
    return sum.divideScalar(Math.max(count, 1));
  }

  /** The part of the picture that no card covers. */
  #free(): { width: number; height: number } {
    const wide = this.#width > 760;
    const side = document.querySelector<HTMLElement>(".side, .board");
    return {
      width: wide ? this.#width - (side?.offsetWidth ?? 0) - 24 : this.#width,
      height: wide ? this.#height * 0.84 : this.#height * 0.5,
    };
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  resize(): void {
    this.#width = Math.max(this.holder.clientWidth, 1);
    this.#height = Math.max(this.holder.clientHeight, 1);
    if (this.holder.clientWidth === 0) return;
    this.#ratio = 0;
    this.#sharpen(this.#best);
    this.#camera.aspect = this.#width / this.#height;
    const free = this.#free();
    // The middle of what is free is the middle of the view.
    const dx = (this.#width - free.width) / 2;
    const dy = this.#width > 760 ? -this.#height * 0.02 : this.#height * 0.07;
    this.#camera.setViewOffset(this.#width, this.#height, dx, dy, this.#width, this.#height);
    this.#camera.updateProjectionMatrix();
    this.wake();
  }

  wake(): void {
    if (this.#asked || this.#renderer.xr.isPresenting) return;
    this.#asked = true;
    requestAnimationFrame((at) => this.#frame(at));
  }

  #frame(at: number): void {
    this.#asked = false;
    if (this.holder.hidden) return;
    const now = at / 1000;
    const dt = Math.min(now - this.#last, 0.1);
    const started = performance.now();
    this.#last = now;
    const moving = this.#eye.step(dt > 0 ? dt : 0.016);
    const turning = this.#solids.turn(performance.now() / 1000);
    this.#sharpen(moving ? this.#swift : this.#best);
    const spinning = !this.#calm.matches && this.#solids.spin(now);
    const pulsing = spinning || (!this.#calm.matches && this.#pulses());
    this.#uniforms.time.value = pulsing ? now % 1000 : 0;
    this.#camera.updateMatrixWorld();
    // New labels cost a picture for the card: where that is slow, when all has come to rest.
    if (moving ? !this.options.software && now - this.#labelled > 0.5 : now - this.#labelled > 0.1) this.#label(now);
    if (this.#pointerAt) this.#hover();
    this.#renderer.render(this.#scene, this.#camera);
    this.#labels.draw(this.#signs, this.#camera, this.#eye.position, this.#width, this.#height);
    const pointed = this.#pointed();
    const unit = pointed && this.world.units.get(unitKey(pointed));
    const clock = Date.now() + this.world.skew;
    this.#labels.point(pointed, unit, clock, this.#camera, this.#width, this.#height);
    // For whoever measures how long it takes until there is something to see.
    if (!this.#begun && this.world.units.size > 0) {
      this.#begun = true;
      performance.mark("primrack-units-drawn");
    }
    this.#drawn += 1;
    this.holder.dataset["frames"] = String(this.#drawn);
    const took = performance.now() - started;
    this.#adapt(took, dt, moving);
    if (moving || turning) this.wake();
    // What pulses for minutes leaves the processor to others, above all where it is what draws.
    else if (pulsing) setTimeout(() => this.wake(), Math.max(1000 / (this.options.software ? PULSE_SOFT : PULSE), took * 3));
  }

  #pulses(): boolean {
    for (const unit of this.world.units.values()) if (lookOf(unit).moving && !unit.stale) return true;
    return false;
  }

  #sharpen(ratio: number): void {
    if (ratio === this.#ratio) return;
    this.#ratio = ratio;
    this.#renderer.setPixelRatio(ratio);
    this.#renderer.setSize(this.#width, this.#height, false);
  }

  /** Where drawing is slow, fewer points are drawn while things move. */
  #adapt(took: number, dt: number, moving: boolean): void {
    if (!moving) return;
    const slow = took > 45 || (dt > 0.07 && dt < 0.1);
    this.#slow = slow ? this.#slow + 1 : Math.max(0, this.#slow - 0.2);
    if (this.#slow > 6 && this.#swift > 0.35) {
      this.#slow = 0;
      this.#swift = Math.max(0.35, this.#swift * 0.8);
    }
  }

  /** Gives the cells for labels to the nearest units. */
  #label(now: number): void {
    this.#labelled = now;
    const eye = this.#eye.position;
    const view = new Frustum().setFromProjectionMatrix(
      new Matrix4().multiplyMatrices(this.#camera.projectionMatrix, this.#camera.matrixWorldInverse),
    );
    const here = new Vector3();
    const wanted: { prim: PrimView; unit: UnitView; far: number }[] = [];
    for (const prim of this.world.prims.values()) {
      if (prim.unit === null) continue;
      const unit = this.world.units.get(unitKey(prim));
      if (!unit) continue;
      here.set(...prim.pos);
      const far = here.distanceTo(eye);
      if (far < READ && view.containsPoint(here)) wanted.push({ prim, unit, far });
    }
    wanted.sort((a, b) => a.far - b.far);
    wanted.length = Math.min(wanted.length, LABEL_CELLS);
    const kept = new Set(wanted.map(({ prim }) => prim.id));
    const used = new Set<number>();
    for (const prim of this.world.prims.values()) {
      const cell = this.#solids.cellOf(prim.id);
      if (cell < 0) continue;
      if (kept.has(prim.id)) used.add(cell);
      else this.#solids.tag(prim.id, -1, this.#bright(prim.id));
    }
    let next = 0;
    for (const { prim, unit } of wanted) {
      let cell = this.#solids.cellOf(prim.id);
      if (cell < 0) {
        while (used.has(next)) next += 1;
        cell = next;
        used.add(cell);
      }
      this.#atlas.label(cell, unit.label);
      this.#solids.tag(prim.id, cell, this.#bright(prim.id));
    }
    this.#atlas.commit();
  }

  // --- pointing and touching -----------------------------------------------------------------------------------

  #pointed(): PrimView | undefined {
    const focused = this.#focus === undefined ? undefined : this.world.primOf.get(this.#focus);
    const id = focused ?? this.#over;
    return id === undefined ? undefined : this.world.prims.get(id);
  }

  #bright(id: number): number {
    const focused = this.#focus !== undefined && this.world.primOf.get(this.#focus) === id;
    return focused ? 2.2 : this.#over === id ? 1 : 0;
  }

  #retag(...ids: (number | undefined)[]): void {
    for (const id of ids) if (id !== undefined) this.#solids.tag(id, this.#solids.cellOf(id), this.#bright(id));
    this.wake();
  }

  #ray(x: number, y: number): Raycaster {
    const caster = new Raycaster();
    const at = new Vector2((x / this.#width) * 2 - 1, 1 - (y / this.#height) * 2);
    caster.setFromCamera(at, this.#camera);
    return caster;
  }

  #hover(): void {
    const at = this.#pointerAt;
    this.#pointerAt = undefined;
    if (!at) return;
    const met = pick(this.#ray(at.x, at.y).ray, this.world.prims.values());
    const id = met && (met.prim.unit !== null || met.prim.text) ? met.prim.id : undefined;
    if (id === this.#over) return;
    const before = this.#over;
    this.#over = id;
    this.#canvas.classList.toggle("over", met !== undefined && met.prim.unit !== null);
    this.#retag(before, id);
  }

  #listen(): void {
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#gone = true;
      this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      if (this.#pointers.size === 1) this.#dragged = 0;
      else this.#dragged = 100;
      this.#focusOn(undefined);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = this.#pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") {
          this.#pointerAt = { x: event.offsetX, y: event.offsetY };
          this.wake();
        }
        return;
      }
      const dx = event.offsetX - before.x;
      const dy = event.offsetY - before.y;
      if (this.#pointers.size === 1) {
        this.#dragged += Math.abs(dx) + Math.abs(dy);
        if (this.#dragged > 6) {
          if (event.buttons === 2 || event.shiftKey) this.#eye.pan(dx, dy);
          else this.#eye.drag(dx, dy);
        }
      } else {
        const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
        if (other) {
          const was = Math.hypot(before.x - other.x, before.y - other.y);
          const is = Math.hypot(event.offsetX - other.x, event.offsetY - other.y);
          if (was > 10 && is > 10) this.#eye.zoom(was / is);
          this.#eye.pan(dx / 2, dy / 2);
        }
      }
      this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.wake();
    });
    const up = (event: PointerEvent): void => {
      const held = this.#pointers.delete(event.pointerId);
      if (held && event.type === "pointerup" && this.#pointers.size === 0 && this.#dragged <= 6 && event.button === 0) {
        this.#press(event.offsetX, event.offsetY);
      }
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => {
      const before = this.#over;
      this.#over = undefined;
      this.#retag(before);
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.#gone = true;
        this.#eye.zoom(Math.exp(Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 120) * 0.0015));
        this.wake();
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => this.#eye.key(event.code, false));
    canvas.addEventListener("blur", () => {
      this.#eye.release();
      this.#focusOn(undefined);
    });
  }

  #press(x: number, y: number): void {
    const { ray } = this.#ray(x, y);
    const met = pick(ray, this.world.prims.values());
    if (met && met.prim.object !== "") {
      this.options.touch(met.prim.id);
      return;
    }
    if (this.#eye.gait !== "walk") return;
    const floor = ray.intersectPlane(new Plane(new Vector3(0, 0, 1), -this.#floor), new Vector3());
    if (floor && floor.distanceTo(this.#eye.position) < 60) {
      this.#eye.goTo(floor.x, floor.y);
      this.wake();
    }
  }

  #key(event: KeyboardEvent): void {
    this.#gone = true;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.code === "Tab") {
      const keys = [...this.world.units.keys()].filter((key) => this.world.primOf.has(key));
      const at = this.#focus === undefined ? (event.shiftKey ? keys.length : -1) : keys.indexOf(this.#focus);
      const next = keys[at + (event.shiftKey ? -1 : 1)];
      // Past the last unit Tab goes on to the rest of the page.
      if (next === undefined) return;
      event.preventDefault();
      this.#focusOn(next);
      return;
    }
    if (event.code === "Escape") {
      this.#focusOn(undefined);
      document.querySelector<HTMLElement>(".tools .tool")?.focus();
      return;
    }
    if ((event.code === "Enter" || event.code === "Space") && this.#focus !== undefined) {
      event.preventDefault();
      const prim = this.world.primOf.get(this.#focus);
      if (prim !== undefined && !event.repeat) this.options.touch(prim);
      return;
    }
    if (event.code === "Home") this.home(false, true);
    else if (this.#eye.key(event.code, true)) {
      event.preventDefault();
      this.wake();
    }
  }

  #focusOn(key: string | undefined): void {
    if (key === this.#focus) return;
    const before = this.#focus === undefined ? undefined : this.world.primOf.get(this.#focus);
    this.#focus = key;
    const id = key === undefined ? undefined : this.world.primOf.get(key);
    this.#retag(before, id);
    const unit = key === undefined ? undefined : this.world.units.get(key);
    const prim = id === undefined ? undefined : this.world.prims.get(id);
    if (!unit || !prim) return;
    this.#says.textContent = `${unit.object_label}, unit ${unit.unit}: ${unit.label}, ${wordsOf(unit)}. ${unit.note}`;
    const at = new Vector3(...prim.pos);
    const seen = at.clone().project(this.#camera);
    const far = at.distanceTo(this.#eye.position);
    if (far > 9 || Math.abs(seen.x) > 0.8 || Math.abs(seen.y) > 0.8 || seen.z > 1) {
      const side = new Vector3(-this.#front.y, this.#front.x, 0);
      this.#eye.frame(at, this.#front.clone().addScaledVector(side, -0.25).add(new Vector3(0, 0, 0.15)), 3.2, false);
    }
  }

  /** Where a unit is in the window, for tests that click as a person does; nothing when it is out of sight. */
  spot(key: string): { x: number; y: number } | undefined {
    const id = this.world.primOf.get(key);
    const prim = id === undefined ? undefined : this.world.prims.get(id);
    if (!prim) return undefined;
    // The middle of its front: the middle of the box may lie behind something.
    const front = new Vector3(...prim.pos).addScaledVector(this.#front, Math.min(prim.size[0], prim.size[1]) / 2);
    const at = front.project(this.#camera);
    const x = (at.x * 0.5 + 0.5) * this.#width;
    const y = (0.5 - at.y * 0.5) * this.#height;
    const met = pick(this.#ray(x, y).ray, this.world.prims.values());
    const box = this.#canvas.getBoundingClientRect();
    return met && unitKey(met.prim) === key ? { x: box.left + x, y: box.top + y } : undefined;
  }

  /** The colour drawn for a unit now, and whether it has come to rest. */
  shown(key: string): { colour: string; settled: boolean } | undefined {
    const id = this.world.primOf.get(key);
    return id === undefined ? undefined : this.#solids.shown(id);
  }

  get focused(): string | undefined {
    return this.#focus;
  }

  // --- tools ---------------------------------------------------------------------------------------------------

  tools(): HTMLElement[] {
    const gait = button("Walk", "tool", () => {
      if (this.#eye.gait === "orbit") this.#eye.walk();
      else this.#eye.orbit();
      const walking = this.#eye.gait === "walk";
      gait.setAttribute("aria-pressed", String(walking));
      this.#canvas.focus({ preventScroll: true });
      this.wake();
    });
    gait.title = "Walk: drag to look, W A S D to walk, press the floor to go there";
    gait.setAttribute("aria-pressed", "false");
    const whole = button("Whole room", "tool", () => this.home(false, true));
    const help = button("Help", "tool", () => this.#help(help));
    return [help, whole, gait];
  }

  #help(opener: HTMLElement): void {
    const open = document.querySelector(".help");
    if (open) {
      open.remove();
      return;
    }
    const list = el("dl");
    for (const [key, words] of [
      ["Click, tap", "touch a unit; its menu opens beside the region"],
      ["Drag", "go round the room; in Walk, look about"],
      ["Wheel, pinch", "nearer and farther"],
      ["Right drag, two fingers", "move sideways"],
      ["W A S D, arrows", "walk; Q and E go down and up"],
      ["Tab, Enter", "from unit to unit, touch; Escape leaves"],
      ["Home", "the whole room"],
    ] as const) {
      list.append(el("dt", "", key), el("dd", "", words));
    }
    const close = button("Close", "choice", () => {
      card.remove();
      opener.focus();
    });
    const card = el("div", "card help", el("h2", "", "Moving and touching"), list, close);
    card.setAttribute("role", "dialog");
    card.setAttribute("aria-label", "Moving and touching");
    card.addEventListener("keydown", (event) => event.key === "Escape" && close.click());
    document.getElementById("app")?.append(card);
    close.focus();
  }

  /** A button to look around with a headset, where the browser has one. */
  async headset(): Promise<HTMLElement | undefined> {
    const { xr } = navigator as Navigator & { xr?: XRSystem };
    if (!xr || !(await xr.isSessionSupported("immersive-vr").catch(() => false))) return undefined;
    const enter = button("Headset", "tool", () => void this.#enter(xr));
    enter.title = "Look around and touch with a headset; menus open on the page";
    return enter;
  }

  async #enter(xr: XRSystem): Promise<void> {
    const session = await xr.requestSession("immersive-vr", { optionalFeatures: ["local-floor"] });
    const { xr: manager } = this.#renderer;
    manager.enabled = true;
    this.#camera.clearViewOffset();
    // A headset has y up, the region z.
    const rig = new Group();
    rig.rotation.order = "ZYX";
    rig.rotation.set(Math.PI / 2, 0, -this.#eye.yaw);
    rig.position.set(this.#eye.position.x, this.#eye.position.y, this.#floor);
    rig.add(this.#camera);
    this.#scene.add(rig);
    const caster = new Raycaster();
    for (const hand of [0, 1]) {
      const controller = manager.getController(hand);
      rig.add(controller);
      controller.addEventListener("select", () => {
        caster.ray.origin.setFromMatrixPosition(controller.matrixWorld);
        caster.ray.direction.set(0, 0, -1).transformDirection(controller.matrixWorld);
        const met = pick(caster.ray, this.world.prims.values());
        if (met && met.prim.object !== "") this.options.touch(met.prim.id);
      });
    }
    await manager.setSession(session);
    this.#renderer.setAnimationLoop(() => {
      this.#solids.turn(performance.now() / 1000);
      this.#renderer.render(this.#scene, this.#camera);
    });
    session.addEventListener("end", () => {
      this.#renderer.setAnimationLoop(null);
      manager.enabled = false;
      rig.remove(this.#camera);
      this.#scene.remove(rig);
      this.resize();
    });
  }
}
