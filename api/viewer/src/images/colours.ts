/** What an index means and how it is coloured: values, words, lookup tables of 256 RGBA. */

import type { ColourTable } from "../model/state.ts";
import type { Legend, Shown, Rgba } from "../model/types.ts";

export type Meaning = { value: number } | { words: string } | null;

/** What an index of a plane stands for: a value, words (a class, "range folded"), or nothing. */
export function meaning(legend: Legend, index: number): Meaning {
  const words = legend.codes[index];
  if (words !== undefined) return { words };
  const value = valueOf(legend, index);
  return value === null ? null : { value };
}

/** The value of an index; null where it has none. */
export function valueOf(legend: Legend, index: number): number | null {
  if (index < legend.first_value_index || legend.codes[index] !== undefined) return null;
  if (legend.values) return legend.values[index] ?? null;
  return index * legend.scale + legend.offset;
}

/** Whether a product tells of classes (rain, hail, ...) and not of amounts. */
export function isClasses(legend: Legend): boolean {
  const seen = (index: number): boolean => (legend.colours[index]?.[3] ?? 0) > 0;
  const named = Object.keys(legend.codes).filter((index) => seen(Number(index))).length;
  return named >= 4 && legend.colours.every((_, index) => !seen(index) || legend.codes[index] !== undefined);
}

/** A velocity or another product that has two sides around zero. */
export function isTwoSided(product: Shown): boolean {
  const [least, most] = product.legend.value_range;
  return least < 0 && most > 0 && /velocity/.test(product.group + product.id);
}

/** The lookup table: 256 times RGBA. Values below `floor` are not seen. */
export function lookup(product: Shown, table: ColourTable, floor: number | null): Uint8Array<ArrayBuffer> {
  const { legend } = product;
  const colours = new Uint8Array(256 * 4);
  for (let index = 0; index < 256; index++) {
    const value = valueOf(legend, index);
    if (floor !== null && value !== null && value < floor) continue;
    colours.set(table === "safe" ? safe(product, index, value) : plain(legend, index), index * 4);
  }
  return colours;
}

function plain(legend: Legend, index: number): Rgba {
  return legend.colours[index] ?? [0, 0, 0, 0];
}

/** Cividis at even steps (Nunez, Anderton and Renslow 2018): equal steps for all kinds of colour vision. */
const CIVIDIS: readonly Rgb[] = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

/** Blue to orange over a light middle, told apart by all kinds of colour vision. */
const TWO_SIDED: readonly Rgb[] = [
  [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [224, 224, 224],
  [253, 204, 138], [241, 149, 66], [204, 89, 20], [127, 43, 4],
];

/** Okabe and Ito's colours for classes, then lighter and darker ones of them. */
const CLASSES: readonly Rgb[] = [
  [86, 180, 233], [0, 114, 178], [0, 158, 115], [240, 228, 66], [230, 159, 0], [213, 94, 0],
  [204, 121, 167], [187, 187, 187], [255, 255, 255], [120, 60, 110], [0, 80, 60], [110, 110, 110],
];

type Rgb = readonly [number, number, number];

function safe(product: Shown, index: number, value: number | null): Rgba {
  const { legend } = product;
  const alpha = plain(legend, index)[3];
  if (!alpha) return [0, 0, 0, 0];
  if (value === null) {
    if (!isClasses(legend)) return [128, 128, 128, alpha];
    const place = Object.keys(legend.codes).map(Number).filter((code) => plain(legend, code)[3]).indexOf(index);
    return [...(CLASSES[place % CLASSES.length] ?? [128, 128, 128]), alpha];
  }
  const [least, most] = legend.value_range;
  const share = Math.min(1, Math.max(0, (value - least) / (most - least)));
  return [...between(isTwoSided(product) ? TWO_SIDED : CIVIDIS, share), alpha];
}

function between(stops: readonly Rgb[], share: number): Rgb {
  const place = share * (stops.length - 1);
  const left = stops[Math.floor(place)] ?? [0, 0, 0];
  const right = stops[Math.ceil(place)] ?? left;
  const mix = (at: 0 | 1 | 2): number => Math.round(left[at] + (right[at] - left[at]) * (place % 1));
  return [mix(0), mix(1), mix(2)];
}

/** The index with the largest value (of two-sided products the largest either way) in a plane, and where. */
export function strongest(
  product: Shown,
  plane: { width: number; indices: Uint8Array },
): { value: number; column: number; row: number } | null {
  const weights = new Float32Array(256).fill(-Infinity);
  const twoSided = isTwoSided(product);
  for (let index = 0; index < 256; index++) {
    const value = valueOf(product.legend, index);
    if (value !== null && plain(product.legend, index)[3]) weights[index] = twoSided ? Math.abs(value) : value;
  }
  let most = -Infinity;
  let place = -1;
  for (let at = 0; at < plane.indices.length; at++) {
    const weight = weights[plane.indices[at]!]!;
    if (weight > most) {
      most = weight;
      place = at;
    }
  }
  const value = place < 0 ? null : valueOf(product.legend, plane.indices[place]!);
  if (value === null) return null;
  return { value, column: place % plane.width, row: Math.floor(place / plane.width) };
}
