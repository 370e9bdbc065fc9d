// What the bridge sends and takes; bridge/web/src/page/scene.rs is the other side.

export type Power =
  | "off"
  | "starting"
  | "on"
  | "stopping"
  | "paused"
  | "saved"
  | "crashed"
  | "unknown";

/** What kind of thing a target is. */
export type Kind = "machine" | "output" | "door" | "alarm" | "group";

export type Vec3 = [number, number, number];
export type Quat = [number, number, number, number];
export type Shape = "box" | "cylinder" | "sphere" | "torus" | "prism";

export interface RegionView {
  name: string;
  simulated: boolean;
  size: [number, number];
  note: string;
}

export interface AvatarView {
  id: string;
  name: string;
  note: string;
}

export interface PrimView {
  id: number;
  object: string;
  link: number;
  unit: number | null;
  shape: Shape;
  pos: Vec3;
  rot: Quat;
  size: Vec3;
  colour: Vec3;
  alpha: number;
  glow: number;
  fullbright: boolean;
  /** How far it lights its surroundings, in metres. */
  light: number;
  /** Radians a second about the vertical. */
  spin: number;
  text: string;
  text_colour: Vec3;
  name: string;
}

export interface TransitionView {
  action: string;
  by: string;
  since_ms: number;
}

export interface UnitView {
  object: string;
  object_label: string;
  unit: number;
  target: string;
  label: string;
  kind: Kind;
  power: Power;
  word: string;
  note: string;
  cpu: number | null;
  stale: boolean;
  simulated: boolean;
  since_ms: number;
  transition: TransitionView | null;
}

export interface Welcome {
  region: RegionView;
  avatars: AvatarView[];
  prims: PrimView[];
  units: UnitView[];
  touchable: boolean;
  acting: boolean;
  now_ms: number;
  epoch: number;
}

export interface Hop {
  name: string;
  ms: number;
}

export interface DialogEvent {
  kind: "dialog";
  to: string;
  dialog: number;
  from: string;
  text: string;
  buttons: string[];
}

export interface TextBoxEvent {
  kind: "text-box";
  to: string;
  dialog: number;
  from: string;
  text: string;
}

export interface SayEvent {
  kind: "say";
  to?: string;
  from: string;
  text: string;
}

export interface HopsEvent {
  kind: "hops";
  what: string;
  words: string;
  hops: Hop[];
}

export type Change =
  | { kind: "prims"; prims: PrimView[] }
  | { kind: "gone"; ids: number[] }
  | { kind: "units"; units: UnitView[] }
  | { kind: "beat"; now_ms: number }
  | DialogEvent
  | TextBoxEvent
  | SayEvent
  | HopsEvent;

export type Deed =
  | { deed: "touch"; avatar: string; prim: number }
  | { deed: "choose"; avatar: string; dialog: number; button: string }
  | { deed: "write"; avatar: string; dialog: number; text: string };
