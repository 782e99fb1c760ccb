/** Storm cells with their tracks, mesocyclones, hail and tornado signatures. */

import type { GeoJSONSource, Map as MapView } from "maplibre-gl";
import * as api from "../server/api.ts";
import { paint, colourOf } from "./basemap.ts";
import type { Shade } from "../model/state.ts";
import type { VectorDocument } from "../model/types.ts";

const MAPPED = new Set(["storm_tracks", "mesocyclones", "hail", "tornadoes"]);
const LAYERS = ["past-tracks", "forecast-tracks", "storm-marks", "storm-names"];
/** Vectors older than this, or newer, than an image do not tell where its storms are. */
const NEAR_MS = 10 * 60_000;

/** Put the layers on the map. */
export function addStormLayers(map: MapView, shade: Shade): void {
  map.addSource("storms", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
  const track = (id: string, kind: string, dashes: number[] | undefined): void => {
    map.addLayer({
      id, type: "line", source: "storms", filter: ["==", ["get", "kind"], kind],
      paint: {
        "line-color": colourOf(shade, "mark"), "line-width": 1.6, "line-opacity": 0.9,
        ...(dashes ? { "line-dasharray": dashes } : {}),
      },
    });
    paint(id, "line-color", "mark");
  };
  track("past-tracks", "past_track", undefined);
  track("forecast-tracks", "forecast_track", [2, 1.5]);
  map.addLayer({
    id: "storm-marks", type: "circle", source: "storms", filter: ["==", ["geometry-type"], "Point"],
    paint: {
      "circle-radius": ["match", ["get", "document"], "mesocyclones", 9, "tornadoes", 8, 4],
      "circle-color": ["match", ["get", "document"], "tornadoes", "#ff4d6d", "hail", "#4de1c1", "mesocyclones", "rgba(0,0,0,0)", "#ffffff"],
      "circle-stroke-color": ["match", ["get", "document"], "mesocyclones", "#ffd60a", "#10151c"],
      "circle-stroke-width": ["match", ["get", "document"], "mesocyclones", 3, 1.5],
    },
  });
  map.addLayer({
    id: "storm-names", type: "symbol", source: "storms", minzoom: 5,
    filter: ["all", ["==", ["geometry-type"], "Point"], ["==", ["get", "document"], "storm_tracks"]],
    layout: {
      "text-field": ["get", "storm_id"], "text-font": ["sans-serif"], "text-size": 12,
      "text-anchor": "left", "text-offset": [0.7, 0],
    },
    paint: { "text-halo-width": 2, "text-color": colourOf(shade, "mark"), "text-halo-color": colourOf(shade, "halo") },
  });
  paint("storm-names", "text-color", "mark");
  paint("storm-names", "text-halo-color", "halo");
}

/** What a mark says when it is pointed at. */
export function storyOf(properties: Record<string, unknown>): string {
  const number = (name: string): number | null => (typeof properties[name] === "number" ? properties[name] : null);
  const document = String(properties["document"] ?? "");
  const words = [{ storm_tracks: "Storm", mesocyclones: "Mesocyclone", hail: "Hail", tornadoes: "Tornado signature" }[document] ?? ""];
  if (typeof properties["storm_id"] === "string") words[0] += ` ${properties["storm_id"]}`;
  const [dbz, speed, toward, hail] = ["max_reflectivity_dbz", "speed_kt", "motion_toward_deg", "max_hail_size_in"].map(number);
  if (dbz != null) words.push(`${dbz} dBZ`);
  if (hail != null) words.push(`up to ${hail} inch`);
  if (speed != null && toward != null) words.push(`moving ${toward}° at ${speed} kt`);
  return words.join(", ");
}

/** Shows the vectors that are valid with an image. */
export class Storms {
  readonly #map: MapView;
  readonly #collections = new Map<string, GeoJSON.FeatureCollection>();
  #asked = 0;
  /** What they were asked for; null while none are shown. */
  #shown: { site: string; time: number } | null = null;

  constructor(map: MapView) {
    this.#map = map;
  }

  visible(shown: boolean): void {
    for (const layer of LAYERS) this.#map.setLayoutProperty(layer, "visibility", shown ? "visible" : "none");
  }

  /** Show what is valid at a moment; an answer that another question has overtaken is dropped. */
  async show(site: string, time: number): Promise<void> {
    const asked = ++this.#asked;
    const { documents } = await api.vectors(site, time);
    const near = documents.filter((one) => MAPPED.has(one.kind) && Math.abs(Date.parse(one.valid_time) - time) < NEAR_MS);
    const features = (await Promise.all(near.map((one) => this.#features(one)))).flat();
    if (asked !== this.#asked) return;
    this.#shown = { site, time };
    this.#put(features);
  }

  /** Another image is on the map now: what does not belong to it goes. */
  leave(site: string, time: number): void {
    if (this.#shown && (this.#shown.site !== site || Math.abs(this.#shown.time - time) > NEAR_MS)) this.clear();
  }

  clear(): void {
    this.#asked++;
    this.#shown = null;
    this.#put([]);
  }

  #put(features: GeoJSON.Feature[]): void {
    this.#map.getSource<GeoJSONSource>("storms")?.setData({ type: "FeatureCollection", features });
  }

  async #features({ kind, href }: VectorDocument): Promise<GeoJSON.Feature[]> {
    const collection = this.#collections.get(href) ?? (await api.geojson(href));
    this.#collections.set(href, collection);
    return collection.features.map((each) => ({ ...each, properties: { ...each.properties, document: kind } }));
  }
}
