/** Times, ages, angles and values in words. */

const two = (value: number): string => String(value).padStart(2, "0");

/** `20:42` */
export function utcMinute(ms: number): string {
  const time = new Date(ms);
  return `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}`;
}

/** `20:42:10` */
export function utcSecond(ms: number): string {
  return `${utcMinute(ms)}:${two(new Date(ms).getUTCSeconds())}`;
}

/** `2026-11-21` */
export function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The time on the clock of whoever looks, with the name of its zone. */
export function localTime(ms: number): string {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
}

/** `2 min`, `3 h 10 min`, `4 days` */
export function duration(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** A value with as many digits as its step has, and a true minus. */
export function amount(value: number, step: number): string {
  const digits = step >= 1 || step <= 0 ? 0 : Math.min(3, Math.ceil(-Math.log10(step)));
  return value.toFixed(digits).replace("-", "−");
}

/** `0.5°` */
export function angle(degrees: number): string {
  return `${degrees.toFixed(1).replace("-", "−")}°`;
}
