// One material for all prims: what a prim looks like comes with each instance, so that a thousand units are a few
// draw calls. Units get a front with the state's shape, word and label on their upright faces.

import { type Look, WORDS } from "../look.ts";
import { type IUniform, MeshLambertMaterial, Vector3 } from "three";
import { type Atlas, CELLS, LABEL_COLUMNS, WORD_COLUMNS } from "./atlas.ts";

export interface SkinUniforms {
  time: IUniform<number>;
  accent: IUniform<Vector3>;
}

const n = (value: number): string => value.toFixed(8);

const VERTEX_HEAD = `
attribute vec4 aFx;   // glow, fullbright, look or -1, stale and word: see pack()
attribute vec4 aTint; // colour of the state, how strongly it is lit
attribute vec2 aTag;  // label cell or -1, highlight
varying vec4 vFx; varying vec4 vTint; varying vec2 vTag; varying vec3 vLocal; varying vec3 vFace; varying vec3 vSize;
`;
const VERTEX = `
vFx = aFx; vTint = aTint; vTag = aTag; vLocal = position; vFace = normal;
#ifdef USE_INSTANCING
vSize = vec3(length(instanceMatrix[0].xyz), length(instanceMatrix[1].xyz), length(instanceMatrix[2].xyz));
#else
vSize = vec3(1.0);
#endif
`;

const FRAGMENT_HEAD = `
uniform sampler2D uAtlas; uniform float uTime; uniform vec3 uAccent;
varying vec4 vFx; varying vec4 vTint; varying vec2 vTag; varying vec3 vLocal; varying vec3 vFace; varying vec3 vSize;
vec3 skinLight = vec3(0.0);

float cell(vec2 at, vec2 origin, vec2 extent) {
  // Gradients come from the continuous place, or the edges of cells would show.
  vec2 uv = origin + clamp(at, 0.0, 1.0) * extent;
  vec2 dx = dFdx(at * extent); vec2 dy = dFdy(at * extent);
  float ink = textureGrad(uAtlas, uv, dx, dy).a;
  vec2 inside = step(vec2(0.0), at) * step(at, vec2(1.0));
  return ink * inside.x * inside.y;
}

// The front of a unit. Lengths in metres from the lower left corner.
vec3 front(vec3 body) {
  float moving = step(31.5, vFx.z);
  float state = floor(vFx.z - 32.0 * moving + 0.5);
  float stale = mod(floor(vFx.w + 0.5), 2.0);
  float said = floor(vFx.w * 0.5 + 0.1);
  vec3 tint = vTint.rgb;
  float lit = vTint.a;
  lit *= 1.0 - moving * (0.28 - 0.28 * sin(uTime * 5.0));
  float level = stale > 0.5 ? 0.4 : 1.0;
  bool upright = abs(vFace.z) < 0.5;
  if (!upright) return body;
  bool alongY = abs(vFace.x) > 0.5;
  float u = alongY ? vLocal.y * sign(vFace.x) : -vLocal.x * sign(vFace.y);
  float w = alongY ? vSize.y : vSize.x;
  float h = vSize.z;
  vec2 m = vec2((u + 0.5) * w, (vLocal.z + 0.5) * h);
  float edge = min(min(m.x, w - m.x), min(m.y, h - m.y));
  float rim = min(0.006, 0.12 * min(w, h));
  float soft = fwidth(edge) + 1e-5;
  body *= mix(1.7, 1.0, smoothstep(rim - soft, rim + soft, edge));
  // A tall front (a door) carries its sign at eye height.
  if (h > 1.4 * w) { float sign_h = w * 0.42; m.y -= (h - sign_h) * 0.72; h = sign_h; }
  float big = min(0.62 * h, 0.2 * w);
  float x0 = min(0.19 * h, 0.05 * w) + rim;
  vec2 at = (m - vec2(x0, 0.5 * (h - big))) / big;
  at.y = 1.0 - at.y;
  float icon = cell(at, vec2(state * ${n(CELLS.icon)}, 0.0), vec2(${n(CELLS.icon)}));
  // A glow around the shape.
  float halo = exp(-dot(at - 0.5, at - 0.5) * 5.0);
  float text_x = x0 + big + 0.35 * x0 + 0.012;
  float room = w - text_x - rim;
  bool two = h > 0.15 * w;
  float lh = two ? min(0.44 * h, room / ${n(CELLS.labelAspect)}) : min(0.8 * h, room * 0.64 / ${n(CELLS.labelAspect)});
  float wh = two ? min(0.4 * h, lh) : min(0.7 * h, room * 0.34 / 4.0);
  float gap = two ? (h - lh - wh) * 0.5 : 0.0;
  float label_y = two ? h - gap - lh : 0.5 * (h - lh);
  float word_y = two ? gap : 0.5 * (h - wh);
  float word_x = two ? text_x : w - rim - wh * 4.0;
  vec2 lat = (m - vec2(text_x, label_y)) / vec2(lh * ${n(CELLS.labelAspect)}, lh); lat.y = 1.0 - lat.y;
  vec2 wat = (m - vec2(word_x, word_y)) / vec2(wh * 4.0, wh); wat.y = 1.0 - wat.y;
  float number = floor(max(vTag.x, 0.0) + 0.5);
  float column = mod(number, ${n(LABEL_COLUMNS)});
  float row = floor(number / ${n(LABEL_COLUMNS)} + 0.0001);
  float label = cell(lat, vec2(column * ${n(CELLS.labelW)}, ${n(CELLS.labelsAt)} + row * ${n(CELLS.labelH)}),
    vec2(${n(CELLS.labelW)}, ${n(CELLS.labelH)})) * step(-0.5, vTag.x);
  vec2 word_cell = vec2(mod(said, ${n(WORD_COLUMNS)}), floor(said / ${n(WORD_COLUMNS)} + 0.0001));
  float word = cell(wat, vec2(word_cell.x * ${n(CELLS.wordW)}, ${n(CELLS.wordsAt)} + stale * ${n(CELLS.wordsWas)} + word_cell.y * ${n(CELLS.wordH)}),
    vec2(${n(CELLS.wordW)}, ${n(CELLS.wordH)}));
  // What is old is hatched.
  float hatch = stale * step(0.5, fract((m.x + m.y) * 22.0)) * 0.05;
  body = body * (1.0 - icon) + hatch;
  float strip = step(m.x, x0 * 0.42 + rim) * step(0.0, m.y) * step(m.y, h);
  skinLight += tint * level * (icon * (0.35 + 0.65 * lit) + halo * 0.22 * lit + strip * lit * 0.9 + word * (0.85 + stale));
  skinLight += vec3(0.82, 0.88, 0.94) * label * (0.5 + 0.45 * level);
  float ring = 1.0 - smoothstep(rim * 0.9 - soft, rim * 0.9 + soft, edge);
  skinLight += uAccent * ring * vTag.y;
  return body;
}
`;

/** What the shader is told of a look: its shape, whether there is a front to draw it on, and its word. */
export function pack(look: Look, front: boolean, stale: boolean): [number, number] {
  const moving = look.moving && !stale ? 32 : 0;
  return [look.index + (front ? 0 : 16) + moving, (stale ? 1 : 0) + 2 * WORDS.indexOf(look.word)];
}

export function skin(atlas: Atlas, uniforms: SkinUniforms, clear: boolean): MeshLambertMaterial {
  const material = new MeshLambertMaterial({ transparent: clear, depthWrite: !clear });
  material.onBeforeCompile = (shader) => {
    shader.uniforms["uAtlas"] = { value: atlas.texture };
    shader.uniforms["uTime"] = uniforms.time;
    shader.uniforms["uAccent"] = uniforms.accent;
    shader.vertexShader = shader.vertexShader
      .replace("#include <common>", `#include <common>${VERTEX_HEAD}${clear ? "attribute float aAlpha; varying float vAlpha;" : ""}`)
      .replace("#include <begin_vertex>", `#include <begin_vertex>${VERTEX}${clear ? "vAlpha = aAlpha;" : ""}`);
    shader.fragmentShader = shader.fragmentShader
      .replace("#include <common>", `#include <common>${FRAGMENT_HEAD}${clear ? "varying float vAlpha;" : ""}`)
      .replace(
        "#include <color_fragment>",
        `#include <color_fragment>
        ${clear ? "diffuseColor.a *= vAlpha;" : ""}
        vec3 own = diffuseColor.rgb;
        if (vFx.z > -0.5) {
          if (mod(floor(vFx.z + 0.5), 32.0) > 15.5) {
            skinLight += vTint.rgb * (0.25 + 0.6 * vTint.a) * (mod(floor(vFx.w + 0.5), 2.0) > 0.5 ? 0.4 : 1.0) + uAccent * vTag.y * 0.35;
            diffuseColor.rgb *= 0.4;
          }
          else { diffuseColor.rgb = front(mix(vec3(0.03, 0.036, 0.045), own, vSize.z > vSize.x ? 0.3 : 0.12)); }
        } else {
          skinLight += own * max(vFx.x * 0.55, vFx.y * 0.6);
          diffuseColor.rgb *= 1.0 - 0.7 * vFx.y;
        }`,
      )
      .replace("#include <opaque_fragment>", "outgoingLight += skinLight;\n#include <opaque_fragment>");
  };
  material.customProgramCacheKey = () => (clear ? "skin-clear" : "skin");
  return material;
}
