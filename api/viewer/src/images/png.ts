/** Index planes of palette PNGs (8 bits, one filter for all rows: None or Up), without a canvas. */

/** An image whose bytes are palette indices, row by row from the north-west. */
export interface Plane {
  width: number;
  height: number;
  indices: Uint8Array<ArrayBuffer>;
}

interface Packed {
  width: number;
  height: number;
  /** The contents of the IDAT chunks, in order: one zlib stream. */
  data: Uint8Array<ArrayBuffer>[];
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const NONE = 0;
const UP = 2;

/** The indices of a PNG. Throws where it is none, or not one of ours. */
export async function decode(png: ArrayBuffer): Promise<Plane> {
  const { width, height, data } = unpack(png);
  const rows = await inflate(data, height * (width + 1));
  return { width, height, indices: unfilter(rows, width, height) };
}

/** Read the chunks of a PNG. */
export function unpack(png: ArrayBuffer): Packed {
  const bytes = new Uint8Array(png);
  const view = new DataView(png);
  if (SIGNATURE.some((byte, place) => bytes[place] !== byte)) throw new Error("not a PNG");
  const packed: Packed = { width: 0, height: 0, data: [] };
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const start = at + 8;
    if (start + length + 4 > bytes.length) throw new Error(`PNG: ${kind} is cut off`);
    if (kind === "IHDR") {
      packed.width = view.getUint32(start);
      packed.height = view.getUint32(start + 4);
      const [depth, colours, , , interlaced] = bytes.subarray(start + 8, start + 13);
      if (depth !== 8 || colours !== 3 || interlaced) throw new Error("PNG: not 8 bits with a palette");
    } else if (kind === "IDAT") {
      packed.data.push(bytes.subarray(start, start + length));
    } else if (kind === "IEND") {
      return packed;
    }
    at = start + length + 4;
  }
  throw new Error("PNG: no end");
}

async function inflate(data: Uint8Array<ArrayBuffer>[], expected: number): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob(data).stream().pipeThrough(new DecompressionStream("deflate"));
  const rows = new Uint8Array(expected);
  let filled = 0;
  for await (const part of stream) {
    if (filled + part.length > expected) throw new Error("PNG: more pixels than its size");
    rows.set(part, filled);
    filled += part.length;
  }
  if (filled !== expected) throw new Error("PNG: fewer pixels than its size");
  return rows;
}

/** Undo the filters: `rows` have a type byte and then `width` bytes each. */
export function unfilter(rows: Uint8Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const indices = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const from = row * (width + 1);
    const to = row * width;
    const filter = rows[from];
    indices.set(rows.subarray(from + 1, from + 1 + width), to);
    if (filter === UP && row > 0) {
      for (let at = to; at < to + width; at++) indices[at]! += indices[at - width]!;
    } else if (filter !== NONE && filter !== UP) {
      throw new Error(`PNG: filter ${filter}`);
    }
  }
  return indices;
}
