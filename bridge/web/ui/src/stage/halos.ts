// The glow around lamps.

import { AdditiveBlending, CanvasTexture, Color, Group, Sprite, SpriteMaterial, SRGBColorSpace } from "three";
import type { PrimView } from "../wire.ts";

const MOST = 40;

export class Halos {
  readonly group = new Group();
  readonly #picture: CanvasTexture;

  constructor() {
    const canvas = document.createElement("canvas");
    canvas.width = 128;
    canvas.height = 128;
    const pen = canvas.getContext("2d");
    if (!pen) throw new Error("no 2-D canvas");
    const light = pen.createRadialGradient(64, 64, 0, 64, 64, 64);
    light.addColorStop(0, "rgb(255 255 255 / 90%)");
    light.addColorStop(0.25, "rgb(255 255 255 / 35%)");
    light.addColorStop(1, "rgb(255 255 255 / 0%)");
    pen.fillStyle = light;
    pen.fillRect(0, 0, 128, 128);
    this.#picture = new CanvasTexture(canvas);
  }

  put(lamps: PrimView[]): void {
    for (const old of this.group.children) if (old instanceof Sprite) old.material.dispose();
    this.group.clear();
    for (const lamp of lamps.slice(0, MOST)) {
      const material = new SpriteMaterial({
        map: this.#picture,
        color: new Color().setRGB(...lamp.colour, SRGBColorSpace),
        blending: AdditiveBlending,
        depthWrite: false,
        transparent: true,
        opacity: Math.min(1, 0.35 + lamp.glow * 0.6),
      });
      const sprite = new Sprite(material);
      sprite.position.set(...lamp.pos);
      sprite.scale.setScalar(Math.max(...lamp.size) * (2.2 + lamp.glow * 2));
      this.group.add(sprite);
    }
  }
}
