import assert from "node:assert/strict";
import { test } from "node:test";
import { framesOf, gaps, inPlayOrder, nearest, placeAt, roundTimes } from "../src/model/frames.ts";
import type { Scan } from "../src/model/types.ts";

const MINUTE = 60_000;

const scan = (time: string, repeats: Scan["repeats"] = []): Scan =>
  ({ valid_time: time, href: `/v1/images/${time}.png`, repeats }) as unknown as Scan;

const FRAMES = framesOf([scan("2026-11-21T00:10:00Z"), scan("2026-11-21T00:00:00Z"), scan("2026-11-21T00:05:00Z")]);
const at = (minute: number): number => Date.UTC(2026, 10, 21, 0, minute);

test("frames are in order of time, repeats of a tilt among them", () => {
  const frames = framesOf([
    scan("2026-11-21T00:05:00Z"),
    scan("2026-11-21T00:00:00Z", [{ valid_time: "2026-11-21T00:02:00Z", href: "/again.png" }]),
  ]);
  assert.deepEqual(frames.map((frame) => frame.time), [at(0), at(2), at(5)]);
  assert.equal(frames[1]?.scan.href, "/again.png");
});

test("the frame of a moment is the newest that is not after it", () => {
  assert.equal(placeAt(FRAMES, null), 2);
  assert.equal(placeAt(FRAMES, at(5)), 1);
  assert.equal(placeAt(FRAMES, at(9)), 1);
  assert.equal(placeAt(FRAMES, at(-3)), 0);
  assert.equal(placeAt(FRAMES, at(99)), 2);
  assert.equal(placeAt([], null), -1);
  assert.equal(placeAt([], at(0)), -1);
});

test("a click means the frame that is nearest", () => {
  assert.equal(nearest(FRAMES, at(2))?.time, at(0));
  assert.equal(nearest(FRAMES, at(3))?.time, at(5));
  assert.equal(nearest(FRAMES, at(60))?.time, at(10));
  assert.equal(nearest([], at(0)), undefined);
});

test("a loop is wanted from what is shown on, and then from its beginning", () => {
  const [a, b, c] = FRAMES.map((frame) => frame.scan.href);
  assert.deepEqual(inPlayOrder(FRAMES, 1), [b, c, a]);
  assert.deepEqual(inPlayOrder([], -1), []);
});

test("of a long day only a part is wanted ahead", () => {
  const day = framesOf(Array.from({ length: 300 }, (_, minute) => scan(new Date(at(minute)).toISOString())));
  const wanted = inPlayOrder(day, 299);
  assert.equal(wanted.length, 60);
  assert.deepEqual(wanted.slice(0, 2), [day[299]?.scan.href, day[0]?.scan.href]);
});

test("a silence is a gap, the uneven steps of repeated tilts are none", () => {
  const uneven = [0, 2, 5, 7, 10, 12];
  assert.deepEqual(gaps(uneven.map((minute) => minute * MINUTE)), []);
  const silent = [...uneven, 40, 42];
  assert.deepEqual(gaps(silent.map((minute) => minute * MINUTE)), [[12 * MINUTE, 40 * MINUTE]]);
});

test("labels of the time bar are round and not too many", () => {
  const times = roundTimes(at(3), at(58), 6);
  assert.deepEqual(times, [at(10), at(20), at(30), at(40), at(50)]);
  assert.ok(roundTimes(at(0), at(24 * 60), 8).length <= 9);
});
