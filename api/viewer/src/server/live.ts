/** Notices new scans: by server-sent events, by asking every few seconds while those do not come. */

import { address } from "./api.ts";
import type { ScansEvent } from "../model/types.ts";

export type Connection = "starting" | "events" | "polling" | "away";

const POLL_MS = 10_000;
const AWAY_POLL_MS = 4_000;
const EVENTS_AGAIN_MS = 60_000;
const OPENED_MS = 1_000;

interface Callbacks {
  /** New scans of a site, or of any (null); gives whether the server answered. */
  look: (site: string | null) => Promise<boolean>;
  /** How scans are noticed has changed. */
  changed: (connection: Connection) => void;
}

/** Watches for new scans until the page is left. */
export class Live {
  readonly #callbacks: Callbacks;
  #connection: Connection = "starting";
  #events: EventSource | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks;
  }

  get connection(): Connection {
    return this.#connection;
  }

  start(): void {
    this.#listen();
    this.#later();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.#poll();
    });
    window.addEventListener("online", () => void this.#poll());
  }

  /** Somebody else's request failed or went well. */
  told(answered: boolean): void {
    if (!answered) this.#become("away");
    else if (this.#connection === "away") this.#become(this.#heard ? "events" : "polling");
  }

  get #heard(): boolean {
    return this.#events?.readyState === EventSource.OPEN;
  }

  #listen(): void {
    const events = new EventSource(address("/v1/events"));
    this.#events = events;
    events.onopen = (): void => {
      this.#become("events");
      // What came before the stream was open is told by none of its events.
      setTimeout(() => void this.#callbacks.look(null), OPENED_MS);
    };
    events.addEventListener("scans", (event: MessageEvent<string>) => {
      void this.#callbacks.look((JSON.parse(event.data) as ScansEvent).site);
    });
    events.addEventListener("reset", () => void this.#callbacks.look(null));
    events.onerror = (): void => {
      void this.#poll();
      if (events.readyState !== EventSource.CLOSED) return; // the browser goes on trying by itself
      events.close();
      setTimeout(() => this.#listen(), EVENTS_AGAIN_MS);
    };
  }

  async #poll(): Promise<void> {
    const answered = await this.#callbacks.look(null);
    this.#become(!answered ? "away" : this.#heard ? "events" : "polling");
    this.#later();
  }

  #later(): void {
    clearTimeout(this.#timer);
    const wait = this.#connection === "away" ? AWAY_POLL_MS : POLL_MS;
    this.#timer = setTimeout(() => {
      // While events come, nothing is asked; a frozen connection shows as one that is no more open.
      if (this.#heard && this.#connection === "events") this.#later();
      else void this.#poll();
    }, wait);
  }

  #become(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.#callbacks.changed(connection);
  }
}
