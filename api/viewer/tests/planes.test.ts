import assert from "node:assert/strict";
import { test } from "node:test";
import { Planes } from "../src/images/planes.ts";
import type { Plane } from "../src/images/png.ts";

const SIZE = 100;
const plane = (): Plane => ({ width: 10, height: 10, indices: new Uint8Array(SIZE) });
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** Planes whose decoding a test ends by hand. */
function world({ atOnce = 2, room = 5 } = {}) {
  const asked: string[] = [];
  const ends = new Map<string, { done: (plane: Plane) => void; fail: (fault: Error) => void }>();
  const decode = (url: string): Promise<Plane> =>
    new Promise((done, fail) => {
      asked.push(url);
      ends.set(url, { done, fail });
    });
  let told = 0;
  const planes = new Planes(decode, { atOnce, budgetBytes: room * SIZE, changed: () => told++ });
  const end = async (url: string): Promise<void> => {
    ends.get(url)!.done(plane());
    await turn();
  };
  const fail = async (url: string): Promise<void> => {
    ends.get(url)!.fail(new Error("gone"));
    await turn();
  };
  return { planes, asked, end, fail, told: () => told };
}

test("the most urgent come first, a few at a time", async () => {
  const { planes, asked, end } = world();
  planes.want(["a", "b", "c"]);
  assert.deepEqual(asked, ["a", "b"]);
  await end("a");
  assert.deepEqual(asked, ["a", "b", "c"]);
  assert.ok(planes.has("a"));
});

test("what is wanted no more is not asked for", async () => {
  const { planes, asked, end } = world({ atOnce: 1 });
  planes.want(["a", "b", "c"]);
  planes.want(["x"]);
  await end("a");
  assert.deepEqual(asked, ["a", "x"]);
});

test("no more is kept than there is room for, and what is wanted stays longest", async () => {
  const { planes, end } = world({ atOnce: 1, room: 3 });
  for (const url of ["a", "b", "c"]) {
    planes.want([url]);
    await end(url);
  }
  planes.get("a");
  planes.want(["b", "d"]);
  await end("d");
  assert.deepEqual(["a", "b", "c", "d"].map((url) => planes.has(url)), [true, true, false, true]);
  assert.equal(planes.bytes, 3 * SIZE);
});

test("a loop that is larger than the room is fetched as far as it fits, and then is loaded", async () => {
  const { planes, asked, end } = world({ atOnce: 1, room: 2 });
  planes.want(["a", "b", "c", "d"]);
  await end("a");
  await end("b");
  assert.deepEqual(asked, ["a", "b"]);
  assert.deepEqual(planes.progress(), { there: 2, wanted: 2 });
});

test("a plane that fails is tried three times, and again when asked to", async () => {
  const { planes, asked, fail, told } = world();
  planes.want(["a"]);
  for (let time = 0; time < 3; time++) await fail("a");
  assert.deepEqual(asked, ["a", "a", "a"]);
  assert.ok(planes.failed("a"));
  assert.deepEqual(planes.progress(), { there: 1, wanted: 1 });
  assert.equal(told(), 3);
  planes.retry();
  assert.equal(asked.length, 4);
});
