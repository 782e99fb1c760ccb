/** The colour scale, with the value under the pointer. */

import { isClasses, lookup, meaning, valueOf } from "../images/colours.ts";
import { byId, cssColour, fitted, h } from "./dom.ts";
import { amount } from "../model/format.ts";
import { beamHeightM, bearing, direction, pixelAt } from "../model/geo.ts";
import type { Frame } from "../model/frames.ts";
import type { Plane } from "../images/png.ts";
import type { ColourTable } from "../model/state.ts";
import type { LonLat, Shown, Site } from "../model/types.ts";

interface Scale {
  product: Shown;
  table: ColourTable;
  floor: number | null;
}

/** What is under the pointer. */
export interface Reading {
  index: number;
  value: number | null;
  words: string;
  where: string;
}

/** Read a place from a plane: no request is made. Null outside of the image. */
export function read(site: Site, product: Shown, frame: Frame, plane: Plane, place: LonLat): Reading | null {
  const pixel = pixelAt(frame.scan.corners, plane.width, plane.height, place);
  const { distanceKm, azimuthDeg } = bearing([site.longitude_deg, site.latitude_deg], place);
  if (!pixel || distanceKm > frame.scan.range_km) return null;
  const index = plane.indices[pixel.row * plane.width + pixel.column] ?? 0;
  const found = meaning(product.legend, index);
  const value = found && "value" in found ? found.value : null;
  const words = value !== null ? `${amount(value, product.legend.values ? 0.1 : product.legend.scale)} ${product.unit}`
    : found && "words" in found ? found.words : "no data";
  const beamKm = beamHeightM(distanceKm, frame.scan.tilt_deg) / 1000;
  // What was made of several tilts was seen at no one height.
  const beam = product.tilts.length ? `, beam ${beamKm.toFixed(1)} km up` : "";
  const where = `${Math.round(distanceKm)} km ${direction(azimuthDeg)} (${Math.round(azimuthDeg)}°)${beam}`;
  return { index, value, words, where };
}

/** Draws the scale of a product and marks a reading on it. */
export class LegendView {
  readonly #card = byId("legend");
  readonly #canvas = byId<HTMLCanvasElement>("legend-scale");
  readonly #classes = byId("legend-classes");
  readonly #title = byId("legend-title");
  readonly #value = byId("legend-value");
  readonly #where = byId("legend-where");
  #scale: Scale | undefined;
  #reading: Reading | null = null;

  constructor() {
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
  }

  show(scale: Scale): void {
    this.#scale = scale;
    this.#card.hidden = false;
    const { product } = scale;
    this.#title.textContent = product.unit && !isClasses(product.legend) ? `${product.label} (${product.unit})` : product.label;
    const classes = isClasses(product.legend);
    this.#canvas.hidden = classes;
    this.#classes.hidden = !classes;
    if (classes) this.#classes.replaceChildren(...this.#chips(scale));
    this.draw();
  }

  /** There is nothing to tell of. */
  hide(): void {
    this.#card.hidden = true;
  }

  mark(reading: Reading | null): void {
    this.#reading = reading;
    this.#value.textContent = reading?.words ?? "";
    this.#where.textContent = reading?.where ?? "";
    this.#classes.querySelectorAll("li").forEach((chip) => {
      chip.classList.toggle("here", chip.dataset["index"] === String(reading?.index));
    });
    this.draw();
  }

  #chips({ product, table, floor }: Scale): HTMLElement[] {
    const colours = lookup(product, table, floor);
    return Object.entries(product.legend.codes)
      .filter(([index]) => colours[Number(index) * 4 + 3])
      .map(([index, words]) => {
        const [red, green, blue] = colours.subarray(Number(index) * 4);
        const swatch = h("span", { class: "swatch" });
        swatch.style.background = `rgb(${red} ${green} ${blue})`;
        return h("li", { "data-index": index }, swatch, words);
      });
  }

  /** Draw again: colours or size may have changed. */
  draw(): void {
    if (!this.#scale || this.#canvas.hidden) return;
    const { product, table, floor } = this.#scale;
    const { pen, width, height } = fitted(this.#canvas);
    const [least, most] = product.legend.value_range;
    const bar = 12;
    const x = (value: number): number => Math.min(1, Math.max(0, (value - least) / (most - least))) * width;
    for (const { left, right, colour } of bands(product, table, floor)) {
      pen.fillStyle = colour;
      pen.fillRect(x(left), 0, x(right) - x(left) + 0.5, bar);
    }
    pen.fillStyle = cssColour("--muted");
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    for (const tick of ticks(least, most)) {
      pen.textAlign = x(tick) < 10 ? "left" : x(tick) > width - 10 ? "right" : "center";
      pen.fillText(amount(tick, Number.isInteger(tick) ? 1 : 0.01).replace(/(\.\d*?)0+$/, "$1"), x(tick), height - 2);
    }
    if (this.#reading?.value == null) return;
    pen.fillStyle = cssColour("--text");
    pen.beginPath();
    pen.moveTo(x(this.#reading.value), bar - 5);
    pen.lineTo(x(this.#reading.value) - 5, bar + 4);
    pen.lineTo(x(this.#reading.value) + 5, bar + 4);
    pen.fill();
  }
}

interface Band {
  left: number;
  right: number;
  colour: string;
}

/** The colours of a scale, from the lowest value up; each reaches to the next value. */
export function bands(product: Shown, table: ColourTable, floor: number | null): Band[] {
  const colours = lookup(product, table, floor);
  const entries = Array.from({ length: 256 }, (_, index) => ({ index, value: valueOf(product.legend, index) }))
    .filter((entry): entry is { index: number; value: number } => entry.value !== null)
    .sort((a, b) => a.value - b.value);
  return entries.map(({ index, value }, place) => {
    const [red, green, blue, alpha = 0] = colours.subarray(index * 4, index * 4 + 4);
    const right = entries[place + 1]?.value ?? product.legend.value_range[1];
    return { left: value, right, colour: `rgb(${red} ${green} ${blue} / ${alpha / 255})` };
  });
}

/** About six round values between two. */
export function ticks(least: number, most: number): number[] {
  const rough = (most - least) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10) * power;
  const found: number[] = [];
  for (let count = Math.ceil(least / step - 1e-9); count * step <= most + step * 1e-9; count++) {
    found.push(Number((count * step).toPrecision(12)));
  }
  return found;
}
