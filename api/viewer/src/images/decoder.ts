/** The workers that fetch and decode images, each one image at a time. */

import type { Answer, Ask } from "./decoder.worker.ts";
import type { Plane } from "./png.ts";

export type Decode = (url: string) => Promise<Plane>;

/** How many images are fetched and decoded at once: one core is left to the page. */
export const WORKERS = Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1));

/** Start the workers; gives what decodes by them. */
export function startDecoders(): Decode {
  const waiting = new Map<number, { resolve: (plane: Plane) => void; reject: (fault: Error) => void }>();
  const workers = Array.from({ length: WORKERS }, () => {
    const worker = new Worker(new URL("./decoder.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>): void => {
      const asked = waiting.get(data.id);
      waiting.delete(data.id);
      if ("fault" in data) asked?.reject(new Error(data.fault));
      else asked?.resolve({ width: data.width, height: data.height, indices: data.indices });
    };
    return worker;
  });
  let last = 0;
  return (url) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      workers[id % workers.length]?.postMessage({ id, url } satisfies Ask);
    });
}
