/** The viewer on its page: the state from its address, the buttons and keys. Run by `first.ts`. */

import "maplibre-gl/dist/maplibre-gl.css";
import { byId } from "./controls/dom.ts";
import { showRuns } from "./map/dwd.ts";
import { saveLoop, savePicture } from "./controls/exporting.ts";
import { format, parse } from "./model/hash.ts";
import { wireKeyboard, type Command } from "./controls/keyboard.ts";
import { keepTiltInView } from "./controls/menus.ts";
import { wireSettings } from "./controls/settings.ts";
import { DEFAULTS, SPEEDS, Store, type State } from "./model/state.ts";
import { Viewer, type Begun } from "./viewer.ts";

const ADDRESS_MS = 250;
const PAN_PX = 120;

const still = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
const asked = parse(location.hash);
// Who wants less motion starts a loop by hand.
const store = new Store({ ...asked, playing: asked.playing && !still() });
let viewer: Viewer;

function wireAddress(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  store.on(Object.keys(DEFAULTS) as (keyof State)[], () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", `#${format(store.state)}`), ADDRESS_MS);
  });
  window.addEventListener("hashchange", () => {
    const told = parse(location.hash);
    store.set(told.site === null ? { ...told, site: store.state.site } : told);
    if (told.camera) viewer.map.jumpTo({ center: [told.camera.longitude, told.camera.latitude], zoom: told.camera.zoom });
  });
}

function togglePanel(id: string, opened?: () => void): void {
  const panel = byId(id);
  const shows = panel.hidden;
  for (const other of document.querySelectorAll<HTMLElement>(".panel")) other.hidden = true;
  panel.hidden = !shows;
  for (const button of document.querySelectorAll<HTMLElement>("[aria-controls]")) {
    button.setAttribute("aria-expanded", String(!byId(button.getAttribute("aria-controls")!).hidden));
  }
  if (shows) {
    opened?.();
    panel.querySelector<HTMLElement>("select, input, button:not(.close)")?.focus();
  }
}

async function saving(task: () => Promise<void>): Promise<void> {
  byId("summary").textContent = "Saving …";
  try {
    await task();
    byId("summary").textContent = "Saved.";
  } catch (fault) {
    byId("message").textContent = fault instanceof Error ? fault.message : String(fault);
  }
}

function fileName(): string {
  return document.body.dataset["image"]?.split("/").pop()?.split(".")[0] ?? "radar";
}

const savePng = (): Promise<void> =>
  saving(async () => {
    const caption = viewer.caption();
    if (caption) await savePicture(viewer.map, caption, fileName());
  });

const saveWebm = (): Promise<void> =>
  saving(() => {
    const show = async (place: number): Promise<NonNullable<ReturnType<Viewer["caption"]>>> => {
      await viewer.bring(place);
      const caption = viewer.caption();
      if (!caption) throw new Error("There is no image to save.");
      return caption;
    };
    return saveLoop(viewer.map, viewer.frames.length, store.state.speed, show, fileName());
  });

function nextSpeed(by: number): void {
  const place = SPEEDS.findIndex((speed) => speed >= store.state.speed) + by;
  const speed = SPEEDS[place];
  if (speed !== undefined) store.set({ speed });
}

const shade = (): void => store.set({ theme: viewer.shade === "dark" ? "light" : "dark" });
const opacity = (by: number): void => store.set({ opacity: Math.round(Math.min(1, Math.max(0, store.state.opacity + by)) * 100) / 100 });
const flip = (key: "storms" | "stations" | "sites"): void => store.set({ [key]: !store.state[key] });
const help = (): void => byId<HTMLDialogElement>("help").showModal();

/** Close the panels; who was in one is at its button again. */
function closeAll(): void {
  const left = document.activeElement?.closest(".panel");
  for (const panel of document.querySelectorAll<HTMLElement>(".panel")) panel.hidden = true;
  for (const button of document.querySelectorAll("[aria-controls]")) button.setAttribute("aria-expanded", "false");
  if (left) document.querySelector<HTMLElement>(`[aria-controls="${left.id}"]`)?.focus();
}

const pan = (x: number, y: number) => (): void => {
  viewer.map.panBy([x * PAN_PX, y * PAN_PX], { animate: !still() });
};

const commands: Command[] = [
  { keys: [" ", "k"], shown: "Space", does: "play or pause", run: () => viewer.play() },
  { keys: ["ArrowLeft"], shown: "←", does: "one scan back", run: () => viewer.step(-1) },
  { keys: ["ArrowRight"], shown: "→", does: "one scan on", run: () => viewer.step(1) },
  { keys: ["Home"], shown: "Home", does: "the oldest scan", run: () => viewer.step(-Infinity) },
  { keys: ["End", "l"], shown: "End L", does: "the newest scan, and stay with it", run: () => viewer.follow() },
  { keys: ["ArrowUp"], shown: "↑", does: "one tilt up", run: () => viewer.tilt(1) },
  { keys: ["ArrowDown"], shown: "↓", does: "one tilt down", run: () => viewer.tilt(-1) },
  { keys: ["["], shown: "[", does: "play slower", run: () => nextSpeed(-1) },
  { keys: ["]"], shown: "]", does: "play faster", run: () => nextSpeed(1) },
  { keys: ["s", "/"], shown: "S /", does: "choose a radar", run: () => viewer.openSites() },
  { keys: ["p"], shown: "P", does: "choose a product", run: () => byId("product").focus() },
  { keys: ["v"], shown: "V", does: "say the value in the middle of the map", run: () => viewer.readMiddle() },
  { keys: ["+", "="], shown: "+", does: "nearer", run: () => void viewer.map.zoomIn() },
  { keys: ["-"], shown: "−", does: "further away", run: () => void viewer.map.zoomOut() },
  { keys: ["Shift+ArrowLeft"], shown: "Shift ←", does: "map to the west", run: pan(-1, 0) },
  { keys: ["Shift+ArrowRight"], shown: "Shift →", does: "map to the east", run: pan(1, 0) },
  { keys: ["Shift+ArrowUp"], shown: "Shift ↑", does: "map to the north", run: pan(0, -1) },
  { keys: ["Shift+ArrowDown"], shown: "Shift ↓", does: "map to the south", run: pan(0, 1) },
  { keys: [","], shown: ",", does: "more transparent", run: () => opacity(-0.1) },
  { keys: ["."], shown: ".", does: "less transparent", run: () => opacity(0.1) },
  { keys: ["c"], shown: "C", does: "colours for all kinds of colour vision, and back", run: () => store.set({ table: store.state.table === "safe" ? "standard" : "safe" }) },
  { keys: ["t"], shown: "T", does: "dark or light", run: shade },
  { keys: ["m"], shown: "M", does: "storm tracks and mesocyclones", run: () => flip("storms") },
  { keys: ["d"], shown: "D", does: "stations of Deutscher Wetterdienst", run: () => flip("stations") },
  { keys: ["o"], shown: "O", does: "settings", run: () => togglePanel("settings") },
  { keys: ["i"], shown: "I", does: "runs of ICON-D2", run: () => togglePanel("runs", () => void showRuns()) },
  { keys: ["e"], shown: "E", does: "save the picture", run: () => void savePng() },
  { keys: ["w"], shown: "W", does: "save the loop", run: () => void saveWebm() },
  { keys: ["?"], shown: "?", does: "this help", run: help },
  { keys: ["Escape"], shown: "Esc", does: "close what is open", run: closeAll },
];

function wireButtons(): void {
  const buttons: Record<string, () => void> = {
    "site-button": () => viewer.openSites(),
    "step-back": () => viewer.step(-1),
    play: () => viewer.play(),
    "step-on": () => viewer.step(1),
    follow: () => viewer.follow(),
    "zoom-in": () => void viewer.map.zoomIn(),
    "zoom-out": () => void viewer.map.zoomOut(),
    "settings-button": () => togglePanel("settings"),
    "runs-button": () => togglePanel("runs", () => void showRuns()),
    "help-button": help,
    "save-png": () => void savePng(),
    "save-webm": () => void saveWebm(),
  };
  for (const [id, run] of Object.entries(buttons)) byId(id).addEventListener("click", run);
  for (const close of document.querySelectorAll<HTMLElement>(".panel .close")) close.addEventListener("click", closeAll);
  store.follow(["playing"], ({ playing }) => {
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    byId("play").dataset["playing"] = String(playing);
  });
  store.follow(["at", "day"], ({ at, day }) => byId("follow").setAttribute("aria-pressed", String(at === null && day === null)));
  store.follow(["embed"], ({ embed }) => document.body.classList.toggle("embed", embed));
}

/** Start the viewer, once. */
export function start(begun: Begun): void {
  viewer = new Viewer(store, begun);
  wireSettings(store);
  wireButtons();
  wireKeyboard(commands);
  wireAddress();
  new ResizeObserver(keepTiltInView).observe(byId("tilts"));
  viewer.start();
}
