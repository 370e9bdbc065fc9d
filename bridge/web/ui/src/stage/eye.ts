// The camera as a person has it: walking about, or going round what is looked at. z is up.

import { MathUtils, type PerspectiveCamera, Vector3 } from "three";

export type Gait = "orbit" | "walk";

/** Height of the eyes when walking, in metres. */
const EYES = 1.65;
const SPEED = 2.6;

interface Pose {
  at: Vector3;
  yaw: number;
  pitch: number;
  /** To what is looked at: the centre of an orbit. */
  reach: number;
}

export class Eye {
  gait: Gait = "orbit";
  floor = 0;
  readonly #goal: Pose = { at: new Vector3(0, -8, 2), yaw: 0, pitch: -0.1, reach: 8 };
  readonly #pose: Pose = { at: new Vector3(0, -8, 2), yaw: 0, pitch: -0.1, reach: 8 };
  readonly #keys = new Set<string>();

  constructor(private readonly camera: PerspectiveCamera) {
    camera.up.set(0, 0, 1);
  }

  static forward(yaw: number, pitch: number): Vector3 {
    return new Vector3(Math.sin(yaw) * Math.cos(pitch), Math.cos(yaw) * Math.cos(pitch), Math.sin(pitch));
  }

  /** Looks at a point from a direction and a distance. */
  frame(target: Vector3, from: Vector3, reach: number, jump: boolean): void {
    const back = from.clone().normalize();
    const goal = this.#goal;
    goal.reach = reach;
    goal.yaw = this.#near(Math.atan2(-back.x, -back.y));
    goal.pitch = MathUtils.clamp(Math.asin(-back.z), -1.4, 1.4);
    goal.at.copy(target).addScaledVector(back, reach);
    if (jump) {
      this.#pose.at.copy(goal.at);
      this.#pose.yaw = goal.yaw;
      this.#pose.pitch = goal.pitch;
      this.#pose.reach = goal.reach;
    }
  }

  /** The same direction, the short way round. */
  #near(yaw: number): number {
    const turn = Math.PI * 2;
    return yaw + Math.round((this.#pose.yaw - yaw) / turn) * turn;
  }

  drag(dx: number, dy: number): void {
    const goal = this.#goal;
    if (this.gait === "walk") {
      goal.yaw -= dx * 0.0035;
      goal.pitch = MathUtils.clamp(goal.pitch + dy * 0.0035, -1.3, 1.3);
      return;
    }
    const centre = goal.at.clone().addScaledVector(Eye.forward(goal.yaw, goal.pitch), goal.reach);
    goal.yaw += dx * 0.005;
    goal.pitch = MathUtils.clamp(goal.pitch - dy * 0.005, -1.45, 0.35);
    goal.at.copy(centre).addScaledVector(Eye.forward(goal.yaw, goal.pitch), -goal.reach);
    this.#above();
  }

  pan(dx: number, dy: number): void {
    const goal = this.#goal;
    const step = goal.reach * 0.0014;
    const right = new Vector3(Math.cos(goal.yaw), -Math.sin(goal.yaw), 0);
    goal.at.addScaledVector(right, -dx * step);
    goal.at.z += dy * step;
    this.#above();
  }

  /** Nearer with a factor below 1. */
  zoom(factor: number): void {
    const goal = this.#goal;
    const forward = Eye.forward(goal.yaw, goal.pitch);
    if (this.gait === "walk") {
      forward.z = 0;
      goal.at.addScaledVector(forward.normalize(), (1 - factor) * 3);
      return;
    }
    const reach = MathUtils.clamp(goal.reach * factor, 0.6, 120);
    goal.at.addScaledVector(forward, goal.reach - reach);
    goal.reach = reach;
    this.#above();
  }

  /** Walks to a place on the floor. */
  goTo(x: number, y: number): void {
    this.#goal.at.set(x, y, this.floor + EYES);
  }

  walk(): void {
    this.gait = "walk";
    this.#goal.at.z = this.floor + EYES;
    this.#goal.pitch = MathUtils.clamp(this.#goal.pitch, -0.5, 0.5);
  }

  orbit(): void {
    this.gait = "orbit";
    this.#goal.reach = MathUtils.clamp(this.#goal.reach, 2, 40);
  }

  key(code: string, down: boolean): boolean {
    if (!/^(Key[WASDQE]|Arrow(Up|Down|Left|Right)|Page(Up|Down))$/.test(code)) return false;
    if (down) this.#keys.add(code);
    else this.#keys.delete(code);
    return true;
  }

  release(): void {
    this.#keys.clear();
  }

  #above(): void {
    this.#goal.at.z = Math.max(this.#goal.at.z, this.floor + 0.25);
  }

  /** Moves on by `dt` seconds; true while it still moves. */
  step(dt: number): boolean {
    const goal = this.#goal;
    const pose = this.#pose;
    const held = (...codes: string[]): number => (codes.some((code) => this.#keys.has(code)) ? 1 : 0);
    const ahead = held("KeyW", "ArrowUp") - held("KeyS", "ArrowDown");
    const aside = held("KeyD") - held("KeyA");
    const turn = held("ArrowRight") - held("ArrowLeft");
    const up = held("KeyE", "PageUp") - held("KeyQ", "PageDown");
    if (ahead || aside || up) {
      const forward = new Vector3(Math.sin(goal.yaw), Math.cos(goal.yaw), 0);
      const right = new Vector3(Math.cos(goal.yaw), -Math.sin(goal.yaw), 0);
      goal.at.addScaledVector(forward, ahead * SPEED * dt).addScaledVector(right, aside * SPEED * dt);
      goal.at.z += up * SPEED * 0.6 * dt;
      this.#above();
    }
    if (turn) goal.yaw += turn * 1.4 * dt;
    const ease = 1 - Math.exp(-dt * 11);
    pose.at.lerp(goal.at, ease);
    pose.yaw += (goal.yaw - pose.yaw) * ease;
    pose.pitch += (goal.pitch - pose.pitch) * ease;
    pose.reach += (goal.reach - pose.reach) * ease;
    const rest =
      pose.at.distanceToSquared(goal.at) + (pose.yaw - goal.yaw) ** 2 + (pose.pitch - goal.pitch) ** 2;
    const moving = this.#keys.size > 0 || rest > 1e-7;
    if (!moving) {
      pose.at.copy(goal.at);
      pose.yaw = goal.yaw;
      pose.pitch = goal.pitch;
    }
    this.camera.position.copy(pose.at);
    this.camera.lookAt(pose.at.clone().add(Eye.forward(pose.yaw, pose.pitch)));
    return moving;
  }

  get position(): Vector3 {
    return this.#pose.at;
  }
  get yaw(): number {
    return this.#pose.yaw;
  }
}
