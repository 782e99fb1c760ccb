/** The documents of `/v1` that the viewer reads: the fields that it uses, as the API names them. */

export type LonLat = [longitude: number, latitude: number];

export interface Corners {
  nw: LonLat;
  ne: LonLat;
  se: LonLat;
  sw: LonLat;
}

export interface Site {
  id: string;
  name: string;
  state: string | null;
  longitude_deg: number;
  latitude_deg: number;
  height_m: number;
  kind: string;
  newest: Record<string, string>;
  days: string[];
}

export interface SiteList {
  sites: Site[];
  primary: string;
}

export type Rgba = [number, number, number, number];

export interface Legend {
  scale: number;
  offset: number;
  first_value_index: number;
  values: (number | null)[] | null;
  codes: Record<string, string>;
  value_range: [number, number];
  colours: Rgba[];
}

export interface Product {
  id: string;
  level: number;
  code: string | null;
  group: string;
  label: string;
  unit: string;
  count: number | null;
  tilts: number[];
  /** None where there is nothing to show. */
  legend: Legend | null;
}

/** A product that there is something of. */
export type Shown = Product & { legend: Legend };

export interface ProductList {
  site: string | null;
  products: Product[];
}

export interface Scan {
  image: string;
  key: string;
  site: string;
  product: string;
  code: string | null;
  tilt_deg: number;
  valid_time: string;
  status: string;
  missing: string[];
  vcp: number | null;
  corners: Corners;
  range_km: number;
  href: string;
  /** Further sweeps of the same tilt within the volume. */
  repeats: { valid_time: string; href: string }[];
}

export interface ScanPage {
  scans: Scan[];
  next: string | null;
  newest: string | null;
}

export interface Latest {
  scan: Scan | null;
}

export interface VectorDocument {
  name: string;
  kind: string;
  valid_time: string;
  href: string;
  count: number;
}

export interface VectorList {
  documents: VectorDocument[];
}

export interface ScansEvent {
  site: string;
  level: number;
  newest: string;
}

export interface Station {
  id: string;
  name: string;
  latitude_deg: number | null;
  longitude_deg: number | null;
}

export interface StationPage {
  items: Station[];
  next_cursor: string | null;
}

export interface Forecast {
  station: string;
  name: string;
  issued: string;
  times: string[];
  series: { element: string; unit: string | null; values: (number | null)[] }[];
}

export interface Run {
  collection: string;
  period: string;
  start: string;
  state: "waiting" | "partial" | "complete" | "lost" | "unseen";
  expected: number;
  kept: number;
  missing: number;
  failed: number;
  minutes_left: number | null;
}

export interface RunPage {
  items: Run[];
}
