/**
 * The only place that reads the clock, so that tests can set it. Times are milliseconds since the epoch;
 * text is in the local time zone, in the forms that Bacula prints.
 */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

let source: () => number = Date.now;
const waiting = new Set<() => void>();

/** The current time, ms since the epoch. */
export function nowMs(): number {
  return source();
}

/** Milliseconds from an arbitrary start that no clock adjustment moves: for durations and time limits. */
export function monotonicMs(): number {
  return performance.now();
}

/** Replaces the clock in tests; without an argument the real one is back. Whoever waits for a moment looks again. */
export function setClock(clock?: () => number): void {
  source = clock ?? Date.now;
  for (const look of [...waiting]) look();
}

/** Calls `look` each time the clock has been replaced; the result ends that. */
export function whenClockIsSet(look: () => void): () => void {
  waiting.add(look);
  return () => waiting.delete(look);
}

function pad(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** `2026-11-21 03:23:28`, local time: the form of lists and job reports. */
export function baculaTime(timeMs: number): string {
  const date = new Date(timeMs);
  return `${baculaDate(timeMs)} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** `2026-11-21`, local time. */
export function baculaDate(timeMs: number): string {
  const date = new Date(timeMs);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** `21-Nov 03:23`, local time: the front of a job message. */
export function messageTime(timeMs: number): string {
  const date = new Date(timeMs);
  return `${pad(date.getDate())}-${MONTHS[date.getMonth()]} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

/** `21-Nov-2026 03:23:28`, local time: start and end in job reports. */
export function reportTime(timeMs: number): string {
  const date = new Date(timeMs);
  const day = `${pad(date.getDate())}-${MONTHS[date.getMonth()]}-${date.getFullYear()}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** Milliseconds of `2026-11-21 03:23:28` (local time; the time part, or its seconds, may be missing). */
export function parseBaculaTime(text: string): number | undefined {
  const match = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?$/.exec(text.trim());
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map((part) => Number(part ?? 0));
  const date = new Date(year!, month! - 1, day!, hour!, minute!, second!);
  const same = date.getMonth() === month! - 1 && date.getDate() === day!;
  return same && hour! < 24 && minute! < 60 && second! < 60 ? date.getTime() : undefined;
}
