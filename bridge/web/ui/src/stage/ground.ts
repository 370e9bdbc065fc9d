// The floor of the machine room: raised tiles of 60 cm, with the shade that things cast on it.

import {
  CanvasTexture,
  Color,
  LinearFilter,
  Mesh,
  PlaneGeometry,
  ShaderMaterial,
  SRGBColorSpace,
  Vector2,
  Vector3,
  Vector4,
} from "three";
import type { PrimView } from "../wire.ts";

const SIDE = 512;
/** Lamps that light the floor at once: a grid's viewers draw a few, too. */
const LAMPS = 4;

export class Ground {
  readonly mesh: Mesh<PlaneGeometry, ShaderMaterial>;
  readonly #pen: CanvasRenderingContext2D;
  readonly #shade: CanvasTexture;

  constructor(background: Color) {
    const canvas = document.createElement("canvas");
    canvas.width = SIDE;
    canvas.height = SIDE;
    const pen = canvas.getContext("2d");
    if (!pen) throw new Error("no 2-D canvas");
    this.#pen = pen;
    this.#shade = new CanvasTexture(canvas);
    this.#shade.minFilter = LinearFilter;
    this.#shade.generateMipmaps = false;
    this.mesh = new Mesh(
      new PlaneGeometry(1, 1),
      new ShaderMaterial({
        uniforms: {
          shade: { value: this.#shade },
          frame: { value: new Vector4(0, 0, 1, 1) },
          centre: { value: new Vector2() },
          reach: { value: 20 },
          background: { value: background },
          eye: { value: new Vector3() },
          lamps: { value: Array.from({ length: LAMPS }, () => new Vector4()) },
          lampColours: { value: Array.from({ length: LAMPS }, () => new Vector3()) },
        },
        vertexShader: `varying vec3 vAt; void main() { vec4 at = modelMatrix * vec4(position, 1.0); vAt = at.xyz; gl_Position = projectionMatrix * viewMatrix * at; }`,
        fragmentShader: `
          varying vec3 vAt; uniform sampler2D shade; uniform vec4 frame; uniform vec2 centre; uniform float reach; uniform vec3 background; uniform vec3 eye;
          uniform vec4 lamps[${LAMPS}]; uniform vec3 lampColours[${LAMPS}];
          void main() {
            vec2 tile = vAt.xy / 0.6;
            vec2 width = fwidth(tile) * 1.2;
            vec2 line = 1.0 - smoothstep(width * 0.4, width, abs(fract(tile - 0.5) - 0.5));
            float seam = max(line.x, line.y) * (1.0 - smoothstep(0.15, 0.5, max(width.x, width.y)));
            float checker = mod(floor(tile.x + 0.5) + floor(tile.y + 0.5), 2.0);
            vec3 colour = vec3(0.0075, 0.0105, 0.0145) * (1.0 + 0.05 * checker);
            colour += vec3(0.009, 0.0125, 0.0165) * seam;
            vec2 at = (vAt.xy - frame.xy) / frame.zw;
            vec2 inside = step(vec2(0.0), at) * step(at, vec2(1.0));
            colour *= 1.0 - 0.8 * texture2D(shade, vec2(at.x, at.y)).r * inside.x * inside.y;
            float far = length(vAt.xy - centre) / reach;
            // A soft pool of light in the middle of the room, darkness around it.
            colour *= 0.55 + 1.9 * exp(-far * far * 3.0);
            for (int i = 0; i < ${LAMPS}; i++) {
              // Place and, as its reach, how far it lights; from above, so that it falls off on the floor.
              float away = length(vAt.xy - lamps[i].xy);
              float dark = clamp(1.0 - away / max(lamps[i].w * 0.5, 0.01), 0.0, 1.0);
              colour += lampColours[i] * 0.075 * dark * dark / (0.6 + away * away + lamps[i].z * 0.25);
            }
            float fade = smoothstep(0.35, 1.15, far);
            gl_FragColor = vec4(mix(colour, background, fade), 1.0);
            #include <colorspace_fragment>
          }`,
      }),
    );
    this.mesh.renderOrder = -1;
  }

  /** Lays it under the prims at height `z`. */
  lay(prims: PrimView[], low: Vector3, high: Vector3, z: number): void {
    const margin = 2;
    const wide = Math.max(high.x - low.x + margin * 2, 1);
    const deep = Math.max(high.y - low.y + margin * 2, 1);
    const centre = new Vector2((low.x + high.x) / 2, (low.y + high.y) / 2);
    const reach = Math.max(wide, deep) * 0.75 + 6;
    this.mesh.position.set(centre.x, centre.y, z - 0.002);
    this.mesh.scale.set(reach * 6, reach * 6, 1);
    const pen = this.#pen;
    pen.filter = "none";
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
    const perX = SIDE / wide;
    const perY = SIDE / deep;
    pen.fillStyle = "#fff";
    for (const prim of prims) {
      const bottom = prim.pos[2] - prim.size[2] / 2 - z;
      if (bottom > 0.6 || prim.size[2] < 0.03 || prim.size[0] * prim.size[1] > 30) continue;
      const x = (prim.pos[0] - prim.size[0] / 2 - low.x + margin) * perX;
      const y = (high.y + margin - prim.pos[1] - prim.size[1] / 2) * perY;
      pen.fillRect(x - 2, y - 2, prim.size[0] * perX + 4, prim.size[1] * perY + 4);
    }
    // Blurred once for all of them: a filter at each would take seconds in a full room.
    pen.filter = `blur(${Math.max(2, Math.min(perX, perY) * 0.16)}px)`;
    pen.drawImage(pen.canvas, 0, 0);
    pen.filter = "none";
    this.#shade.needsUpdate = true;
    const { uniforms } = this.mesh.material;
    (uniforms["frame"]!.value as Vector4).set(low.x - margin, low.y - margin, wide, deep);
    (uniforms["centre"]!.value as Vector2).copy(centre);
    uniforms["reach"]!.value = reach;
  }

  /** Light on the floor around lamps that are on. */
  light(lamps: PrimView[]): void {
    const { uniforms } = this.mesh.material;
    const places = uniforms["lamps"]!.value as Vector4[];
    const colours = uniforms["lampColours"]!.value as Vector3[];
    for (let n = 0; n < LAMPS; n += 1) {
      const lamp = lamps[n];
      const height = lamp ? Math.max(0, lamp.pos[2] - this.mesh.position.z) : 0;
      places[n]!.set(lamp?.pos[0] ?? 0, lamp?.pos[1] ?? 0, height, lamp?.light ?? 0);
      const colour = lamp ? new Color().setRGB(...lamp.colour, SRGBColorSpace) : new Color(0, 0, 0);
      colours[n]!.set(colour.r, colour.g, colour.b);
    }
  }
}
