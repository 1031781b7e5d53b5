/**
 * Sizes, durations, speeds and yes/no as they are written in configuration files and commands, and the same
 * the other way round for people. Nothing else in the suite interprets such text.
 * The parsers throw BackupError `VALUE_INVALID` with a message that says what would have been accepted.
 */

import { BackupError } from "./errors.js";

function invalid(text: string, expected: string): BackupError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  return new BackupError("VALUE_INVALID", `"${shown}" is not ${expected}`);
}

/** As in Bacula: the bare letter is a power of 1024, with a `b` behind it a power of 1000. */
const SIZE_FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kb: 1000,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1000 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1000 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1000 ** 4,
  tib: 1024 ** 4,
  p: 1024 ** 5,
  pb: 1000 ** 5,
  pib: 1024 ** 5,
};

const SIZE_EXPECTED = "a size (such as 50, 512k, 10 GB; k = 1024, kb = 1000)";

/** Bytes of `50 GB`, `512k`, `1.5g`; the result is a whole number below 2^53. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match === null ? undefined : SIZE_FACTORS[match[2]!.toLowerCase()];
  if (match === null || factor === undefined) throw invalid(text, SIZE_EXPECTED);
  const bytes = Math.round(Number(match[1]) * factor);
  if (!Number.isSafeInteger(bytes)) throw invalid(text, "a size below 8 PiB");
  return bytes;
}

/** Bytes per second of `60MB/s`, `10 m`, `1000`; 0 means no limit. */
export function parseSpeed(text: string): number {
  try {
    return parseSize(text.trim().replace(/\/\s*s(?:ec)?$/i, ""));
  } catch {
    throw invalid(text, "a speed (such as 60MB/s, 512 kb/s; per second)");
  }
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** Seconds per unit; a word may be shortened as long as it stays unambiguous. */
const DURATION_UNITS: readonly (readonly [word: string, shortest: number, seconds: number])[] = [
  ["seconds", 1, 1],
  ["minutes", 2, MINUTE],
  ["months", 2, 30 * DAY],
  ["hours", 1, HOUR],
  ["days", 1, DAY],
  ["weeks", 1, 7 * DAY],
  ["quarters", 1, 91 * DAY],
  ["years", 1, 365 * DAY],
];

const IRREGULAR_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  n: MINUTE,
  hr: HOUR,
  hrs: HOUR,
  mins: MINUTE,
  secs: 1,
};

function unitSeconds(word: string): number | undefined {
  const lower = word.toLowerCase();
  const irregular = Object.hasOwn(IRREGULAR_UNITS, lower) ? IRREGULAR_UNITS[lower] : undefined;
  if (irregular !== undefined) return irregular;
  return DURATION_UNITS.find(([unit, shortest]) => lower.length >= shortest && unit.startsWith(lower))?.[2];
}

const DURATION_EXPECTED = "a duration (such as 30d, 5h, 1 month, 2 hours 30 min)";

/** Bacula reads a bare `m` as months, most people as minutes: a limit that is wrong by 43,200 is worth an error. */
const M_EXPECTED = "clear: write min for minutes or mo for months (Bacula takes m as months)";

/** Seconds of `30d`, `1 month`, `1 hour 30 min`, `90`. A month is 30 days, a quarter 91, a year 365. */
export function parseDuration(text: string): number {
  const pattern = /\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*/iy;
  let total = 0;
  let end = 0;
  while (end < text.length) {
    pattern.lastIndex = end;
    const match = pattern.exec(text);
    const seconds = match === null ? undefined : unitSeconds(match[2]!);
    if (match?.[2]?.toLowerCase() === "m") throw invalid(text, M_EXPECTED);
    if (match === null || seconds === undefined) throw invalid(text, DURATION_EXPECTED);
    total += Number(match[1]) * seconds;
    end = pattern.lastIndex;
  }
  if (text.trim() === "") throw invalid(text, DURATION_EXPECTED);
  const whole = Math.round(total);
  if (!Number.isSafeInteger(whole)) throw invalid(text, "a duration that fits in a calendar");
  return whole;
}

const YES = new Set(["yes", "true", "1", "on"]);
const NO = new Set(["no", "false", "0", "off"]);

/** True for yes, true, on, 1; false for no, false, off, 0; in any case. */
export function parseYesNo(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (YES.has(word)) return true;
  if (NO.has(word)) return false;
  throw invalid(text, "yes or no");
}

/** `1,234,567` */
export function withCommas(value: number | bigint): string {
  return String(typeof value === "number" ? Math.trunc(value) : value).replace(/\B(?=(\d{3})+$)/g, ",");
}

const SPOKEN_UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ["year", 365 * DAY],
  ["month", 30 * DAY],
  ["day", DAY],
  ["hour", HOUR],
  ["min", MINUTE],
];

/** `1 min 5 secs`, `2 days 3 hours`, `0 secs`: Bacula's way of writing a number of seconds. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [name, size] of SPOKEN_UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  if (rest > 0 || parts.length === 0) parts.push(`${rest} ${rest === 1 ? "sec" : "secs"}`);
  return parts.join(" ");
}

/** `1.234 GB`, `999 B`: decimal units, as in Bacula's job reports. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const sign = bytes < 0 ? "-" : "";
  if (value >= 1000) return `${sign}${withCommas(value)} ${units[unit]}`;
  return unit === 0 ? `${sign}${Math.round(value)} B` : `${sign}${value.toPrecision(4)} ${units[unit]}`;
}

/** `12.3 MB/s` */
export function formatSpeed(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** The strictest of some limits; 0 is none. */
export function leastLimit(...limits: readonly number[]): number {
  const given = limits.filter((limit) => limit > 0);
  return given.length === 0 ? 0 : Math.min(...given);
}
