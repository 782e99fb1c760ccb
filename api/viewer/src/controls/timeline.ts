/** The time bar: a slider whose scale is true to time, so that gaps are seen as gaps. */

import { byId, cssColour, fitted } from "./dom.ts";
import { gaps, nearest, roundTimes, type Frame } from "../model/frames.ts";
import { localTime, utcDay, utcMinute, utcSecond } from "../model/format.ts";

interface Shown {
  frames: readonly Frame[];
  /** The frame that is chosen. */
  time: number | null;
  /** Whether the plane of a frame is in memory. */
  ready: (frame: Frame) => boolean;
}

const MARGIN = 10;
const LABEL_WIDTH = 74;

/** Draws frames, and calls `seek` with the time of the frame that a person points at. */
export class Timeline {
  readonly #canvas = byId<HTMLCanvasElement>("time-marks");
  readonly #slider = byId("time-slider");
  readonly #utc = byId("time-utc");
  readonly #local = byId("time-local");
  #shown: Shown = { frames: [], time: null, ready: () => false };

  constructor(seek: (time: number) => void) {
    const follow = (event: PointerEvent): void => {
      const found = nearest(this.#shown.frames, this.#timeAt(event.clientX));
      if (found) seek(found.time);
    };
    this.#slider.addEventListener("pointerdown", (event) => {
      this.#slider.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.#slider.addEventListener("pointermove", (event) => {
      if (this.#slider.hasPointerCapture(event.pointerId)) follow(event);
    });
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
  }

  show(shown: Shown): void {
    this.#shown = shown;
    this.draw();
    this.#tell();
  }

  #tell(): void {
    const { frames, time } = this.#shown;
    for (const id of ["step-back", "play", "step-on"]) byId<HTMLButtonElement>(id).disabled = frames.length < 2;
    this.#slider.setAttribute("aria-valuemin", "0");
    this.#slider.setAttribute("aria-valuemax", String(Math.max(0, frames.length - 1)));
    this.#slider.setAttribute("aria-valuenow", String(Math.max(0, frames.findIndex((frame) => frame.time === time))));
    this.#slider.setAttribute("aria-valuetext", time === null ? "no scan" : `${utcMinute(time)} UTC, ${localTime(time)}`);
    this.#utc.textContent = time === null ? "" : `${utcSecond(time)} UTC · ${utcDay(time)}`;
    this.#local.textContent = time === null ? "no scan" : localTime(time);
  }

  get #span(): [number, number] {
    const { frames } = this.#shown;
    const first = frames[0]?.time ?? 0;
    return [first, Math.max(first + 1, frames.at(-1)?.time ?? 0)];
  }

  #timeAt(clientX: number): number {
    const { left, width } = this.#canvas.getBoundingClientRect();
    const [from, to] = this.#span;
    return from + ((clientX - left - MARGIN) / (width - 2 * MARGIN)) * (to - from);
  }

  /** Draw again: colours or size may have changed. */
  draw(): void {
    const { pen, width, height } = fitted(this.#canvas);
    const { frames, time, ready } = this.#shown;
    if (!frames.length) return;
    const [from, to] = this.#span;
    const x = (at: number): number => MARGIN + ((at - from) / (to - from)) * (width - 2 * MARGIN);
    const line = Math.round(height * 0.36);
    pen.fillStyle = cssColour("--track");
    pen.fillRect(MARGIN, line - 1.5, width - 2 * MARGIN, 3);
    for (const [start, end] of gaps(frames.map((frame) => frame.time))) {
      pen.clearRect(x(start) + 2, line - 3, x(end) - x(start) - 4, 6);
    }
    const mark = Math.min(4, Math.max(1, (width / frames.length) * 0.5));
    for (const frame of frames) {
      pen.fillStyle = cssColour(ready(frame) ? "--accent" : "--faint");
      pen.fillRect(x(frame.time) - mark / 2, line - 6, mark, 12);
    }
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillStyle = cssColour("--muted");
    pen.textAlign = "center";
    for (const each of roundTimes(from, to, Math.max(2, Math.floor(width / LABEL_WIDTH)))) {
      pen.fillText(utcMinute(each), Math.min(width - 16, Math.max(16, x(each))), height - 4);
    }
    if (time === null) return;
    pen.fillStyle = cssColour("--text");
    pen.beginPath();
    pen.arc(x(time), line, 7, 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = cssColour("--accent");
    pen.beginPath();
    pen.arc(x(time), line, 4, 0, 2 * Math.PI);
    pen.fill();
  }
}
