/** What is shown, in one sentence, for who hears the page. */

import { isClasses, strongest } from "../images/colours.ts";
import type { Frame } from "../model/frames.ts";
import { amount, utcMinute } from "../model/format.ts";
import { bearing, direction, placeOf } from "../model/geo.ts";
import type { Plane } from "../images/png.ts";
import type { Shown, Site } from "../model/types.ts";

/** "KPDT, 0.5 degrees, 20:42 UTC, strongest 58 dBZ 40 km northwest". */
export function summary(site: Site, product: Shown, frame: Frame, plane: Plane): string {
  const { scan, time } = frame;
  const words = [site.id, product.id === "reflectivity" && !product.code ? null : product.label];
  if (product.tilts.length) words.push(`${scan.tilt_deg.toFixed(1)} degrees`);
  words.push(`${utcMinute(time)} UTC`);
  if (isClasses(product.legend)) return told(words);
  const most = strongest(product, plane);
  if (!most) {
    words.push("no echo");
  } else {
    const place = placeOf(scan.corners, plane.width, plane.height, most);
    const { distanceKm, azimuthDeg } = bearing([site.longitude_deg, site.latitude_deg], place);
    const value = amount(most.value, Math.max(1, product.legend.scale));
    words.push(`strongest ${value} ${product.unit} ${Math.round(distanceKm)} km ${direction(azimuthDeg)}`);
  }
  return told(words);
}

const told = (words: (string | null)[]): string => words.filter((word) => word !== null).join(", ");
