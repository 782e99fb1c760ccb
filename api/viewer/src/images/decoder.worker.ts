/** Fetches an image and sends back its index plane. */

import { decode } from "./png.ts";

export interface Ask {
  id: number;
  url: string;
}

export type Answer =
  | { id: number; width: number; height: number; indices: Uint8Array<ArrayBuffer> }
  | { id: number; fault: string };

self.onmessage = async ({ data: { id, url } }: MessageEvent<Ask>): Promise<void> => {
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const plane = await decode(await answer.arrayBuffer());
    self.postMessage({ id, ...plane } satisfies Answer, { transfer: [plane.indices.buffer] });
  } catch (fault) {
    self.postMessage({ id, fault: fault instanceof Error ? fault.message : String(fault) } satisfies Answer);
  }
};
