/** The first script of the page, small: it sets the theme, asks the server what the viewer will ask first, and shows
 * the newest image. Only then is the viewer's code run, which was being fetched meanwhile: while it runs, and while the
 * map's shaders are compiled, nothing else can be painted. */

import "./style.css";
import * as api from "./server/api.ts";
import { address } from "./server/api.ts";
import { framesOf } from "./model/frames.ts";
import { parse } from "./model/hash.ts";
import { Poster } from "./map/poster.ts";
import { shadeOf, SITE_ZOOM, type Camera, type State } from "./model/state.ts";
import type { SiteList } from "./model/types.ts";

/** How long the viewer waits for the first image: on a slow line its code is best run meanwhile. */
const MOST_WAIT_MS = 1200;

const state = parse(location.hash);
const poster = new Poster();
document.documentElement.dataset["theme"] = shadeOf(state.theme);

const told = api.sites();
const products = told.then((list) => api.products(siteOf(list), state.day));
products.catch(() => undefined); // it is the viewer's to tell
await Promise.race([
  showNewest().catch(() => undefined),
  new Promise((late) => setTimeout(late, MOST_WAIT_MS)),
]);
const { start } = await import("./main.ts");
start({ poster, sites: told, products });

function siteOf({ sites, primary }: SiteList): string {
  return sites.find(({ id }) => id === state.site)?.id ?? primary;
}

/** Show what the viewer will show, where that is the newest image as it was published. */
async function showNewest(): Promise<void> {
  const { site, product, code, tilt, opacity, camera } = state;
  if (!asPublished(state)) return;
  const [{ scan }, list] = await Promise.all([api.latest({ site, product, code, tilt }), told]);
  if (!scan || scan.code !== code || scan.site !== siteOf(list)) return;
  const newest = framesOf([scan]).at(-1)!.scan;
  const view = camera ?? viewOf(list, scan.site);
  if (view) await poster.show(address(newest.href), newest.corners, view, opacity);
}

function asPublished({ at, day, playing, table, floor }: State): boolean {
  return at === null && day === null && !playing && table === "standard" && floor === null;
}

function viewOf({ sites }: SiteList, id: string): Camera | null {
  const site = sites.find((one) => one.id === id);
  return site ? { longitude: site.longitude_deg, latitude: site.latitude_deg, zoom: SITE_ZOOM } : null;
}
