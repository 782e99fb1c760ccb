import assert from "node:assert/strict";
import { test } from "node:test";
import { beamHeightM, bearing, direction, lonLat, mercator, pixelAt, placeOf } from "../src/model/geo.ts";
import type { Corners, LonLat } from "../src/model/types.ts";

const CORNERS: Corners = { nw: [-124.79, 49.83], ne: [-112.91, 49.83], se: [-112.91, 41.55], sw: [-124.79, 41.55] };
const near = (found: number, expected: number, by: number): void => assert.ok(Math.abs(found - expected) <= by, `${found}, not ${expected}`);

test("Web Mercator is that of EPSG:3857, and goes back", () => {
  // As PROJ has (-118.85, 45.69): half the world is 20037508.342789244 m wide.
  const [x, y] = mercator([-118.85, 45.69]);
  near((x - 0.5) * 2 * 20037508.342789244, -13230321.481, 0.01);
  near((0.5 - y) * 2 * 20037508.342789244, 5730809.911, 0.01);
  const [longitude, latitude] = lonLat(x, y);
  near(longitude, -118.85, 1e-9);
  near(latitude, 45.69, 1e-9);
});

test("the middle of every pixel falls on that pixel", () => {
  for (const pixel of [{ column: 0, row: 0 }, { column: 899, row: 899 }, { column: 450, row: 17 }]) {
    assert.deepEqual(pixelAt(CORNERS, 900, 900, placeOf(CORNERS, 900, 900, pixel)), pixel);
  }
});

test("outside of the image there is no pixel, and a map turned round the world has the same ones", () => {
  assert.equal(pixelAt(CORNERS, 900, 900, [-125, 45]), null);
  assert.equal(pixelAt(CORNERS, 900, 900, [-118, 50]), null);
  const place: LonLat = [-118, 45];
  assert.deepEqual(pixelAt(CORNERS, 900, 900, [place[0] + 360, place[1]]), pixelAt(CORNERS, 900, 900, place));
});

test("distance and direction are those of a sphere", () => {
  const { distanceKm, azimuthDeg } = bearing([0, 0], [0, 1]);
  near(distanceKm, 111.19, 0.01);
  near(azimuthDeg, 0, 1e-9);
  near(bearing([0, 0], [-1, 0]).azimuthDeg, 270, 1e-9);
  assert.equal(direction(358), "north");
  assert.equal(direction(316), "northwest");
});

test("the beam rises as the model of 4/3 earth radii has it", () => {
  near(beamHeightM(100, 0.5), 1462, 8);
  near(beamHeightM(0, 10), 0, 1e-9);
  near(beamHeightM(200, 0), 2355, 8);
});
