/** The panel of settings: each control is a part of the state, both ways. */

import { isClasses } from "../images/colours.ts";
import { byId } from "./dom.ts";
import { amount } from "../model/format.ts";
import type { State, Store } from "../model/state.ts";
import type { Legend } from "../model/types.ts";

/** Join the controls of the panel to the state. */
export function wireSettings(store: Store): void {
  const opacity = byId<HTMLInputElement>("opacity");
  opacity.addEventListener("input", () => store.set({ opacity: Number(opacity.value) / 100 }));
  store.follow(["opacity"], (state) => (opacity.value = String(Math.round(state.opacity * 100))));
  for (const key of ["table", "theme"] as const) {
    const menu = byId<HTMLSelectElement>(key);
    menu.addEventListener("change", () => store.set({ [key]: menu.value } as Partial<State>));
    store.follow([key], (state) => (menu.value = state[key]));
  }
  for (const key of ["storms", "stations", "sites"] as const) {
    const box = byId<HTMLInputElement>(`layer-${key}`);
    box.addEventListener("change", () => store.set({ [key]: box.checked }));
    store.follow([key], (state) => (box.checked = state[key]));
  }
  const speed = byId<HTMLSelectElement>("speed");
  speed.addEventListener("change", () => store.set({ speed: Number(speed.value) }));
  store.follow(["speed"], (state) => (speed.value = String(state.speed)));
}

/** The threshold of a product: from the lowest value, which hides nothing, to the highest. */
export function showFloor(legend: Legend, unit: string, store: Store): void {
  const [least, most] = legend.value_range;
  const input = byId<HTMLInputElement>("floor");
  const told = byId("floor-told");
  byId("floor-label").hidden = isClasses(legend);
  const step = (most - least) / 100;
  Object.assign(input, { min: String(least), max: String(most), step: String(step >= 1 ? 1 : step) });
  input.value = String(store.state.floor ?? least);
  told.textContent = store.state.floor === null ? "none" : `from ${amount(store.state.floor, step)} ${unit}`;
  input.oninput = (): void => {
    const value = Number(input.value);
    store.set({ floor: value <= least ? null : value });
  };
}
