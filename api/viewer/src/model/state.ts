/** What the viewer shows: one object, changed in one place, and who is told when parts of it change. */

export type Theme = "auto" | "dark" | "light";
export type ColourTable = "standard" | "safe";

export interface Camera {
  longitude: number;
  latitude: number;
  zoom: number;
}

export interface State {
  site: string | null;
  product: string;
  code: string | null;
  /** Degrees; null: the lowest. */
  tilt: number | null;
  /** A UTC day, `YYYY-MM-DD`; null: the newest hours. */
  day: string | null;
  /** Epoch milliseconds; null: the newest, whatever comes. */
  at: number | null;
  playing: boolean;
  /** Frames a second. */
  speed: number;
  opacity: number;
  /** Values below this are not drawn; null: all are. */
  floor: number | null;
  table: ColourTable;
  theme: Theme;
  storms: boolean;
  stations: boolean;
  sites: boolean;
  camera: Camera | null;
  embed: boolean;
}

/** Pixels of the world's width at zoom 0, as MapLibre counts. */
export const TILE_PX = 512;

/** From which zoom on a radar is looked at. */
export const SITE_ZOOM = 6;

export type Shade = "dark" | "light";

/** What a theme means on this device, as it is set now. */
export function shadeOf(theme: Theme): Shade {
  if (theme !== "auto") return theme;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

export const SPEEDS = [2, 4, 8, 16] as const;

export const DEFAULTS: Readonly<State> = {
  site: null,
  product: "reflectivity",
  code: null,
  tilt: null,
  day: null,
  at: null,
  playing: false,
  speed: 4,
  opacity: 0.85,
  floor: null,
  table: "standard",
  theme: "auto",
  storms: true,
  stations: false,
  sites: true,
  camera: null,
  embed: false,
};

type Listener = (state: Readonly<State>) => void;

/** Holds the state, and tells listeners of the parts that they asked for. */
export class Store {
  #state: State;
  readonly #listeners = new Set<{ keys: readonly (keyof State)[]; listener: Listener }>();

  constructor(initial: Partial<State> = {}) {
    this.#state = { ...DEFAULTS, ...initial };
  }

  get state(): Readonly<State> {
    return this.#state;
  }

  /** Change parts; listeners of those that really changed are told once, after all of them have. */
  set(changes: Partial<State>): void {
    const before = this.#state;
    this.#state = { ...before, ...changes };
    const changed = (Object.keys(changes) as (keyof State)[]).filter((key) => before[key] !== this.#state[key]);
    if (!changed.length) return;
    for (const { keys, listener } of [...this.#listeners]) {
      if (keys.some((key) => changed.includes(key))) listener(this.#state);
    }
  }

  /** Call `listener` at once, and whenever one of `keys` changes. */
  follow(keys: readonly (keyof State)[], listener: Listener): void {
    this.on(keys, listener);
    listener(this.#state);
  }

  /** Call `listener` whenever one of `keys` changes. */
  on(keys: readonly (keyof State)[], listener: Listener): void {
    this.#listeners.add({ keys, listener });
  }
}
