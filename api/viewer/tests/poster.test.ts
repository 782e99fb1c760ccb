import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOf } from "../src/map/poster.ts";
import type { Corners } from "../src/model/types.ts";

const SQUARE_LATITUDE = 85.0511287798066;
const corners = (west: number, north: number, east: number, south: number): Corners => ({
  nw: [west, north], ne: [east, north], se: [east, south], sw: [west, south],
});
const whole = corners(-180, SQUARE_LATITUDE, 180, -SQUARE_LATITUDE);
const near = (found: number, wanted: number): void => assert.ok(Math.abs(found - wanted) < 1e-6, `${found} is not ${wanted}`);

test("the whole world is a square of 512 pixels around its middle, and twice that a zoom nearer", () => {
  const box = boxOf(whole, { longitude: 0, latitude: 0, zoom: 0 }, 1000, 700);
  near(box.left, 500 - 256);
  near(box.top, 350 - 256);
  near(box.width, 512);
  near(box.height, 512);
  near(boxOf(whole, { longitude: 0, latitude: 0, zoom: 1 }, 1000, 700).width, 1024);
});

test("what the camera looks at lies in the middle of the page", () => {
  const east = boxOf(corners(90, 0, 180, -SQUARE_LATITUDE), { longitude: 90, latitude: 0, zoom: 2 }, 390, 844);
  near(east.left, 195);
  near(east.top, 422);
  near(east.width, 512);
});
