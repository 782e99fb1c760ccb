/** Places: Web Mercator, pixels of an image, distance and bearing from a radar, height of its beam. */

import type { Corners, LonLat } from "./types.ts";

const EARTH_KM = 6371;
/** The usual model of refraction: rays are straight above an earth of 4/3 of its radius. */
const BENT_EARTH_KM = (EARTH_KM * 4) / 3;

/** Web Mercator, the world from 0 to 1, y downwards. */
export function mercator([longitude, latitude]: LonLat): [x: number, y: number] {
  const sine = Math.sin((latitude * Math.PI) / 180);
  return [longitude / 360 + 0.5, 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)];
}

/** Back from Web Mercator to degrees. */
export function lonLat(x: number, y: number): LonLat {
  return [(x - 0.5) * 360, (Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI];
}

export interface Pixel {
  column: number;
  row: number;
}

/** The pixel of an image (a rectangle in Web Mercator) that a place falls on; null outside. */
export function pixelAt(corners: Corners, width: number, height: number, place: LonLat): Pixel | null {
  const [west, north] = mercator(corners.nw);
  const [east, south] = mercator(corners.se);
  const [x, y] = mercator(place);
  const turns = Math.round((west + east) / 2 - x);
  const column = Math.floor(((x + turns - west) / (east - west)) * width);
  const row = Math.floor(((y - north) / (south - north)) * height);
  return column >= 0 && column < width && row >= 0 && row < height ? { column, row } : null;
}

/** The place of a pixel's middle. */
export function placeOf(corners: Corners, width: number, height: number, pixel: Pixel): LonLat {
  const [west, north] = mercator(corners.nw);
  const [east, south] = mercator(corners.se);
  return lonLat(
    west + ((pixel.column + 0.5) / width) * (east - west),
    north + ((pixel.row + 0.5) / height) * (south - north),
  );
}

export interface Bearing {
  distanceKm: number;
  /** Degrees clockwise from north, from 0 to 360. */
  azimuthDeg: number;
}

/** How far, and in which direction, `to` is from `from`, on a sphere. */
export function bearing(from: LonLat, to: LonLat): Bearing {
  const [lon1, lat1, lon2, lat2] = [...from, ...to].map((degrees) => (degrees * Math.PI) / 180) as [number, number, number, number];
  const turn = lon2 - lon1;
  const y = Math.sin(turn) * Math.cos(lat2);
  const x = Math.cos(lat1) * Math.sin(lat2) - Math.sin(lat1) * Math.cos(lat2) * Math.cos(turn);
  const z = Math.sin(lat1) * Math.sin(lat2) + Math.cos(lat1) * Math.cos(lat2) * Math.cos(turn);
  return {
    distanceKm: EARTH_KM * Math.atan2(Math.hypot(x, y), z),
    azimuthDeg: ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360,
  };
}

/** Height of the beam's middle above the radar, in metres, at a distance over the ground. */
export function beamHeightM(groundKm: number, tiltDeg: number): number {
  const tilt = (tiltDeg * Math.PI) / 180;
  const angle = groundKm / BENT_EARTH_KM;
  return 1000 * BENT_EARTH_KM * (Math.cos(tilt) / Math.cos(tilt + angle) - 1);
}

const WORDS = ["north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"] as const;

/** One of eight directions in words. */
export function direction(azimuthDeg: number): string {
  return WORDS[Math.round(azimuthDeg / 45) % 8] ?? "north";
}
