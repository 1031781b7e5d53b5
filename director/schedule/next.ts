/**
 * When schedules are due. All times are local: a wall-clock time that the change to summer time skips is due at
 * the moment the clock jumps over it, one that occurs twice is due the first time only.
 */

import type { JobLevel } from "../config/types.js";
import type { RunDirective, RunOverrides, ScheduleResource } from "../config/types-schedule.js";
import { type BaculaTime, parseBaculaTimeSpec } from "./bacula-run.js";
import { cronAfter } from "./cron.js";

/** One run that a schedule asks for. */
export interface DueRun {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly overrides: RunOverrides;
}

/** Only what is needed of a schedule, so that callers may pass a part of one. */
export type Runs = Pick<ScheduleResource, "runs"> & { readonly enabled?: boolean };

/** How far ahead a day is looked for: the weekday of a 29 February recurs within 40 years. */
const SEARCH_DAYS = 40 * 366;

const compiled = new WeakMap<RunDirective, BaculaTime>();

/**
 * The first run after `afterMs` (exclusive), or undefined when none will ever come. When several lines are due
 * at the same moment, the first in the file counts.
 */
export function nextRunAfter(schedule: Runs, afterMs: number): DueRun | undefined {
  if (schedule.enabled === false) return undefined;
  let best: DueRun | undefined;
  for (const run of schedule.runs) {
    const atMs = nextOf(run, afterMs);
    if (atMs !== undefined && (best === undefined || atMs < best.atMs))
      best = { atMs, overrides: run.overrides };
  }
  return best;
}

/** The runs after `fromMs` (exclusive) up to `toMs` (inclusive) in order, at most `limit` of them. */
export function runsBetween(schedule: Runs, fromMs: number, toMs: number, limit = 1000): DueRun[] {
  const found: DueRun[] = [];
  for (let after = fromMs; found.length < limit; ) {
    const next = nextRunAfter(schedule, after);
    if (next === undefined || next.atMs > toMs) break;
    found.push(next);
    after = next.atMs;
  }
  return found;
}

function nextOf(run: RunDirective, afterMs: number): number | undefined {
  if (run.spec.kind === "cron") return cronAfter(run.spec.expression, afterMs);
  let time = compiled.get(run);
  if (time === undefined) {
    time = parseBaculaTimeSpec(run.spec.text);
    compiled.set(run, time);
  }
  return baculaAfter(time, afterMs);
}

/** The first moment after `afterMs` that fulfils the conditions. */
export function baculaAfter(time: BaculaTime, afterMs: number): number | undefined {
  const start = new Date(afterMs);
  const [year, month, date] = [start.getFullYear(), start.getMonth(), start.getDate()];
  for (let ahead = 0; ahead < SEARCH_DAYS; ahead++) {
    const day = new Date(year, month, date + ahead, 12);
    if (!dayMatches(time, day)) continue;
    const due = time.minutes.map((minutes) => wallClockMs(day, minutes)).filter((atMs) => atMs > afterMs);
    if (due.length > 0) return Math.min(...due);
  }
  return undefined;
}

/** A skipped wall-clock time becomes the first minute after the gap; Date alone would add the gap to it. */
function wallClockMs(day: Date, minutes: number): number {
  const at = (minute: number) => new Date(day.getFullYear(), day.getMonth(), day.getDate(), 0, minute);
  const date = at(minutes);
  const wall = date.getHours() * 60 + date.getMinutes();
  if (wall === minutes) return date.getTime();
  let jump = minutes;
  while (jump > 0 && at(jump - 1).getHours() * 60 + at(jump - 1).getMinutes() !== jump - 1) jump -= 1;
  return at(jump - 1).getTime() + 60_000;
}

function dayMatches(time: BaculaTime, day: Date): boolean {
  const date = day.getDate();
  const lastDate = new Date(day.getFullYear(), day.getMonth() + 1, 0).getDate();
  if (time.months !== undefined && !time.months.has(day.getMonth())) return false;
  if (time.weekDays !== undefined && !time.weekDays.has(day.getDay())) return false;
  if (time.monthDays !== undefined || time.lastDayOfMonth) {
    if (!(time.monthDays?.has(date) || (time.lastDayOfMonth && date === lastDate))) return false;
  }
  const weeks = time.weeksOfMonth;
  if (
    weeks !== undefined &&
    !weeks.has(Math.floor((date - 1) / 7)) &&
    !(weeks.has(-1) && date > lastDate - 7)
  ) {
    return false;
  }
  const week = time.weeksOfYear === undefined ? 0 : isoWeek(day);
  return (
    time.weeksOfYear === undefined || time.weeksOfYear.has(week) || (week === 53 && time.weeksOfYear.has(0))
  );
}

function isoWeek(day: Date): number {
  const thursday = new Date(Date.UTC(day.getFullYear(), day.getMonth(), day.getDate()));
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  return Math.ceil(((thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / 86_400_000 + 1) / 7);
}

const LEVEL_RANK: Readonly<Record<JobLevel, number>> = {
  Incremental: 0,
  Differential: 1,
  VirtualFull: 2,
  Full: 3,
  Base: 4,
};

/** What `missedRuns` needs to know of a job. */
export interface MissableJob {
  readonly name: string;
  readonly enabled: boolean;
  readonly level: JobLevel;
  readonly schedule?: string | undefined;
  readonly rerunMissed: boolean;
}

/** A run to be made up for. */
export interface MissedRun extends DueRun {
  readonly job: string;
  /** How many runs of the job were missed within the time looked back; this one stands for all of them. */
  readonly missed: number;
}

const LOOK_BACK_MS = 24 * 3_600_000;

/**
 * What to make up for when the director starts after having been down since `lastAliveMs`. The rule: a job with
 * `RerunMissed: yes` is run at most once, whatever it missed; only what was due in the last 24 hours counts;
 * of that, the run with the highest level (Base, Full, VirtualFull, Differential, Incremental) is made up for,
 * the latest one among equals, with its own overrides. So a missed Full is never replaced by the Incremental after it.
 */
export function missedRuns(
  jobs: Iterable<MissableJob>,
  schedules: ReadonlyMap<string, Runs>,
  { lastAliveMs, nowMs }: { lastAliveMs: number; nowMs: number },
): MissedRun[] {
  const fromMs = Math.max(lastAliveMs, nowMs - LOOK_BACK_MS);
  const found: MissedRun[] = [];
  for (const job of jobs) {
    const schedule = job.schedule === undefined ? undefined : schedules.get(job.schedule);
    if (schedule === undefined || !job.rerunMissed || !job.enabled) continue;
    const due = runsBetween(schedule, fromMs, nowMs, 24 * 60);
    const rank = (run: DueRun): number => LEVEL_RANK[run.overrides.level ?? job.level];
    const [best] = due.toSorted((a, b) => rank(b) - rank(a) || b.atMs - a.atMs);
    if (best !== undefined) found.push({ ...best, job: job.name, missed: due.length });
  }
  return found;
}
