/** The newest image as the browser itself draws it, over the place of the map until the map draws it: the map's code
 * takes longer to be read, compiled and set up than the image takes to come. */

import { mercator } from "../model/geo.ts";
import { TILE_PX, type Camera } from "../model/state.ts";
import type { Corners } from "../model/types.ts";

/** Marks in the page's timeline when the image was painted. */
export const PAINTED = "first-radar-pixel";

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Where an image lies on a map of this size, in CSS pixels. */
export function boxOf(corners: Corners, camera: Camera, width: number, height: number): Box {
  const world = TILE_PX * 2 ** camera.zoom;
  const [x, y] = mercator([camera.longitude, camera.latitude]);
  const [west, north] = mercator(corners.nw);
  const [east, south] = mercator(corners.se);
  return {
    left: width / 2 + (west - x) * world,
    top: height / 2 + (north - y) * world,
    width: (east - west) * world,
    height: (south - north) * world,
  };
}

const nextFrame = (): Promise<number> => new Promise((drawn) => requestAnimationFrame(drawn));

/** An image on the page that goes with the map until it is removed. */
export class Poster {
  readonly #frame = document.createElement("div");
  readonly #image = new Image();
  #corners: Corners | null = null;
  #camera: Camera | null = null;
  #removed = false;

  constructor() {
    this.#frame.id = "poster";
    this.#frame.ariaHidden = "true";
    this.#image.alt = "";
    this.#image.setAttribute("elementtiming", PAINTED);
    this.#frame.append(this.#image);
  }

  /** Show an image; ends when it was painted. Throws where it does not come. */
  async show(url: string, corners: Corners, camera: Camera, opacity: number): Promise<void> {
    this.#image.src = url;
    await this.#image.decode();
    if (this.#removed) return;
    this.#corners = corners;
    this.#image.style.opacity = String(opacity);
    document.getElementById("map")?.after(this.#frame);
    this.place(this.#camera ?? camera);
    await nextFrame();
    await nextFrame();
    performance.mark(PAINTED);
  }

  /** The map looks elsewhere now. */
  place(camera: Camera): void {
    this.#camera = camera;
    if (!this.#corners) return;
    const { left, top, width, height } = boxOf(this.#corners, camera, this.#frame.clientWidth, this.#frame.clientHeight);
    Object.assign(this.#image.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }

  /** The map draws for itself now, or something else is to be seen. */
  remove(): void {
    this.#removed = true;
    this.#frame.remove();
  }
}
