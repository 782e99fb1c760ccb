import assert from "node:assert/strict";
import { test } from "node:test";
import { isClasses, lookup, meaning, strongest, valueOf } from "../src/images/colours.ts";
import { bands, ticks } from "../src/controls/legend.ts";
import type { Legend, Rgba, Shown } from "../src/model/types.ts";

const opaque = (from: number): Rgba[] => Array.from({ length: 256 }, (_, index) => (index < from ? [0, 0, 0, 0] : [index, 10, 20, 255]));

const LINEAR: Legend = {
  scale: 0.5, offset: -33, first_value_index: 2, values: null,
  codes: { "0": "below threshold", "1": "range folded" }, value_range: [-20, 75], colours: opaque(2),
};

const product = (legend: Legend, changes: Partial<Shown> = {}): Shown => ({
  id: "reflectivity", level: 2, code: null, group: "reflectivity", label: "Reflectivity", unit: "dBZ", count: 1, tilts: [0.5], legend,
  ...changes,
});

test("an index is a value, a word or nothing", () => {
  assert.deepEqual(meaning(LINEAR, 66), { value: 0 });
  assert.deepEqual(meaning(LINEAR, 1), { words: "range folded" });
  assert.equal(meaning({ ...LINEAR, codes: {} }, 1), null);
  const uneven: Legend = { ...LINEAR, values: [null, null, 5, 20] };
  assert.equal(valueOf(uneven, 3), 20);
  assert.equal(valueOf(uneven, 4), null);
});

test("a threshold hides what is below it, and nothing else", () => {
  const table = lookup(product(LINEAR), "standard", 20);
  const alpha = (index: number): number => table[index * 4 + 3]!;
  assert.equal(alpha((19.5 + 33) * 2), 0);
  assert.equal(alpha((20 + 33) * 2), 255);
  assert.deepEqual([...table.subarray(150 * 4, 151 * 4)], [150, 10, 20, 255]);
});

test("the safe table shows the same pixels, brighter with every step", () => {
  const table = lookup(product(LINEAR), "safe", null);
  let before = -1;
  for (let index = 2; index < 256; index++) {
    const [red = 0, green = 0, blue = 0, alpha] = table.subarray(index * 4);
    assert.equal(alpha, 255);
    const brightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    assert.ok(brightness >= before - 1.5, `index ${index}`);
    before = brightness;
  }
  assert.equal(table[3], 0);
});

test("classes are told from amounts, and each has a colour of its own", () => {
  const codes = Object.fromEntries(["none", "rain", "hail", "snow", "ice"].map((name, place) => [String(place * 10), name]));
  const colours = opaque(256).map((colour, index): Rgba => (index && codes[index] ? [index, 0, 0, 255] : colour));
  const classes = product({ ...LINEAR, codes, colours, first_value_index: 2 });
  assert.ok(isClasses(classes.legend));
  assert.ok(!isClasses(LINEAR));
  const table = lookup(classes, "safe", null);
  const seen = [10, 20, 30, 40].map((index) => table.subarray(index * 4, index * 4 + 3).join());
  assert.equal(new Set(seen).size, 4);
});

test("the strongest pixel is found; of velocities either way", () => {
  const plane = { width: 3, indices: Uint8Array.from([0, 1, 70, 90, 2, 60]) };
  assert.deepEqual(strongest(product(LINEAR), plane), { value: 12, column: 0, row: 1 });
  const velocity = product({ ...LINEAR, value_range: [-30, 30] }, { id: "velocity", group: "velocity" });
  assert.deepEqual(strongest(velocity, plane), { value: -32, column: 1, row: 1 });
  assert.equal(strongest(product(LINEAR), { width: 2, indices: new Uint8Array(4) }), null);
});

test("the scale is drawn without holes, from the lowest value up", () => {
  const drawn = bands(product(LINEAR), "standard", null);
  drawn.slice(1).forEach((band, place) => assert.equal(band.left, drawn[place]!.right));
  assert.equal(drawn[0]!.left, -32);
});

test("ticks are round", () => {
  assert.deepEqual(ticks(-20, 75), [-20, 0, 20, 40, 60]);
  assert.deepEqual(ticks(0, 3), [0, 0.5, 1, 1.5, 2, 2.5, 3]);
});
