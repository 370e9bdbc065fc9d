// One picture with everything that is drawn on units: shapes of the states, their words, labels of the nearest.

import { CanvasTexture, LinearFilter, LinearMipmapLinearFilter, SRGBColorSpace } from "three";
import { ALL_LOOKS, WORDS } from "../look.ts";

export const ATLAS = 2048;
const ICON = 128;
const WORD_W = 256;
const WORD_H = 64;
const LABEL_W = 340;
const LABEL_H = 64;
const WORDS_AT = ICON;
/** Words in a row of the picture. */
export const WORD_COLUMNS = ATLAS / WORD_W;
/** Rows of words; as many again say what was. */
const WORD_ROWS = Math.ceil(WORDS.length / WORD_COLUMNS);
const LABELS_AT = ICON + 2 * WORD_ROWS * WORD_H;
export const LABEL_COLUMNS = Math.floor(ATLAS / LABEL_W);
export const LABEL_CELLS = LABEL_COLUMNS * Math.floor((ATLAS - LABELS_AT) / LABEL_H);

/** The same numbers for the shader, as shares of the picture. */
export const CELLS = {
  icon: ICON / ATLAS,
  wordW: WORD_W / ATLAS,
  wordH: WORD_H / ATLAS,
  wordsAt: WORDS_AT / ATLAS,
  /** From a word to the same word of what is old. */
  wordsWas: (WORD_ROWS * WORD_H) / ATLAS,
  labelW: LABEL_W / ATLAS,
  labelH: LABEL_H / ATLAS,
  labelsAt: LABELS_AT / ATLAS,
  labelAspect: LABEL_W / LABEL_H,
} as const;

const FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

export class Atlas {
  readonly texture: CanvasTexture;
  readonly #pen: CanvasRenderingContext2D;
  readonly #cells: (string | undefined)[] = Array.from({ length: LABEL_CELLS });
  #dirty = false;

  /** `fine` is the share of the full size: less where the card is slow. */
  constructor(fine: number) {
    const canvas = document.createElement("canvas");
    canvas.width = ATLAS * fine;
    canvas.height = ATLAS * fine;
    const pen = canvas.getContext("2d");
    if (!pen) throw new Error("no 2-D canvas");
    this.#pen = pen;
    pen.scale(fine, fine);
    pen.fillStyle = "#fff";
    for (const { index, path } of ALL_LOOKS) {
      pen.save();
      // Two looks may share a shape.
      pen.clearRect(index * ICON, 0, ICON, ICON);
      pen.translate(index * ICON + ICON * 0.08, ICON * 0.08);
      pen.scale((ICON * 0.84) / 24, (ICON * 0.84) / 24);
      pen.fill(new Path2D(path), "evenodd");
      pen.restore();
    }
    WORDS.forEach((word, n) => {
      const x = (n % WORD_COLUMNS) * WORD_W;
      const y = WORDS_AT + Math.floor(n / WORD_COLUMNS) * WORD_H;
      this.#write(word, x, y, WORD_W, WORD_H, 600);
      // For what is old and may be otherwise by now.
      this.#write(`was ${word}`, x, y + WORD_ROWS * WORD_H, WORD_W, WORD_H, 600);
    });
    this.texture = new CanvasTexture(canvas);
    this.texture.colorSpace = SRGBColorSpace;
    this.texture.flipY = false;
    this.texture.minFilter = LinearMipmapLinearFilter;
    this.texture.magFilter = LinearFilter;
    this.texture.anisotropy = fine < 1 ? 1 : 4;
  }

  #write(text: string, x: number, y: number, w: number, h: number, weight: number): void {
    const pen = this.#pen;
    pen.clearRect(x, y, w, h);
    pen.textBaseline = "middle";
    let size = h * 0.7;
    do {
      pen.font = `${weight} ${size}px ${FONT}`;
      size -= 3;
    } while (size > h * 0.5 && pen.measureText(text).width > w - 12);
    let words = text;
    while (words.length > 1 && pen.measureText(words).width > w - 12) words = `${words.slice(0, -2)}…`;
    pen.fillText(words, x + 6, y + h * 0.54);
  }

  /** Writes a label into a cell; the picture goes to the card with the next `commit`. */
  label(cell: number, text: string): void {
    if (this.#cells[cell] === text) return;
    this.#cells[cell] = text;
    const column = cell % LABEL_COLUMNS;
    const row = Math.floor(cell / LABEL_COLUMNS);
    this.#write(text, column * LABEL_W, LABELS_AT + row * LABEL_H, LABEL_W, LABEL_H, 500);
    this.#dirty = true;
  }

  commit(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    this.texture.needsUpdate = true;
  }
}
