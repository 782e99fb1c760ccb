import assert from "node:assert/strict";
import { test } from "node:test";
import { format, parse } from "../src/model/hash.ts";
import { DEFAULTS, type State } from "../src/model/state.ts";

const UNUSUAL: State = {
  site: "KTLX", product: "hydrometeor", code: "HHC", tilt: 0.48, day: "2026-11-20", at: Date.parse("2026-11-20T20:42:10.250Z"),
  playing: true, speed: 8, opacity: 0.4, floor: -12.5, table: "safe", theme: "light",
  storms: false, stations: true, sites: false, camera: { zoom: 7.25, latitude: 35.3334, longitude: -97.2778 }, embed: true,
};

test("every part of the state survives the address", () => {
  assert.deepEqual(parse(`#${format(UNUSUAL)}`), UNUSUAL);
});

test("an address tells only what is not as usual", () => {
  assert.equal(format(DEFAULTS), "");
  assert.equal(format({ ...DEFAULTS, site: "KPDT" }), "site=KPDT");
});

test("times and places can be read in the address", () => {
  const told = format({ ...DEFAULTS, at: Date.UTC(2026, 10, 20, 20, 42, 10), camera: { zoom: 6, latitude: 45, longitude: -118 } });
  assert.equal(told, "at=2026-11-20T20:42:10Z&map=6.00/45.0000/-118.0000");
});

test("nonsense is as if it were not there", () => {
  const nonsense = "site=kpdt<&product=../x&code=1&tilt=nan&day=1&at=x&opacity=7&speed=0&table=x&theme=blue&map=1/2&floor=";
  assert.deepEqual(parse(nonsense), DEFAULTS);
  for (const map of ["1/2/3/4", "6/91/0", "99/0/0", "//", "a/b/c"]) assert.equal(parse(`map=${map}`).camera, null);
});
