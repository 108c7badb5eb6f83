/** Times, durations, sizes and numbers as people read them. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration: "0.4 s", "12 s", "1 min 23 s", "2 h 5 min". */
export function durationText(seconds: number): string {
  if (seconds < 0.95) return `${Math.max(seconds, 0).toFixed(1)} s`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  const minutes = Math.round(whole / MINUTE);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The duration of something that goes on: whole seconds, so that it does not flicker. */
export function elapsedText(seconds: number): string {
  return seconds < MINUTE ? `${Math.max(Math.floor(seconds), 0)} s` : durationText(Math.floor(seconds));
}

/** A time of day today ("11:02"), else with the day ("Nov 27, 11:02"), in another year with the year. */
export function clockText(time: number, now: number = Date.now() / 1000): string {
  const date = new Date(time * 1000);
  const today = new Date(now * 1000);
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === today.toDateString()) return clock;
  const year = date.getFullYear() === today.getFullYear() ? {} : { year: "numeric" as const };
  return `${date.toLocaleDateString("en-US", { month: "short", day: "numeric", ...year })}, ${clock}`;
}

/** How long ago: "just now", "3 min ago", "2 h ago"; older than a day: the time itself. */
export function agoText(time: number, now: number = Date.now() / 1000): string {
  const seconds = now - time;
  if (seconds < MINUTE) return "just now";
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return clockText(time, now);
}

/** A size in bytes: "512 bytes", "1.2 kB", "3.4 MB". */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  let size = bytes / 1000;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** A count and its noun: "1 node", "1,250 nodes". */
export function counted(count: number, noun: string, nouns = `${noun}s`): string {
  return `${countText(count)} ${count === 1 ? noun : nouns}`;
}

export function countText(count: number): string {
  return count.toLocaleString("en-US");
}

/** A number with as many digits as matter: 0.9312, 12.5, 1,250, 1.5e-7. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e9) return value.toExponential(2).replace("e+", "e").replace("-", "−");
  if (Number.isInteger(value)) return value.toLocaleString("en-US").replace("-", "−");
  return value.toLocaleString("en-US", { maximumSignificantDigits: 4 }).replace("-", "−");
}

/** A change with its sign: "+0.021", "−3", "±0". */
export function changeText(change: number): string {
  if (change === 0) return "±0";
  return change > 0 ? `+${numberText(change)}` : numberText(change);
}
