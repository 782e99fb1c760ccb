/** What is chosen from: products, tilts, days. */

import { byId, h } from "./dom.ts";
import { angle } from "../model/format.ts";
import type { Store } from "../model/state.ts";
import type { Product, Site } from "../model/types.ts";

const name = (id: string): string => id.charAt(0).toUpperCase() + id.slice(1).replaceAll("_", " ");
const valueOf = (product: { id: string; code: string | null }): string => `${product.id}/${product.code ?? ""}`;

/** The product of a state; where the site has it not, its first one with something to show. */
export function chosenProduct(
  products: readonly Product[],
  wanted: { product: string; code: string | null },
): Product | undefined {
  const exact = products.find((one) => one.id === wanted.product && one.code === wanted.code);
  return exact ?? products.find((one) => one.legend !== null && one.count !== 0) ?? products[0];
}

/** The tilt of a product nearest to the wanted one; without a wish the lowest. */
export function chosenTilt(tilts: readonly number[], wanted: number | null): number | null {
  if (wanted === null) return tilts[0] ?? null;
  return [...tilts].sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0] ?? null;
}

/** Fill an element anew where what it is to hold has changed: whoever is at it is not disturbed otherwise. */
function fill(element: HTMLElement, content: unknown, build: () => Node[]): void {
  const told = JSON.stringify(content);
  if (element.dataset["content"] === told) return;
  element.dataset["content"] = told;
  element.replaceChildren(...build());
}

const usable = (product: Product): boolean => Boolean(product.count && product.legend);

/** Fill the product menu; what has no scans is greyed out. */
export function showProducts(products: readonly Product[], store: Store): void {
  const menu = byId<HTMLSelectElement>("product");
  fill(menu, products.map((product) => [product.level, valueOf(product), product.label, usable(product)]), () => productGroups(products));
  const chosen = chosenProduct(products, store.state);
  if (chosen) menu.value = valueOf(chosen);
  menu.onchange = (): void => {
    const product = products.find((one) => valueOf(one) === menu.value);
    if (product) store.set({ product: product.id, code: product.code, floor: null });
  };
}

function productGroups(products: readonly Product[]): HTMLElement[] {
  const groups = Map.groupBy(products, (product) => `Level ${product.level} · ${name(product.group)}`);
  return [...groups].map(([group, members]) =>
    h("optgroup", { label: group }, ...members.map((product) => {
      const label = product.code ? `${product.code} · ${product.label}` : product.label;
      return h("option", { value: valueOf(product), disabled: !usable(product) }, label);
    })),
  );
}

/** Show the tilts, the highest above; the arrow keys move between them, as between radio buttons. */
export function showTilts(tilts: readonly number[], store: Store): void {
  const rail = byId("tilts");
  const chosen = chosenTilt(tilts, store.state.tilt);
  rail.hidden = tilts.length < 2;
  fill(rail, tilts, () => [
    h("legend", {}, "Tilt"),
    ...[...tilts].reverse().map((tilt) => {
      const input = h("input", { type: "radio", name: "tilt", value: tilt });
      input.addEventListener("change", () => store.set({ tilt }));
      return h("label", {}, input, h("span", {}, angle(tilt)));
    }),
  ]);
  for (const input of rail.querySelectorAll("input")) input.checked = Number(input.value) === chosen;
  keepTiltInView();
}

/** Scroll the tilts so far that the chosen one is seen, where they do not all fit. */
export function keepTiltInView(): void {
  const rail = byId("tilts");
  const chosen = rail.querySelector(":checked")?.parentElement;
  if (!chosen) return;
  const [inner, outer] = [chosen.getBoundingClientRect(), rail.getBoundingClientRect()];
  if (inner.bottom > outer.bottom) rail.scrollTop += inner.bottom - outer.bottom + 8;
  if (inner.top < outer.top) rail.scrollTop -= outer.top - inner.top + 8;
}

/** Fill the menu of days. */
export function showDays(site: Site | undefined, store: Store): void {
  const menu = byId<HTMLSelectElement>("day");
  const days = site?.days ?? [];
  const { day } = store.state;
  const shown = [...new Set(day ? [day, ...days] : days)];
  fill(menu, shown, () => [
    h("option", { value: "" }, "The newest hours"),
    ...shown.map((each) => h("option", { value: each }, `${each} (UTC day)`)),
  ]);
  menu.value = day ?? "";
  menu.onchange = (): void => store.set({ day: menu.value || null, at: null, playing: false });
}
