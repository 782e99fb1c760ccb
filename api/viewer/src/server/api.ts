/** Requests to `/v1`, relative to the page, so that they hold behind any proxy prefix. */

import type { Forecast, Latest, ProductList, RunPage, Scan, ScanPage, SiteList, StationPage, VectorList } from "../model/types.ts";

/** The server did not answer, or not with what was asked for; `away` where it may well do so later. */
export class ApiFault extends Error {
  readonly away: boolean;
  /** The status of the answer, 0 without one. */
  readonly status: number;

  constructor(message: string, away: boolean, status = 0) {
    super(message);
    this.away = away;
    this.status = status;
  }
}

export type Query = Record<string, string | number | null | undefined>;

/** The address of a path that the API names (`/v1/...`), seen from this page. */
export function address(path: string): string {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}

const TIMEOUT_MS = 20_000;
const PAGE = 500;
const MOST_PAGES = 20;

async function json<T>(path: string, query: Query = {}): Promise<T> {
  const url = new URL(address(path));
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
  }
  let answer: Response;
  try {
    // The browser asks with the entity tag that it has: what did not change costs a 304.
    answer = await fetch(url, { cache: "no-cache", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiFault("The server does not answer.", true);
  }
  if (!answer.ok) throw await refusal(answer);
  try {
    return (await answer.json()) as T;
  } catch {
    throw new ApiFault("The server's answer was cut off.", true);
  }
}

async function refusal(answer: Response): Promise<ApiFault> {
  const told = (await answer.json().catch(() => ({}))) as { detail?: unknown };
  const reason = typeof told.detail === "string" ? told.detail : `the server answered ${answer.status}`;
  return new ApiFault(reason, answer.status >= 500, answer.status);
}

export const sites = (): Promise<SiteList> => json("/v1/sites");

export const products = (site: string, day: string | null): Promise<ProductList> =>
  json("/v1/products", { site, day });

export interface Wanted {
  site: string;
  product: string;
  code: string | null;
  tilt: number | null;
  day: string | null;
}

/** The newest scan of a product at a tilt; without a site of the primary one, without a tilt the lowest. */
export const latest = (wanted: Omit<Wanted, "site" | "day"> & { site: string | null }): Promise<Latest> =>
  json("/v1/latest", { ...wanted });

/** All scans of a site's product at a tilt, oldest first: of a UTC day, or of the newest hours. */
export async function scans(wanted: Wanted): Promise<{ scans: Scan[]; newest: string | null }> {
  const { day, ...query } = wanted;
  const span = day === null ? {} : { start: `${day}T00:00:00Z`, end: dayAfter(day) };
  let page = await json<ScanPage>("/v1/scans", { ...query, ...span, limit: PAGE });
  const found = [...page.scans];
  for (let more = 1; page.next !== null && more < MOST_PAGES; more++) {
    page = await json<ScanPage>(page.next);
    found.push(...page.scans);
  }
  return { scans: found, newest: page.newest };
}

/** The first moment of the day after a UTC day. */
export function dayAfter(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().replace(".000Z", "Z");
}

export const vectors = (site: string, at: number | null): Promise<VectorList> =>
  json("/v1/vectors", { site, at: at === null ? null : new Date(at).toISOString().replace(".000Z", "Z") });

export const geojson = (path: string): Promise<GeoJSON.FeatureCollection> => json(path);

export const stations = (bbox: string): Promise<StationPage> => json("/v1/dwd/stations", { bbox, limit: 1000 });

export const forecast = (station: string): Promise<Forecast> =>
  json(`/v1/dwd/stations/${encodeURIComponent(station)}/forecast`, { element: "TTT,FF,RR1c" });

/** The newest runs of a collection; none if the archive does not have it (yet). */
export const runs = (collection: string): Promise<Pick<RunPage, "items">> =>
  json<RunPage>("/v1/dwd/runs", { collection, limit: 16 }).catch((fault: unknown) => {
    if (fault instanceof ApiFault && fault.status === 404) return { items: [] };
    throw fault;
  });
