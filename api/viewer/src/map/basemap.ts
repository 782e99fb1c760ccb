/** The map beneath and above the radar: land and water below; coasts, borders and names above. No request leaves
 * the server: outlines are files of the build, letters are drawn by the browser. */

import type { LayerSpecification, LineLayerSpecification, Map as MapView, StyleSpecification } from "maplibre-gl";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import world from "world-atlas/countries-50m.json?url";
import counties from "us-atlas/counties-10m.json?url";
import states from "us-atlas/states-10m.json?url";
import lakes from "virtual:lakes";
import places from "virtual:places";
import type { Shade } from "../model/state.ts";

const UNITED_STATES = "840";
const COUNTIES_FROM_ZOOM = 6;

const COLOURS = {
  dark: {
    water: "#0d131b", land: "#18202b", coast: "#8ea1b6", border: "#6b7d92", state: "#7b8da2", county: "#344152", casing: "#0a0f16",
    name: "#8293a8", halo: "#0d131b", site: "#4cc2ff", quiet: "#46566a", warn: "#ffb454", rim: "#0d131b", mark: "#f2f6fa", place: "#c3cedb", station: "#7bd88f",
  },
  light: {
    water: "#cfdbe6", land: "#f4f2ec", coast: "#40566d", border: "#66778b", state: "#5b6d82", county: "#b7c0ca", casing: "#ffffff",
    name: "#4e5d6e", halo: "#f7f6f2", site: "#0067b8", quiet: "#9aa6b3", warn: "#b35900", rim: "#ffffff", mark: "#0d1722", place: "#33424f", station: "#14803a",
  },
} as const;

export type ColourName = keyof (typeof COLOURS)["dark"];

/** The colour of a part of the map. */
export const colourOf = (shade: Shade, name: ColourName): string => COLOURS[shade][name];

/** Which colour is which paint property's. */
const painted: { layer: string; property: string; colour: ColourName }[] = [];

/** Say that a layer's property has one of our colours; it then follows the theme. */
export function paint(layer: string, property: string, colour: ColourName): void {
  painted.push({ layer, property, colour });
}

/** Colour everything for a theme. */
export function applyShade(map: MapView, shade: Shade): void {
  for (const { layer, property, colour } of painted) {
    if (map.getLayer(layer)) map.setPaintProperty(layer, property as "line-color", COLOURS[shade][colour]);
  }
}

const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };

/** Layers that are above the radar, from the first of them on. */
export const ABOVE_RADAR = "counties";

/** The style before any outline is there. */
export function style(shade: Shade): StyleSpecification {
  const sources: StyleSpecification["sources"] = {};
  for (const name of ["world", "lakes", "borders", "nation", "states", "counties", "names", "places"]) {
    sources[name] = { type: "geojson", data: EMPTY, tolerance: 0.3 };
  }
  const line = (id: string, source: string, colour: ColourName, width: [number, number]): LayerSpecification => {
    paint(id, "line-color", colour);
    return {
      id, source, type: "line",
      layout: { "line-join": "round" },
      paint: {
        "line-color": COLOURS[shade][colour],
        "line-width": ["interpolate", ["linear"], ["zoom"], 3, width[0], 9, width[1]],
      },
    };
  };
  /** What keeps a line apart from strong echoes below it. */
  const casing = (id: string, source: string): LayerSpecification => {
    const under = line(id, source, "casing", [0.8, 4]) as LineLayerSpecification;
    return { ...under, paint: { ...under.paint, "line-opacity": 0.45 } };
  };
  const fill = (id: string, source: string, colour: ColourName): LayerSpecification => {
    paint(id, "fill-color", colour);
    return { id, source, type: "fill", paint: { "fill-color": COLOURS[shade][colour], "fill-antialias": false } };
  };
  paint("water", "background-color", "water");
  paint("names", "text-color", "name");
  paint("names", "text-halo-color", "halo");
  paint("places", "text-color", "place");
  paint("places", "text-halo-color", "halo");
  return {
    version: 8,
    sources,
    layers: [
      { id: "water", type: "background", paint: { "background-color": COLOURS[shade].water } },
      fill("land", "world", "land"),
      // Below the land of the United States, whose own outlines leave their half of the Great Lakes out.
      fill("lakes", "lakes", "water"),
      line("shores", "lakes", "county", [0.3, 1]),
      fill("nation-land", "nation", "land"),
      { ...line("counties", "counties", "county", [0.2, 0.9]), minzoom: COUNTIES_FROM_ZOOM } as LayerSpecification,
      line("borders", "borders", "border", [0.6, 1.6]),
      casing("states-casing", "states"),
      casing("coast-casing", "nation"),
      line("states", "states", "state", [0.5, 1.5]),
      line("coast", "nation", "coast", [0.5, 1.4]),
      {
        id: "places", type: "symbol", source: "places", minzoom: 4.5,
        filter: [">=", ["get", "thousands"], ["step", ["zoom"], 600, 5.5, 140, 6.5, 60, 7.5, 30, 8.5, 0]],
        layout: {
          "text-field": ["get", "name"], "text-font": ["sans-serif"], "text-max-width": 8,
          "text-size": ["interpolate", ["linear"], ["get", "thousands"], 25, 11, 1000, 13],
          "symbol-sort-key": ["-", ["get", "thousands"]], "text-padding": 4,
        },
        paint: { "text-color": COLOURS[shade].place, "text-halo-color": COLOURS[shade].halo, "text-halo-width": 1.4 },
      },
      {
        id: "names", type: "symbol", source: "names", minzoom: 3.4, maxzoom: 8,
        layout: {
          "text-field": ["get", "name"], "text-font": ["sans-serif"], "text-letter-spacing": 0.12,
          "text-transform": "uppercase", "text-max-width": 7,
          "text-size": ["interpolate", ["linear"], ["zoom"], 3.4, 8, 7, 13],
        },
        paint: {
          "text-color": COLOURS[shade].name, "text-halo-color": COLOURS[shade].halo, "text-halo-width": 1.2,
          "text-opacity": 0.85,
        },
      },
    ],
  };
}

type Atlas = Topology<Record<string, GeometryCollection<{ name: string }>>>;

/** Load the outlines; those of counties only when the map first comes near. */
export async function fillOutlines(map: MapView): Promise<void> {
  await Promise.all([fillStates(map), fillWorld(map), fillLakes(map), fillPlaces(map)]);
  const near = (): void => {
    if (map.getZoom() < COUNTIES_FROM_ZOOM) return;
    map.off("moveend", near);
    void fillCounties(map).catch(() => map.on("moveend", near));
  };
  map.on("moveend", near);
  near();
}

async function fillWorld(map: MapView): Promise<void> {
  const atlas = await read(world);
  const countries = atlas.objects["countries"]!;
  const foreign = feature(atlas, countries).features.filter((country) => country.id !== UNITED_STATES);
  put(map, "world", { type: "FeatureCollection", features: foreign });
  const ours = (id: unknown): boolean => id === UNITED_STATES;
  // Coasts and borders of the United States come from their own, finer outlines.
  put(map, "borders", mesh(atlas, countries, (a, b) => !ours(a.id) && !ours(b.id)));
}

async function fillLakes(map: MapView): Promise<void> {
  const coordinates = await read<GeoJSON.Position[][][]>(lakes);
  put(map, "lakes", { type: "MultiPolygon", coordinates });
}

async function fillStates(map: MapView): Promise<void> {
  const atlas = await read(states);
  put(map, "nation", feature(atlas, atlas.objects["nation"]!));
  put(map, "states", mesh(atlas, atlas.objects["states"]!, (a, b) => a !== b));
  put(map, "names", { type: "FeatureCollection", features: feature(atlas, atlas.objects["states"]!).features.map(label) });
}

async function fillCounties(map: MapView): Promise<void> {
  const atlas = await read(counties);
  put(map, "counties", mesh(atlas, atlas.objects["counties"]!, (a, b) => a !== b && stateOf(a.id) === stateOf(b.id)));
}

async function fillPlaces(map: MapView): Promise<void> {
  const towns = await read<[name: string, longitude: number, latitude: number, thousands: number][]>(places);
  const features = towns.map(([name, longitude, latitude, thousands]): GeoJSON.Feature => ({
    type: "Feature", geometry: { type: "Point", coordinates: [longitude, latitude] }, properties: { name, thousands },
  }));
  put(map, "places", { type: "FeatureCollection", features });
}

const stateOf = (id: unknown): string => String(id).slice(0, 2);

async function read<T = Atlas>(url: string): Promise<T> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: the server answered ${answer.status}`);
  return (await answer.json()) as T;
}

function put(map: MapView, source: string, data: GeoJSON.GeoJSON): void {
  map.getSource<import("maplibre-gl").GeoJSONSource>(source)?.setData(data);
}

/** A state's name at the middle of its largest part. */
function label(state: GeoJSON.Feature<GeoJSON.Geometry | null, { name: string }>): GeoJSON.Feature<GeoJSON.Point, { name: string }> {
  const parts = state.geometry?.type === "MultiPolygon" ? state.geometry.coordinates
    : state.geometry?.type === "Polygon" ? [state.geometry.coordinates] : [];
  const middles = parts.map(([ring]) => middle(ring ?? [])).sort((a, b) => b.area - a.area);
  const { at } = middles[0] ?? { at: [0, 0] };
  return { type: "Feature", geometry: { type: "Point", coordinates: at }, properties: { name: state.properties.name } };
}

/** The centre of gravity of a ring, and its area in square degrees. */
export function middle(ring: GeoJSON.Position[]): { at: [number, number]; area: number } {
  let area = 0;
  let x = 0;
  let y = 0;
  ring.forEach(([x1 = 0, y1 = 0], place) => {
    const [x2 = 0, y2 = 0] = ring[(place + 1) % ring.length] ?? [];
    const cross = x1 * y2 - x2 * y1;
    area += cross;
    x += (x1 + x2) * cross;
    y += (y1 + y2) * cross;
  });
  return { at: area ? [x / (3 * area), y / (3 * area)] : [0, 0], area: Math.abs(area / 2) };
}
