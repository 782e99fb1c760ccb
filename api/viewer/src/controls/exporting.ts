/** The picture as a PNG and the loop as a WebM, both with a caption and whose data they are. */

import type { Map as MapView } from "maplibre-gl";
import { h } from "./dom.ts";
import { bands } from "./legend.ts";
import type { ColourTable } from "../model/state.ts";
import type { Shown } from "../model/types.ts";

export interface Caption {
  title: string;
  time: string;
  product: Shown;
  table: ColourTable;
  floor: number | null;
}

const CREDIT = "NOAA/NWS NEXRAD. Not for safety of life.";
const BAR = 64;

/** Draw the map as it is, and the caption below it, on a canvas. */
async function compose(map: MapView, caption: Caption, canvas: HTMLCanvasElement): Promise<void> {
  const source = map.getCanvas();
  const ratio = window.devicePixelRatio;
  const [width, height] = [source.width, source.height + BAR * ratio];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d")!;
  await new Promise<void>((done) => {
    // The map's pixels are there only while it draws.
    map.once("render", () => {
      pen.drawImage(source, 0, 0);
      done();
    });
    map.triggerRepaint();
  });
  pen.save();
  pen.translate(0, source.height);
  pen.scale(ratio, ratio);
  drawCaption(pen, caption, width / ratio);
  pen.restore();
}

function drawCaption(pen: CanvasRenderingContext2D, caption: Caption, width: number): void {
  pen.fillStyle = "#10151c";
  pen.fillRect(0, 0, width, BAR);
  pen.fillStyle = "#f2f5f8";
  pen.font = "600 15px system-ui, sans-serif";
  pen.fillText(`${caption.title} · ${caption.time}`, 12, 22, width - 24);
  const [least, most] = caption.product.legend.value_range;
  const span = Math.min(320, width - 24);
  for (const { left, right, colour } of bands(caption.product, caption.table, caption.floor)) {
    const [from, to] = [left, right].map((value) => Math.min(1, Math.max(0, (value - least) / (most - least))));
    pen.fillStyle = colour;
    pen.fillRect(12 + from! * span, 30, (to! - from!) * span + 0.5, 8);
  }
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = "#b8c4d0";
  pen.fillText(`${least} to ${most} ${caption.product.unit} · ${CREDIT}`, 12, 54, width - 24);
}

function download(blob: Blob, name: string): void {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Save what is seen. */
export async function savePicture(map: MapView, caption: Caption, name: string): Promise<void> {
  const canvas = h("canvas");
  await compose(map, caption, canvas);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("The browser could not make the picture.");
  download(blob, `${name}.png`);
}

/** Save a loop: `show` brings each frame onto the map, and gives its caption. */
export async function saveLoop(
  map: MapView,
  length: number,
  speed: number,
  show: (place: number) => Promise<Caption>,
  name: string,
): Promise<void> {
  if (typeof MediaRecorder === "undefined") throw new Error("This browser records no video.");
  const canvas = h("canvas");
  await compose(map, await show(0), canvas);
  const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm", videoBitsPerSecond: 8_000_000 });
  const parts: Blob[] = [];
  recorder.ondataavailable = ({ data }): void => void parts.push(data);
  const ended = new Promise<void>((done) => (recorder.onstop = (): void => done()));
  recorder.start();
  for (let place = 0; place < length; place++) {
    await compose(map, await show(place), canvas);
    await new Promise((next) => setTimeout(next, 1000 / speed));
  }
  recorder.stop();
  await ended;
  download(new Blob(parts, { type: "video/webm" }), `${name}.webm`);
}
