/** The days that a walk goes through: a time zone with summer time, and a change of it in the right place. */
import type { Day } from "./rules.js";

const DAY_MS = 86_400_000;
/** From the walk's first day, a Friday, to the change on the last Sunday of a March or October. */
export const DAYS_TO_CHANGE = 23;
/** The Saturdays on which references are built by schedule. */
export const REBUILDS = [1, 29] as const;

/** All clocks of this process and of those that it starts are in this zone from now on. */
export function liveInBerlin(): void {
  process.env.TZ = "Europe/Berlin";
}

/**
 * The first Friday from `now` on after which these days come: the first Saturday of a month tomorrow, the change of the
 * clocks on the 23rd day, the first Saturday of the next month on the 29th. There is one every year. It lies in the
 * future, so that files made by then are older than the daemons' clock.
 */
export function firstDay(now: Date): Day {
  for (let year = now.getFullYear(); ; year++) {
    for (const month of [2, 9]) {
      const lastSunday = 31 - new Date(year, month, 31, 12).getDay();
      const first = new Date(year, month, lastSunday - DAYS_TO_CHANGE, 12);
      if (lastSunday >= 26 && lastSunday <= 29 && first.getTime() > now.getTime() + DAY_MS) return first;
    }
  }
}

/** The day that comes so many days later. */
export function daysAfter(day: Day, count: number): Day {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + count, 12);
}
