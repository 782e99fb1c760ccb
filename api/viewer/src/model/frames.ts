/** The frames of a selection: which is shown, which follows, which should be in memory. Pure rules. */

import type { Scan } from "./types.ts";

export interface Frame {
  scan: Scan;
  /** When its sweep began, epoch milliseconds. */
  time: number;
}

/** Frames of scans and their repeats, oldest first; of those with the same time the last one told. */
export function framesOf(scans: readonly Scan[]): Frame[] {
  const sweeps = scans.flatMap((scan) => [scan, ...scan.repeats.map((repeat) => ({ ...scan, ...repeat }))]);
  const byTime = new Map(sweeps.map((scan) => [Date.parse(scan.valid_time), scan]));
  return [...byTime].map(([time, scan]) => ({ time, scan })).sort((a, b) => a.time - b.time);
}

/** The place of the frame that is valid at a moment: the newest not after it; -1 where there are none. */
export function placeAt(frames: readonly Frame[], at: number | null): number {
  if (at === null) return frames.length - 1;
  const after = frames.findIndex((frame) => frame.time > at);
  return after < 0 ? frames.length - 1 : Math.max(0, after - 1);
}

/** The frame nearest to a moment. */
export function nearest(frames: readonly Frame[], at: number): Frame | undefined {
  const place = placeAt(frames, at);
  const [left, right] = [frames[place], frames[place + 1]];
  return left && right && right.time - at < at - left.time ? right : left;
}

/** How many frames are fetched ahead: the newest hours whole, of a day a part that moves on as it plays. */
const AHEAD = 60;

/** Addresses of the planes that a loop needs next, the one at `place` first, then as it plays on. */
export function inPlayOrder(frames: readonly Frame[], place: number): string[] {
  if (place < 0) return [];
  return [...frames.slice(place), ...frames.slice(0, place)].slice(0, AHEAD).map((frame) => frame.scan.href);
}

/** Spans without a frame that are far longer than usual, as pairs of times. */
export function gaps(times: readonly number[]): [number, number][] {
  const steps = times.slice(1).map((time, place) => time - times[place]!);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  // Repeats of the low tilt within a volume make steps uneven: a gap is what is long by minutes, too.
  const least = Math.max(2.5 * usual, 12 * 60_000);
  return times.flatMap((time, place) => {
    const next = times[place + 1];
    return next !== undefined && next - time > least ? [[time, next] as [number, number]] : [];
  });
}

const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440];

/** Round times between two, at most `most` of them, for the labels of a time bar. */
export function roundTimes(from: number, to: number, most: number): number[] {
  const step = (STEPS_MIN.find((minutes) => (to - from) / (minutes * 60_000) <= most) ?? 1440) * 60_000;
  const times: number[] = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) times.push(time);
  return times;
}
