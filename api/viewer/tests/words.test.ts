import assert from "node:assert/strict";
import { test } from "node:test";
import { points } from "../src/controls/chart.ts";
import { amount, angle, duration, utcSecond } from "../src/model/format.ts";
import { nameOf } from "../src/controls/keyboard.ts";
import { chosenProduct, chosenTilt } from "../src/controls/menus.ts";
import { Store } from "../src/model/state.ts";
import type { Forecast, Product } from "../src/model/types.ts";

test("ages are told as people tell them", () => {
  assert.deepEqual([20_000, 120_000, 3_600_000, 11_400_000, 4 * 86_400_000].map(duration), ["less than a minute", "2 min", "1 h", "3 h 10 min", "4 days"]);
  assert.equal(utcSecond(Date.UTC(2026, 0, 1, 2, 3, 4)), "02:03:04");
});

test("values have as many digits as their step, and a true minus", () => {
  assert.equal(amount(-12.5, 0.5), "−12.5");
  assert.equal(amount(30, 1), "30");
  assert.equal(amount(0.0833, 0.0064), "0.083");
  assert.equal(angle(-0.2), "−0.2°");
});

test("keys have the names that commands use", () => {
  assert.equal(nameOf({ key: "ArrowLeft", shiftKey: true }), "Shift+ArrowLeft");
  assert.equal(nameOf({ key: "S", shiftKey: true }), "s");
  assert.equal(nameOf({ key: "Home", shiftKey: false }), "Home");
});

test("a tilt is the nearest there is, without a wish the lowest", () => {
  assert.equal(chosenTilt([0.48, 0.88, 1.8], 0.9), 0.88);
  assert.equal(chosenTilt([0.48, 0.88], null), 0.48);
  assert.equal(chosenTilt([], 0.5), null);
});

test("a site that has not the product shows one that it has", () => {
  const made = (id: string, code: string | null, count: number): Product => ({ id, code, count, legend: count ? {} : null }) as unknown as Product;
  const menu = [made("reflectivity", null, 0), made("hydrometeor", "HHC", 4)];
  assert.equal(chosenProduct(menu, { product: "velocity", code: null })?.code, "HHC");
  assert.equal(chosenProduct(menu, { product: "reflectivity", code: null })?.id, "reflectivity");
  assert.equal(chosenProduct([], { product: "reflectivity", code: null }), undefined);
});

test("listeners hear of what changed, once, and of nothing else", () => {
  const store = new Store();
  const heard: string[] = [];
  store.on(["site", "tilt"], ({ site, tilt }) => heard.push(`${site} ${tilt}`));
  store.set({ site: "KPDT", tilt: 0.5 });
  store.set({ site: "KPDT" });
  store.set({ opacity: 0.2 });
  assert.deepEqual(heard, ["KPDT 0.5"]);
});

test("a chart has the hours that have values, of three days", () => {
  const times = Array.from({ length: 100 }, (_, hour) => new Date(Date.UTC(2026, 0, 1, hour)).toISOString());
  const values = times.map((_, hour) => (hour === 1 ? null : 280 + hour));
  const forecast = { times, series: [{ element: "TTT", unit: "K", values }] } as unknown as Forecast;
  assert.equal(points(forecast, "TTT").length, 72);
  assert.deepEqual(points(forecast, "RR1c"), []);
});
