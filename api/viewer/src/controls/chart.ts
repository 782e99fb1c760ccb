/** A small chart of a forecast: temperature as a line, rain as bars. */

import { h, svg } from "./dom.ts";
import type { Forecast } from "../model/types.ts";

const [WIDTH, HEIGHT] = [320, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [30, 30, 10, 22];
const HOURS = 72;
const KELVIN = 273.15;

interface Point {
  time: number;
  value: number;
}

/** The points of an element within the first hours; none where it is not there. */
export function points(forecast: Forecast, element: string): Point[] {
  const values = forecast.series.find((series) => series.element === element)?.values ?? [];
  const end = Date.parse(forecast.times[0] ?? "") + HOURS * 3_600_000;
  return forecast.times.flatMap((text, place) => {
    const [time, value] = [Date.parse(text), values[place]];
    return value != null && time <= end ? [{ time, value }] : [];
  });
}

/** The chart as a drawing that says in words what it shows. */
export function chart(forecast: Forecast): HTMLElement {
  const warmth = points(forecast, "TTT").map(({ time, value }) => ({ time, value: value - KELVIN }));
  const rain = points(forecast, "RR1c");
  if (!warmth.length) return h("p", {}, "The forecast has no temperatures.");
  const values = warmth.map((point) => point.value);
  const [low, high] = [Math.floor(Math.min(...values) - 1), Math.ceil(Math.max(...values) + 1)];
  const [from, to] = [warmth[0]!.time, warmth.at(-1)!.time];
  const x = (time: number): number => LEFT + ((time - from) / Math.max(1, to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const total = rain.reduce((sum, point) => sum + point.value, 0);
  const told = `Next ${Math.round((to - from) / 3_600_000)} hours: ${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)} °C, ${total.toFixed(1)} mm of rain.`;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told, class: "chart" },
    ...scale(low, high, y), ...days(from, to, x), ...bars(rain, x),
    svg("polyline", { class: "warmth", points: warmth.map((point) => `${x(point.time).toFixed(1)},${y(point.value).toFixed(1)}`).join(" ") }));
  const figure = h("figure", {}, h("figcaption", {}, told));
  figure.prepend(drawing);
  return figure;
}

function scale(low: number, high: number, y: (value: number) => number): SVGElement[] {
  return [low, Math.round((low + high) / 2), high].flatMap((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 4, y: y(value) + 3, "text-anchor": "end" }, `${value}°`),
  ]);
}

function days(from: number, to: number, x: (time: number) => number): SVGElement[] {
  const found: SVGElement[] = [];
  for (let time = Math.ceil(from / 43_200_000) * 43_200_000; time <= to; time += 43_200_000) {
    const hour = new Date(time).getUTCHours();
    const name = hour ? "12" : new Date(time).toLocaleDateString("en", { weekday: "short", timeZone: "UTC" });
    found.push(svg("line", { class: "grid", x1: x(time), x2: x(time), y1: TOP, y2: HEIGHT - BOTTOM }));
    found.push(svg("text", { x: x(time), y: HEIGHT - 8, "text-anchor": "middle" }, name));
  }
  return found;
}

/** Bars of rain from below; the heaviest hour, or 2 mm, fills the chart. */
function bars(rain: Point[], x: (time: number) => number): SVGElement[] {
  const most = Math.max(2, ...rain.map((point) => point.value));
  return rain.filter((point) => point.value > 0).map(({ time, value }) => {
    const height = (value / most) * (HEIGHT - TOP - BOTTOM);
    return svg("rect", { class: "rain", x: x(time) - 1.4, y: HEIGHT - BOTTOM - height, width: 2.8, height });
  });
}
