/** Plays a loop: a step at a time, longer on the last, and never ahead of what is in memory. */

import type { Store } from "../model/state.ts";

/** How much longer the last frame is seen. */
const LAST_FRAME_STEPS = 4;

interface Loop {
  length: () => number;
  place: () => number;
  ready: (place: number) => boolean;
  go: (place: number) => void;
}

/** Follows `playing` and `speed` of the state. */
export function startPlayer(store: Store, loop: Loop): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = (): void => {
    const last = loop.place() === loop.length() - 1;
    timer = setTimeout(step, (1000 / store.state.speed) * (last ? LAST_FRAME_STEPS : 1));
  };
  const step = (): void => {
    const next = loop.length() ? (loop.place() + 1) % loop.length() : 0;
    if (loop.length() > 1 && loop.ready(next)) loop.go(next);
    later();
  };
  store.follow(["playing", "speed"], ({ playing, speed }) => {
    clearTimeout(timer);
    if (playing) timer = setTimeout(step, 1000 / speed);
  });
}
