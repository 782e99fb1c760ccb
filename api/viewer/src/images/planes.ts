/** Index planes kept in memory: the wanted ones are fetched in order, the least recently used are let go. */

import type { Decode } from "./decoder.ts";
import type { Plane } from "./png.ts";

export const BUDGET_BYTES = 256 * 1024 * 1024;

const TRIES = 3;

interface Options {
  /** How many are decoded at once. */
  atOnce: number;
  budgetBytes?: number;
  /** Is told of every plane that came, or will not come. */
  changed: () => void;
}

/** A bounded cache that fills itself with what is wanted. */
export class Planes {
  readonly #decode: Decode;
  readonly #options: Required<Options>;
  /** In order of use, the latest last. */
  readonly #kept = new Map<string, Plane>();
  readonly #under = new Set<string>();
  readonly #faults = new Map<string, number>();
  #wanted: readonly string[] = [];
  #bytes = 0;

  constructor(decode: Decode, options: Options) {
    this.#decode = decode;
    this.#options = { budgetBytes: BUDGET_BYTES, ...options };
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A plane that is there; it counts as used. */
  get(url: string): Plane | undefined {
    const plane = this.#kept.get(url);
    if (plane) {
      this.#kept.delete(url);
      this.#kept.set(url, plane);
    }
    return plane;
  }

  has(url: string): boolean {
    return this.#kept.has(url);
  }

  /** Whether a plane was tried for and will not come. */
  failed(url: string): boolean {
    return (this.#faults.get(url) ?? 0) >= TRIES;
  }

  /** What is wanted from now on, the most urgent first; as much of it as fits is fetched. */
  want(urls: readonly string[]): void {
    this.#wanted = [...new Set(urls)];
    this.#go();
  }

  /** Try again what failed. */
  retry(): void {
    this.#faults.clear();
    this.#go();
  }

  /** How much of what is wanted, and fits, is there. */
  progress(): { there: number; wanted: number } {
    const fitting = this.#fitting();
    return { there: fitting.filter((url) => this.#kept.has(url) || this.failed(url)).length, wanted: fitting.length };
  }

  /** The most urgent of the wanted that fit together, where planes are as large as the largest kept. */
  #fitting(): readonly string[] {
    let size = 0;
    for (const plane of this.#kept.values()) size = Math.max(size, plane.indices.length);
    return size ? this.#wanted.slice(0, Math.max(1, Math.floor(this.#options.budgetBytes / size))) : this.#wanted;
  }

  #go(): void {
    for (const url of this.#fitting()) {
      if (this.#under.size >= this.#options.atOnce) return;
      if (!this.#kept.has(url) && !this.#under.has(url) && !this.failed(url)) void this.#fetch(url);
    }
  }

  async #fetch(url: string): Promise<void> {
    this.#under.add(url);
    try {
      this.#keep(url, await this.#decode(url));
      this.#faults.delete(url);
    } catch {
      this.#faults.set(url, (this.#faults.get(url) ?? 0) + 1);
    }
    this.#under.delete(url);
    this.#go();
    this.#options.changed();
  }

  #keep(url: string, plane: Plane): void {
    this.#kept.set(url, plane);
    this.#bytes += plane.indices.length;
    const wanted = new Set(this.#fitting());
    const order = [...this.#kept.keys()];
    for (const old of [...order.filter((each) => !wanted.has(each)), ...order.filter((each) => wanted.has(each))]) {
      if (this.#bytes <= this.#options.budgetBytes || old === url) continue;
      this.#bytes -= this.#kept.get(old)?.indices.length ?? 0;
      this.#kept.delete(old);
    }
  }
}
