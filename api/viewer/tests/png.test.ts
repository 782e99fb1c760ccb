import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { decode } from "../src/images/png.ts";

const [WIDTH, HEIGHT] = [5, 4];
const PIXELS = Uint8Array.from({ length: WIDTH * HEIGHT }, (_, place) => (place * 67 + 13) % 256);

function chunk(kind: string, body: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(kind, "latin1"), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

/** Rows as PNG has them: the filter's number, then bytes, with Up less those above. */
function rows(filter: number): Buffer {
  const packed = Buffer.alloc(HEIGHT * (WIDTH + 1));
  for (let row = 0; row < HEIGHT; row++) {
    packed[row * (WIDTH + 1)] = filter;
    for (let column = 0; column < WIDTH; column++) {
      const above = filter === 2 && row > 0 ? PIXELS[(row - 1) * WIDTH + column]! : 0;
      packed[row * (WIDTH + 1) + 1 + column] = PIXELS[row * WIDTH + column]! - above;
    }
  }
  return packed;
}

function png(data: Buffer, { parts = 1, depth = 8 } = {}): ArrayBuffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header.set([depth, 3, 0, 0, 0], 8);
  const packed = deflateSync(data);
  const size = Math.ceil(packed.length / parts);
  const idat = Array.from({ length: parts }, (_, part) => chunk("IDAT", packed.subarray(part * size, (part + 1) * size)));
  const whole = Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header), chunk("PLTE", Buffer.alloc(768)), ...idat, chunk("IEND", Buffer.alloc(0)),
  ]);
  return new Uint8Array(whole).buffer;
}

for (const [name, filter] of [["as they are", 0], ["told by their differences", 2]] as const) {
  test(`rows ${name} give their indices`, async () => {
    const plane = await decode(png(rows(filter)));
    assert.deepEqual([plane.width, plane.height], [WIDTH, HEIGHT]);
    assert.deepEqual(plane.indices, PIXELS);
  });
}

test("several chunks of data are one stream", async () => {
  assert.deepEqual((await decode(png(rows(2), { parts: 3 }))).indices, PIXELS);
});

test("what is not a whole image of ours is refused", async () => {
  const whole = png(rows(0));
  await assert.rejects(decode(whole.slice(0, 60)), /cut off|no end/);
  await assert.rejects(decode(new TextEncoder().encode("<!doctype html>").buffer), /not a PNG/);
  await assert.rejects(decode(png(rows(0), { depth: 4 })), /palette/);
  await assert.rejects(decode(png(rows(4))), /filter 4/);
  await assert.rejects(decode(png(rows(0).subarray(0, 12))), /fewer/);
  await assert.rejects(decode(png(Buffer.concat([rows(0), rows(0)]))), /more/);
});
