/** Deutscher Wetterdienst: stations on the map with their forecast, and how complete the model's runs are. */

import type { GeoJSONSource, Map as MapView } from "maplibre-gl";
import * as api from "../server/api.ts";
import { colourOf, paint } from "./basemap.ts";
import { chart } from "../controls/chart.ts";
import { byId, h } from "../controls/dom.ts";
import { duration, utcMinute, utcDay } from "../model/format.ts";
import type { Shade } from "../model/state.ts";
import type { Run, Station } from "../model/types.ts";

const MODEL = "icon-d2";
/** From which zoom on stations are asked for: further out there are thousands. */
const STATIONS_FROM_ZOOM = 4;

/** Put the stations' layer on the map. */
export function addStationLayer(map: MapView, shade: Shade, choose: (id: string, name: string) => void): void {
  map.addSource("stations", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
  map.addLayer({
    id: "stations", type: "circle", source: "stations", minzoom: STATIONS_FROM_ZOOM,
    layout: { visibility: "none" },
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 4, 3, 9, 7],
      "circle-color": colourOf(shade, "station"), "circle-stroke-width": 1, "circle-stroke-color": colourOf(shade, "rim"),
    },
  });
  paint("stations", "circle-stroke-color", "rim");
  paint("stations", "circle-color", "station");
  map.on("click", "stations", ({ features }) => {
    const { id, name } = features?.[0]?.properties ?? {};
    if (typeof id === "string") choose(id, String(name));
  });
  map.on("mouseenter", "stations", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "stations", () => (map.getCanvas().style.cursor = ""));
}

/** Shows the stations in view. */
export class Stations {
  readonly #map: MapView;
  #visible = false;

  constructor(map: MapView) {
    this.#map = map;
    map.on("moveend", () => void this.#fill());
  }

  visible(shown: boolean): void {
    this.#visible = shown;
    this.#map.setLayoutProperty("stations", "visibility", shown ? "visible" : "none");
    void this.#fill();
  }

  async #fill(): Promise<void> {
    if (!this.#visible || this.#map.getZoom() < STATIONS_FROM_ZOOM) return;
    const bounds = this.#map.getBounds();
    const wrap = (degrees: number): number => ((((degrees + 180) % 360) + 360) % 360) - 180;
    const box = [wrap(bounds.getWest()), bounds.getSouth(), wrap(bounds.getEast()), bounds.getNorth()];
    const { items } = await api.stations(box.map((each) => each.toFixed(3)).join(",")).catch(() => ({ items: [] }));
    const features = items.flatMap(stationFeature);
    this.#map.getSource<GeoJSONSource>("stations")?.setData({ type: "FeatureCollection", features });
  }
}

function stationFeature({ id, name, latitude_deg, longitude_deg }: Station): GeoJSON.Feature[] {
  if (latitude_deg === null || longitude_deg === null) return [];
  const geometry: GeoJSON.Point = { type: "Point", coordinates: [longitude_deg, latitude_deg] };
  return [{ type: "Feature", geometry, properties: { id, name } }];
}

/** Show the forecast of a station in its panel. */
export async function showForecast(id: string, name: string): Promise<void> {
  const panel = byId("station-panel");
  byId("station-title").textContent = `${name} (${id})`;
  const body = byId("station-body");
  panel.hidden = false;
  body.replaceChildren("Loading the forecast …");
  try {
    const forecast = await api.forecast(id);
    const issued = Date.parse(forecast.issued);
    body.replaceChildren(
      chart(forecast),
      h("p", { class: "note" }, `MOSMIX of ${utcDay(issued)} ${utcMinute(issued)} UTC, Deutscher Wetterdienst`),
    );
  } catch (fault) {
    body.replaceChildren(fault instanceof Error ? `No forecast: ${fault.message}` : "No forecast.");
  }
}

const STATES: Record<Run["state"], string> = {
  waiting: "not begun",
  partial: "arriving",
  complete: "complete",
  lost: "incomplete for good",
  unseen: "as complete as the server had it",
};

/** Show how complete the model's newest runs are. */
export async function showRuns(): Promise<void> {
  const body = byId("runs-body");
  try {
    const { items } = await api.runs(MODEL);
    body.replaceChildren(...(items.length ? items.map(row) : [h("p", {}, "No run of ICON-D2 is archived here yet.")]));
  } catch (fault) {
    body.replaceChildren(fault instanceof Error ? fault.message : "The runs cannot be shown.");
  }
}

function row(run: Run): HTMLElement {
  const start = Date.parse(run.start);
  const left = run.minutes_left === null || run.state === "complete" ? "" : `, ${duration(run.minutes_left * 60_000)} left`;
  const words = `${run.kept} of ${run.expected} files, ${STATES[run.state]}${left}`;
  return h("div", { class: "run", "data-state": run.state },
    h("span", {}, `${utcDay(start)} ${utcMinute(start)} UTC`),
    h("progress", { max: Math.max(1, run.expected), value: run.kept, "aria-label": `Run of ${utcMinute(start)} UTC` }),
    h("small", {}, words));
}
