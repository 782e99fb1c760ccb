/** Joins the parts: what is asked for, what is shown, and what is said of it. */

import { Map as MapView, setWorkerCount, setWorkerUrl, type MapMouseEvent } from "maplibre-gl";
import mapWorker from "virtual:map-worker";
import * as api from "./server/api.ts";
import { ABOVE_RADAR, applyShade, fillOutlines, style } from "./map/basemap.ts";
import { lookup } from "./images/colours.ts";
import { startDecoders, WORKERS } from "./images/decoder.ts";
import { byId } from "./controls/dom.ts";
import { addStationLayer, showForecast, Stations } from "./map/dwd.ts";
import type { Caption } from "./controls/exporting.ts";
import { angle, duration, utcDay, utcMinute, utcSecond } from "./model/format.ts";
import { framesOf, inPlayOrder, placeAt, type Frame } from "./model/frames.ts";
import { LegendView, read, type Reading } from "./controls/legend.ts";
import { Live, type Connection } from "./server/live.ts";
import { chosenProduct, chosenTilt, showDays, showProducts, showTilts } from "./controls/menus.ts";
import { Planes } from "./images/planes.ts";
import { startPlayer } from "./controls/player.ts";
import type { Plane } from "./images/png.ts";
import type { Poster } from "./map/poster.ts";
import { RadarLayer } from "./map/radar_layer.ts";
import { showFloor } from "./controls/settings.ts";
import { addSiteLayers, newestOf, shadeSites, showSites, SiteDialog } from "./map/sites.ts";
import { shadeOf, SITE_ZOOM, type Camera, type Shade, type Store } from "./model/state.ts";
import { addStormLayers, Storms, storyOf } from "./map/storms.ts";
import { summary } from "./controls/summary.ts";
import { Timeline } from "./controls/timeline.ts";
import type { LonLat, Product, ProductList, Shown, Site, SiteList } from "./model/types.ts";

const STALE_MS = 20 * 60_000;
const SETTLED_MS = 500;
const CLOCK_MS = 10_000;

interface OnScreen {
  frame: Frame;
  plane: Plane;
  product: Shown;
  site: Site;
}

/** What was begun before the viewer: the image on the page, and its own first questions. */
export interface Begun {
  poster: Poster;
  sites: Promise<SiteList>;
  products: Promise<ProductList>;
}

/** The whole viewer on its page. */
export class Viewer {
  readonly #store: Store;
  readonly #layer = new RadarLayer(() => this.#poster.remove());
  readonly #planes = new Planes(startDecoders(), { atOnce: 2 * WORKERS, changed: () => this.#show() });
  readonly #legend = new LegendView();
  readonly #live = new Live({ look: (site) => this.#look(site), changed: () => this.#tellState() });
  readonly #timeline = new Timeline((time) => this.seek(time));
  readonly #dialog = new SiteDialog((site) => this.chooseSite(site));
  readonly map: MapView;
  #storms: Storms | undefined;
  readonly #poster: Poster;
  /** Answers that were asked for ahead, until they are taken. */
  #begun: Partial<Begun>;
  #underWay: { site: string; day: string | null; task: Promise<void> } | null = null;
  #sites: Site[] = [];
  #products: Product[] = [];
  #frames: Frame[] = [];
  #newest: number | null = null;
  #asked = 0;
  #loading = false;
  #fault: string | null = null;
  #onScreen: OnScreen | null = null;
  #pointer: LonLat | null = null;
  #settled: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store, begun: Begun) {
    this.#store = store;
    this.#begun = begun;
    this.#poster = begun.poster;
    setWorkerUrl(mapWorker);
    setWorkerCount(1);
    const { camera } = store.state;
    this.map = new MapView({
      container: "map", style: style(this.shade), attributionControl: false, keyboard: false,
      center: camera ? [camera.longitude, camera.latitude] : [-97, 39], zoom: camera?.zoom ?? 4,
      minZoom: 2, maxZoom: 14, dragRotate: false, pitchWithRotate: false, maxPitch: 0, fadeDuration: 0,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.on("style.load", () => this.#dress());
    this.map.on("move", () => this.#poster.place(this.#camera));
    this.map.on("moveend", () => store.set({ camera: this.#camera }));
    this.#wirePointer();
    this.#wireStore();
  }

  /** Ask the server, and go on watching. */
  start(): void {
    void this.#guard(() => this.#loadAll());
    this.#live.start();
    setInterval(() => this.#tellState(), CLOCK_MS);
    startPlayer(this.#store, {
      length: () => this.#frames.length,
      place: () => this.#place,
      ready: (place) => {
        const href = this.#frames[place]?.scan.href ?? "";
        return this.#planes.has(href) || this.#planes.failed(href);
      },
      go: (place) => this.#store.set({ at: this.#frames[place]?.time ?? null }),
    });
  }

  get shade(): Shade {
    return shadeOf(this.#store.state.theme);
  }

  get #camera(): Camera {
    const { lng, lat } = this.map.getCenter();
    return { longitude: lng, latitude: lat, zoom: this.map.getZoom() };
  }

  get site(): Site | undefined {
    return this.#sites.find((site) => site.id === this.#store.state.site);
  }

  get frames(): readonly Frame[] {
    return this.#frames;
  }

  get #place(): number {
    return placeAt(this.#frames, this.#store.state.at);
  }

  get #product(): Product | undefined {
    return chosenProduct(this.#products, this.#store.state);
  }

  /** Open the list of radars. */
  openSites(): void {
    this.#dialog.open(this.#sites);
  }

  /** Look at another radar; the map goes there. */
  chooseSite(id: string): void {
    this.#poster.remove();
    this.#store.set({ site: id, day: null, at: null, tilt: null, playing: false });
    this.#goToSite();
  }

  /** Show the frame of a time and stop playing; the newest one means: stay with the newest. */
  seek(time: number): void {
    const newest = this.#store.state.day === null && time === this.#frames.at(-1)?.time;
    this.#store.set({ at: newest ? null : time, playing: false });
  }

  /** Go some frames on, or back. */
  step(by: number): void {
    const frame = this.#frames[Math.min(this.#frames.length - 1, Math.max(0, this.#place + by))];
    if (frame) this.seek(frame.time);
  }

  /** Go to the newest scan and stay there. */
  follow(): void {
    this.#store.set({ at: null, day: null, playing: false });
  }

  play(): void {
    const { playing } = this.#store.state;
    const current = this.#frames[this.#place];
    if (playing && current) this.seek(current.time);
    else this.#store.set({ playing: true });
  }

  /** Go to the next tilt up or down. */
  tilt(by: number): void {
    const tilts = this.#product?.tilts ?? [];
    const place = tilts.indexOf(chosenTilt(tilts, this.#store.state.tilt) ?? NaN);
    const tilt = tilts[place + by];
    if (tilt !== undefined) this.#store.set({ tilt });
  }

  /** Say the value in the middle of the map. */
  readMiddle(): void {
    const { lng, lat } = this.map.getCenter();
    const reading = this.#point([lng, lat]);
    byId("summary").textContent = reading ? `In the middle of the map: ${reading.words}, ${reading.where}` : "Nothing in the middle of the map.";
  }

  /** What a saved picture says; null while nothing is shown. */
  caption(): Caption | null {
    if (!this.#onScreen) return null;
    const { frame, product, site } = this.#onScreen;
    const { table, floor } = this.#store.state;
    const tilt = product.tilts.length ? ` · ${angle(frame.scan.tilt_deg)}` : "";
    const title = `${site.id} ${site.name} · ${product.label}${tilt}`;
    return { title, time: `${utcDay(frame.time)} ${utcSecond(frame.time)} UTC`, product, table, floor };
  }

  /** Show a frame and wait until it is on the map. */
  async bring(place: number): Promise<void> {
    const frame = this.#frames[place];
    if (!frame) return;
    this.#store.set({ at: frame.time, playing: false });
    while (this.#onScreen?.frame !== frame && !this.#planes.failed(frame.scan.href)) {
      await new Promise((later) => setTimeout(later, 20));
    }
  }

  #wireStore(): void {
    const store = this.#store;
    store.on(["site", "day"], () => void this.#guard(() => this.#loadProducts()));
    store.on(["product", "code", "tilt"], () => {
      this.#showMenus();
      void this.#guard(() => this.#loadScans());
    });
    store.on(["product", "code", "tilt", "day", "at", "opacity", "table", "floor"], () => this.#poster.remove());
    store.on(["at", "playing"], () => this.#show());
    store.on(["opacity", "table", "floor"], () => this.#colour());
    store.on(["theme"], () => this.#reshade());
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.#reshade());
    this.#reshade();
  }

  #wirePointer(): void {
    const point = ({ lngLat }: MapMouseEvent): void => void this.#point([lngLat.lng, lngLat.lat]);
    this.map.on("mousemove", point);
    this.map.on("click", point);
    this.map.on("mouseout", () => this.#point(null));
    for (const event of ["mousemove", "click"] as const) {
      this.map.on(event, "storm-marks", ({ features }) => {
        byId("legend-where").textContent = storyOf(features?.[0]?.properties ?? {});
      });
    }
  }

  /** What needs the map's style to be there. */
  #dress(): void {
    const { map } = this;
    map.addLayer(this.#layer, ABOVE_RADAR);
    addStationLayer(map, this.shade, (id, name) => void showForecast(id, name));
    addStormLayers(map, this.shade);
    addSiteLayers(map, this.shade, (site) => this.chooseSite(site));
    this.#storms = new Storms(map);
    const stations = new Stations(map);
    this.#store.follow(["storms"], (state) => this.#storms?.visible(state.storms));
    this.#store.follow(["stations"], (state) => stations.visible(state.stations));
    this.#store.follow(["sites"], (state) => {
      for (const layer of ["sites", "site-names"]) map.setLayoutProperty(layer, "visibility", state.sites ? "visible" : "none");
    });
    void fillOutlines(map).catch(() => this.#complain("The outlines of the map did not load."));
    this.#reshade();
    this.#tellSites();
    if (this.#onScreen) this.#showStorms();
  }

  #reshade(): void {
    document.documentElement.dataset["theme"] = this.shade;
    if (this.map.getLayer("sites")) {
      applyShade(this.map, this.shade);
      shadeSites(this.map, this.shade);
    }
    this.#timeline.draw();
    this.#legend.draw();
  }

  /** Do something that asks the server; its failure is told in words. Gives whether the server answered. */
  async #guard(task: () => Promise<void>): Promise<boolean> {
    try {
      await task();
      this.#fault = null;
      this.#live.told(true);
      return true;
    } catch (fault) {
      const away = fault instanceof api.ApiFault && fault.away;
      this.#fault = away ? null : fault instanceof Error ? fault.message : String(fault);
      this.#live.told(!away);
      return !away;
    } finally {
      this.#tellState();
    }
  }

  async #look(site: string | null): Promise<boolean> {
    if (site !== null && site !== this.#store.state.site) return this.#guard(() => this.#loadSites());
    return this.#guard(async () => {
      await this.#loadAll();
      this.#planes.retry();
    });
  }

  async #loadAll(): Promise<void> {
    await this.#loadSites();
    await this.#loadProducts();
  }

  async #loadSites(): Promise<void> {
    const { sites: told = api.sites() } = this.#begun;
    delete this.#begun.sites;
    const { sites, primary } = await told;
    this.#sites = sites;
    if (!this.site) this.#store.set({ site: primary });
    if (!this.#store.state.camera) this.#goToSite(true);
    this.#tellSites();
  }

  /** Ask for products and scans; who asks while the same is asked for waits for that. */
  #loadProducts(): Promise<void> {
    const { site, day } = this.#store.state;
    if (!site || !this.site) return Promise.resolve();
    if (this.#underWay?.site === site && this.#underWay.day === day) return this.#underWay.task;
    const task = this.#askForProducts(site, day).finally(() => {
      if (this.#underWay?.task === task) this.#underWay = null;
    });
    this.#underWay = { site, day, task };
    return task;
  }

  async #askForProducts(site: string, day: string | null): Promise<void> {
    const { products: begun } = this.#begun;
    delete this.#begun.products;
    const asked = await begun;
    const { products } = asked?.site === site ? asked : await api.products(site, day);
    if (site !== this.#store.state.site || day !== this.#store.state.day) return;
    this.#products = products;
    this.#showMenus();
    await this.#loadScans();
  }

  async #loadScans(): Promise<void> {
    const asked = ++this.#asked;
    const { site, day, tilt } = this.#store.state;
    const product = this.#product;
    if (!site) return;
    if (!product) {
      this.#take([], null);
      return;
    }
    this.#loading = true;
    const wanted = { site, product: product.id, code: product.code, tilt: chosenTilt(product.tilts, tilt), day };
    const found = await api.scans(wanted).finally(() => (this.#loading = false));
    if (asked === this.#asked) this.#take(framesOf(found.scans), found.newest);
  }

  /** Show other frames; what did not change is not drawn anew. */
  #take(frames: Frame[], newest: string | null): void {
    this.#frames = frames;
    this.#newest = newest === null ? (frames.at(-1)?.time ?? null) : Date.parse(newest);
    this.#show();
    this.#tellState();
  }

  #showMenus(): void {
    showProducts(this.#products, this.#store);
    showTilts(this.#product?.tilts ?? [], this.#store);
    showDays(this.site, this.#store);
    const button = byId("site-button");
    const { site } = this;
    button.querySelector("strong")!.textContent = site?.id ?? "";
    button.querySelector("span")!.textContent = site ? [site.name, site.state].filter(Boolean).join(", ") : "Choose a radar";
    document.title = site ? `${site.id} · Radar` : "Radar";
    this.#colour();
  }

  #colour(): void {
    const product = this.#product;
    if (!product?.legend) {
      this.#legend.hide();
      return;
    }
    const shown = { ...product, legend: product.legend };
    const { table, floor, opacity } = this.#store.state;
    showFloor(product.legend, product.unit, this.#store);
    this.#legend.show({ product: shown, table, floor });
    // The picture on screen keeps its own colours until one of the other product is there.
    const seen = this.#onScreen?.product ?? shown;
    this.#layer.colour(lookup(seen, table, floor), opacity);
  }

  /** Bring the chosen frame on screen as soon as it is in memory, and what the loop needs into memory. */
  #show(): void {
    const frame = this.#frames[this.#place];
    this.#planes.want(inPlayOrder(this.#frames, this.#place));
    const plane = frame && this.#planes.get(frame.scan.href);
    const product = this.#product;
    const { site } = this;
    if (frame && plane && product?.legend && site) {
      if (this.#onScreen?.plane !== plane) this.#bringOn({ frame, plane, product: { ...product, legend: product.legend }, site });
    } else if (!frame || this.#onScreen?.site !== site) {
      this.#bringOn(null);
    }
    this.#timeline.show({ frames: this.#frames, time: frame?.time ?? null, ready: (each) => this.#planes.has(each.scan.href) });
    this.#tellProgress();
  }

  #bringOn(shown: OnScreen | null): void {
    this.#onScreen = shown;
    this.#layer.show(shown && { plane: shown.plane, corners: shown.frame.scan.corners });
    document.body.dataset["image"] = shown?.frame.scan.href ?? "";
    if (shown) {
      this.#storms?.leave(shown.site.id, shown.frame.time);
      const { table, floor, opacity } = this.#store.state;
      this.#layer.colour(lookup(shown.product, table, floor), opacity);
    }
    this.#point(this.#pointer);
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => this.#settle(), SETTLED_MS);
  }

  /** What is done for a frame that stays: its summary and its storms. */
  #settle(): void {
    if (!this.#onScreen) {
      this.#storms?.clear();
      return;
    }
    const { site, product, frame, plane } = this.#onScreen;
    if (!this.#store.state.playing) byId("summary").textContent = summary(site, product, frame, plane);
    this.#showStorms();
  }

  #showStorms(): void {
    if (!this.#onScreen || !this.#storms) return;
    const { site, frame } = this.#onScreen;
    void this.#storms.show(site.id, frame.time).catch(() => this.#storms?.clear());
  }

  #point(place: LonLat | null): Reading | null {
    this.#pointer = place;
    const seen = this.#onScreen;
    const reading = place && seen ? read(seen.site, seen.product, seen.frame, seen.plane, place) : null;
    this.#legend.mark(reading);
    return reading;
  }

  #goToSite(atOnce = false): void {
    const { site } = this;
    if (!site) return;
    const camera = { center: [site.longitude_deg, site.latitude_deg] as LonLat, zoom: Math.max(SITE_ZOOM, this.map.getZoom()) };
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (atOnce || still) this.map.jumpTo(camera);
    else this.map.flyTo({ ...camera, duration: 900 });
  }

  #tellSites(): void {
    if (this.map.getSource("sites")) showSites(this.map, this.#sites, this.#store.state.site, Date.now());
  }

  #tellProgress(): void {
    const { there, wanted } = this.#planes.progress();
    const bar = byId<HTMLProgressElement>("loading");
    bar.hidden = there >= wanted;
    Object.assign(bar, { max: Math.max(1, wanted), value: there });
    const frame = this.#frames[this.#place];
    if (frame && this.#planes.failed(frame.scan.href)) this.#lose();
  }

  #lose(): void {
    this.#poster.remove();
    this.#complain("The image of this scan could not be loaded.");
  }

  #complain(words: string): void {
    byId("message").textContent = words;
  }

  /** Say how fresh what is shown is, and what is wrong. */
  #tellState(): void {
    const badge = byId("badge");
    const { kind, words } = this.#freshness();
    badge.dataset["kind"] = kind;
    if (badge.textContent !== words) badge.textContent = words;
    const trouble = this.#trouble();
    if (byId("message").textContent !== trouble) this.#complain(trouble);
    this.#tellSites();
  }

  #trouble(): string {
    if (this.#live.connection === "away") {
      return this.#frames.length ? "The server does not answer. What was loaded stays; trying again." : "The server does not answer. Trying again.";
    }
    if (this.#fault) return this.#fault;
    if (this.site && !this.#loading && !this.#frames.length) {
      const where = this.#store.state.day ?? "the newest hours";
      return newestOf(this.site) === null ? `There are no scans of ${this.site.id} here.` : `There are no scans of this product in ${where}.`;
    }
    return "";
  }

  #freshness(): { kind: string; words: string } {
    const connection: Connection = this.#live.connection;
    if (connection === "away") return { kind: "away", words: "Not connected" };
    if (this.#store.state.day !== null) return { kind: "archive", words: `Archive ${this.#store.state.day}` };
    if (this.#newest === null) return { kind: "none", words: connection === "starting" ? "Connecting" : "No scans" };
    const age = Date.now() - this.#newest;
    if (age < STALE_MS) return { kind: "live", words: `Live · newest ${duration(age)} ago` };
    return { kind: "stale", words: `Stale · newest ${duration(age)} ago (${utcMinute(this.#newest)} UTC)` };
  }
}
