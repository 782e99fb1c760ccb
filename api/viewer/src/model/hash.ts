/** The state as the fragment of an address, and back: what is as by default is left out, nonsense is ignored. */

import { DEFAULTS, type Camera, type State } from "./state.ts";

const SITE = /^[A-Z][A-Z0-9]{3}$/;
const NAME = /^[a-z_]{1,60}$/;
const CODE = /^[A-Z0-9]{3}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** The fragment, without `#`, of a state. */
export function format(state: Readonly<State>): string {
  const parts: [string, string][] = [];
  const add = (name: string, value: string | null): void => {
    if (value !== null) parts.push([name, value]);
  };
  const unusual = <K extends keyof State>(key: K): State[K] | null =>
    state[key] === DEFAULTS[key] ? null : state[key];
  add("site", state.site);
  add("product", unusual("product"));
  add("code", state.code);
  add("tilt", state.tilt === null ? null : String(state.tilt));
  add("day", state.day);
  add("at", state.at === null ? null : new Date(state.at).toISOString().replace(".000Z", "Z"));
  add("play", state.playing ? "1" : null);
  for (const key of ["speed", "opacity", "floor"] as const) add(key, text(unusual(key)));
  add("table", unusual("table"));
  add("theme", unusual("theme"));
  for (const key of ["storms", "stations", "sites"] as const) {
    const value = unusual(key);
    add(key, value === null ? null : value ? "1" : "0");
  }
  add("map", state.camera && formatCamera(state.camera));
  add("embed", state.embed ? "1" : null);
  return parts.map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/%2F|%3A/g, decodeURIComponent)}`).join("&");
}

/** The state that a fragment (with or without `#`) tells; what it does not tell is as by default. */
export function parse(fragment: string): State {
  const told = new URLSearchParams(fragment.replace(/^#/, ""));
  const matching = (name: string, form: RegExp): string | null => {
    const value = told.get(name);
    return value !== null && form.test(value) ? value : null;
  };
  const flag = (name: "storms" | "stations" | "sites"): boolean =>
    told.has(name) ? told.get(name) === "1" : DEFAULTS[name];
  const one = <T extends string>(name: string, choices: readonly T[], otherwise: T): T =>
    choices.find((choice) => choice === told.get(name)) ?? otherwise;
  return {
    site: matching("site", SITE),
    product: matching("product", NAME) ?? DEFAULTS.product,
    code: matching("code", CODE),
    tilt: number(told.get("tilt"), -5, 90),
    day: matching("day", DAY),
    at: moment(told.get("at")),
    playing: told.get("play") === "1",
    speed: number(told.get("speed"), 1, 30) ?? DEFAULTS.speed,
    opacity: number(told.get("opacity"), 0, 1) ?? DEFAULTS.opacity,
    floor: number(told.get("floor"), -1000, 1000),
    table: one("table", ["standard", "safe"], DEFAULTS.table),
    theme: one("theme", ["auto", "dark", "light"], DEFAULTS.theme),
    storms: flag("storms"),
    stations: flag("stations"),
    sites: flag("sites"),
    camera: parseCamera(told.get("map")),
    embed: told.get("embed") === "1",
  };
}

function text(value: number | null): string | null {
  return value === null ? null : String(value);
}

function formatCamera(camera: Camera): string {
  return `${camera.zoom.toFixed(2)}/${camera.latitude.toFixed(4)}/${camera.longitude.toFixed(4)}`;
}

function parseCamera(told: string | null): Camera | null {
  const [zoom, latitude, longitude, ...more] = (told ?? "").split("/").map((part) => number(part, -360, 360));
  if (zoom == null || latitude == null || longitude == null || more.length) return null;
  if (zoom < 0 || zoom > 24 || Math.abs(latitude) > 85) return null;
  return { zoom, latitude, longitude };
}

function number(told: string | null, least: number, most: number): number | null {
  const value = told === null || told.trim() === "" ? NaN : Number(told);
  return value >= least && value <= most ? value : null;
}

function moment(told: string | null): number | null {
  const value = Date.parse(told ?? "");
  return Number.isNaN(value) ? null : value;
}
