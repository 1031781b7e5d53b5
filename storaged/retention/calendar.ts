/** Days, ISO weeks, months and years as the director's clock on the wall has them. */

/** Where a calendar's days begin: an IANA name outranks the offset (minutes east of UTC). */
export interface Zone {
  timeZone: string;
  utcOffsetMinutes: number;
}

/** The periods that a moment lies in; equal texts are the same period. */
export interface Periods {
  day: string;
  week: string;
  month: string;
  year: string;
}

const DAY_MS = 86_400_000;

/** Tells the periods of moments (ms since the epoch). A name that this system does not know: the offset counts. */
export function calendarOf(zone: Zone): (timeMs: number) => Periods {
  const format = formatOf(zone.timeZone);
  return (timeMs) => {
    const shifted =
      format === undefined ? timeMs + zone.utcOffsetMinutes * 60_000 : wallClock(format, timeMs);
    return periodsOf(Math.floor(shifted / DAY_MS));
  };
}

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  if (timeZone === "") return undefined;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone, year: "numeric", month: "numeric", day: "numeric" });
  } catch {
    return undefined;
  }
}

/** The date in the zone, as that date's midnight in UTC. */
function wallClock(format: Intl.DateTimeFormat, timeMs: number): number {
  const fields = { year: 0, month: 0, day: 0 };
  for (const { type, value } of format.formatToParts(timeMs)) {
    if (type === "year" || type === "month" || type === "day") fields[type] = Number(value);
  }
  return Date.UTC(fields.year, fields.month - 1, fields.day);
}

/** `day`: days since the epoch. */
function periodsOf(day: number): Periods {
  const date = new Date(day * DAY_MS);
  const year = date.getUTCFullYear();
  const month = `${year}-${two(date.getUTCMonth() + 1)}`;
  return { day: `${month}-${two(date.getUTCDate())}`, week: weekOf(day), month, year: String(year) };
}

/** A week belongs to the year of its Thursday (ISO 8601). */
function weekOf(day: number): string {
  // 1970-01-01 was a Thursday.
  const weekday = (((day + 3) % 7) + 7) % 7;
  const thursday = day - weekday + 3;
  const year = new Date(thursday * DAY_MS).getUTCFullYear();
  const first = Math.floor(Date.UTC(year, 0, 1) / DAY_MS);
  return `${year}-W${two(Math.floor((thursday - first) / 7) + 1)}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
