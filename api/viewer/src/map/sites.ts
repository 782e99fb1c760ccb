/** The radars: dots on the map, and a dialog with all of them to choose from. */

import type { ExpressionSpecification, GeoJSONSource, Map as MapView } from "maplibre-gl";
import { colourOf, paint } from "./basemap.ts";
import { byId, h } from "../controls/dom.ts";
import { duration } from "../model/format.ts";
import type { Shade } from "../model/state.ts";
import type { Site } from "../model/types.ts";

const FRESH_MS = 20 * 60_000;

/** When a site's newest scan of any level began; null where it has none. */
export function newestOf(site: Site): number | null {
  const times = Object.values(site.newest).map((time) => Date.parse(time));
  return times.length ? Math.max(...times) : null;
}

type Freshness = "fresh" | "old" | "none";

function freshness(site: Site, now: number): Freshness {
  const newest = newestOf(site);
  return newest === null ? "none" : now - newest < FRESH_MS ? "fresh" : "old";
}

/** How old what a site has is, in words. */
export function ageWords(site: Site, now: number): string {
  const newest = newestOf(site);
  return newest === null ? "no data here" : `newest scan ${duration(now - newest)} ago`;
}

const byFreshness = (fresh: string, old: string, none: string): ExpressionSpecification => [
  "match", ["get", "freshness"], "fresh", fresh, "old", old, none,
];

/** Put the layers of the sites on the map. */
export function addSiteLayers(map: MapView, shade: Shade, choose: (site: string) => void): void {
  map.addSource("sites", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
  map.addLayer({
    id: "sites", type: "circle", source: "sites",
    layout: { "circle-sort-key": ["match", ["get", "freshness"], "none", 0, 1] },
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 3, ["match", ["get", "freshness"], "none", 2, 4.5],
        8, ["match", ["get", "freshness"], "none", 4, 7]],
      "circle-stroke-width": ["case", ["get", "chosen"], 2.5, 1],
    },
  });
  map.addLayer({
    id: "site-names", type: "symbol", source: "sites",
    minzoom: 4.5, filter: ["any", ["!=", ["get", "freshness"], "none"], ["get", "chosen"], [">=", ["zoom"], 6]],
    layout: {
      "text-field": ["get", "id"], "text-font": ["sans-serif"], "text-size": 11,
      "text-anchor": "top", "text-offset": [0, 0.8], "symbol-sort-key": ["match", ["get", "freshness"], "none", 1, 0],
    },
    paint: { "text-halo-width": 1.4 },
  });
  paint("site-names", "text-color", "mark");
  paint("site-names", "text-halo-color", "halo");
  shadeSites(map, shade);
  map.on("click", "sites", ({ features }) => {
    const id = features?.[0]?.properties["id"] as unknown;
    if (typeof id === "string") choose(id);
  });
  map.on("mouseenter", "sites", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "sites", () => (map.getCanvas().style.cursor = ""));
}

/** Colour the dots for a theme. */
export function shadeSites(map: MapView, shade: Shade): void {
  const [site, warn, quiet] = [colourOf(shade, "site"), colourOf(shade, "warn"), colourOf(shade, "quiet")];
  map.setPaintProperty("sites", "circle-color", byFreshness(site, warn, quiet));
  map.setPaintProperty("sites", "circle-stroke-color", ["case", ["get", "chosen"], colourOf(shade, "name"), colourOf(shade, "rim")]);
}

/** Show the sites as they are now. */
export function showSites(map: MapView, sites: readonly Site[], chosen: string | null, now: number): void {
  const features = sites.map((site): GeoJSON.Feature => ({
    type: "Feature",
    geometry: { type: "Point", coordinates: [site.longitude_deg, site.latitude_deg] },
    properties: { id: site.id, freshness: freshness(site, now), chosen: site.id === chosen },
  }));
  map.getSource<GeoJSONSource>("sites")?.setData({ type: "FeatureCollection", features });
}

/** The sites that a text is about: those with data first, then by id. */
export function matching(sites: readonly Site[], text: string): Site[] {
  const wanted = text.trim().toLowerCase();
  return sites
    .filter((site) => `${site.id} ${site.name} ${site.state ?? ""}`.toLowerCase().includes(wanted))
    .sort((a, b) => Number(newestOf(a) === null) - Number(newestOf(b) === null) || a.id.localeCompare(b.id));
}

/** The dialog in which a site is chosen by its name. */
export class SiteDialog {
  readonly #dialog = byId<HTMLDialogElement>("site-dialog");
  readonly #input = byId<HTMLInputElement>("site-search");
  readonly #list = byId("site-list");
  readonly #choose: (site: string) => void;
  #sites: readonly Site[] = [];

  constructor(choose: (site: string) => void) {
    this.#choose = choose;
    this.#input.addEventListener("input", () => this.#show());
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.#list.querySelector("button")?.focus();
      if (event.key === "Enter") {
        event.preventDefault();
        this.#list.querySelector("button")?.click();
      }
    });
    this.#list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const buttons = [...this.#list.querySelectorAll("button")];
      const next = buttons[buttons.indexOf(document.activeElement as HTMLButtonElement) + step];
      (next ?? this.#input).focus();
    });
  }

  open(sites: readonly Site[]): void {
    this.#sites = sites;
    this.#input.value = "";
    this.#show();
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#input.focus();
  }

  #show(): void {
    const now = Date.now();
    const rows = matching(this.#sites, this.#input.value).map((site) => {
      const button = h("button", { type: "button", "data-freshness": freshness(site, now) },
        h("strong", {}, site.id), h("span", {}, [site.name, site.state].filter(Boolean).join(", ")),
        h("small", {}, ageWords(site, now)));
      button.addEventListener("click", () => {
        this.#dialog.close();
        this.#choose(site.id);
      });
      return h("li", {}, button);
    });
    this.#list.replaceChildren(...(rows.length ? rows : [h("li", { class: "empty" }, "No radar has this name.")]));
  }
}
