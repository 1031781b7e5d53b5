/**
 * The text of Bacula's `Run =` lines: overrides, then when.
 *
 *   Level=Full Pool=Monthly 1st sun at 23:05      Incremental mon-sat at 1:05am
 *   hourly at 0:05      last fri at 22:00      jan 5 at 3:00      on 1,15 at 2:00      w00-w26 mon at 4:00
 *
 * All conditions on the day must hold together; a kind of condition that is not given holds on every day.
 * `weekly` without a weekday means Sunday, `monthly` without a day means the 1st. A line without a time is
 * refused: Bacula would run it every hour, which is never meant.
 */

import { quoted, suggestion } from "../../common/config/diagnostics.js";
import { parseDuration, parseYesNo } from "../../common/units.js";
import type { JobLevel } from "../config/types.js";
import type { RunOverrides } from "../config/types-schedule.js";

/** When a line is due. A missing set means no condition. Months and weekdays count from 0 (January, Sunday). */
export interface BaculaTime {
  readonly months?: ReadonlySet<number> | undefined;
  readonly monthDays?: ReadonlySet<number> | undefined;
  readonly weekDays?: ReadonlySet<number> | undefined;
  /** 0: the first seven days of the month, …; -1: the last seven. */
  readonly weeksOfMonth?: ReadonlySet<number> | undefined;
  /** ISO weeks 1 to 53; 0 is taken as 53. */
  readonly weeksOfYear?: ReadonlySet<number> | undefined;
  readonly lastDayOfMonth: boolean;
  /** Minutes after midnight, ascending. */
  readonly minutes: readonly number[];
}

export interface BaculaRun {
  readonly overrides: RunOverrides;
  /** The line without its overrides. */
  readonly text: string;
  readonly time: BaculaTime;
}

const LEVELS: Readonly<Record<string, JobLevel>> = {
  full: "Full",
  incremental: "Incremental",
  differential: "Differential",
  base: "Base",
  virtualfull: "VirtualFull",
};

function level(value: string): JobLevel {
  const found = Object.hasOwn(LEVELS, value.toLowerCase()) ? LEVELS[value.toLowerCase()] : undefined;
  if (found !== undefined) return found;
  const names = Object.values(LEVELS);
  throw new Error(`Level ${quoted(value)} is not one of ${names.join(", ")}${suggestion(value, names)}`);
}

function priority(value: string): number {
  if (/^\d{1,4}$/.test(value) && Number(value) >= 1) return Number(value);
  throw new Error(`Priority ${quoted(value)} is not a whole number from 1`);
}

const OVERRIDES: Readonly<Record<string, (value: string) => RunOverrides>> = {
  level: (value) => ({ level: level(value) }),
  pool: (pool) => ({ pool }),
  fullpool: (fullPool) => ({ fullPool }),
  incrementalpool: (incrementalPool) => ({ incrementalPool }),
  differentialpool: (differentialPool) => ({ differentialPool }),
  virtualfullpool: (virtualFullPool) => ({ virtualFullPool }),
  nextpool: (nextPool) => ({ nextPool }),
  storage: (storage) => ({ storage }),
  messages: (messages) => ({ messages }),
  priority: (value) => ({ priority: priority(value) }),
  accurate: (value) => ({ accurate: parseYesNo(value) }),
  maxrunschedtime: (value) => ({ maxRunSchedTimeSec: parseDuration(value) }),
  spooldata: () => ({}),
  writepartafterjob: () => ({}),
};

const OVERRIDE_NAMES = [
  "Level",
  "Pool",
  "FullPool",
  "IncrementalPool",
  "DifferentialPool",
  "NextPool",
].concat(["VirtualFullPool", "Storage", "Messages", "Priority", "Accurate", "MaxRunSchedTime"]);

const OVERRIDE = /^\s*([a-z]+)\s*=\s*(?:"([^"]*)"|([^\s"]+))/i;

/** Parses one line. Throws Error with a message that names the word it did not understand. */
export function parseBaculaRun(line: string): BaculaRun {
  let rest = line;
  let overrides: RunOverrides = {};
  for (let match = OVERRIDE.exec(rest); match !== null; match = OVERRIDE.exec(rest)) {
    const name = match[1]!.toLowerCase();
    const apply = Object.hasOwn(OVERRIDES, name) ? OVERRIDES[name] : undefined;
    if (apply === undefined) {
      const hint = suggestion(match[1]!, OVERRIDE_NAMES) || `; known are ${OVERRIDE_NAMES.join(", ")}`;
      throw new Error(`${quoted(match[1])} cannot be set in a Run line${hint}`);
    }
    overrides = { ...overrides, ...apply(match[2] ?? match[3]!) };
    rest = rest.slice(match[0].length);
  }
  const first = /^\s*([a-z]+)(?=\s|$)/i.exec(rest);
  if (first !== null && Object.hasOwn(LEVELS, first[1]!.toLowerCase())) {
    overrides = { ...overrides, level: level(first[1]!) };
    rest = rest.slice(first[0].length);
  }
  const text = rest.trim().replace(/\s+/g, " ");
  return { overrides, text, time: parseBaculaTimeSpec(text) };
}

const MONTHS = "january february march april may june july august september october november december".split(
  " ",
);
const DAYS = "sunday monday tuesday wednesday thursday friday saturday".split(" ");
const ORDINALS: Readonly<Record<string, number>> = {
  "1st": 0,
  first: 0,
  "2nd": 1,
  second: 1,
  "3rd": 2,
  third: 2,
  "4th": 3,
  fourth: 3,
  "5th": 4,
  fifth: 4,
  last: -1,
};

type SetKind = "months" | "monthDays" | "weekDays" | "weeksOfMonth" | "weeksOfYear";
const KIND_SIZE: Readonly<Record<SetKind, readonly [first: number, last: number]>> = {
  months: [0, 11],
  monthDays: [1, 31],
  weekDays: [0, 6],
  weeksOfMonth: [0, 4],
  weeksOfYear: [0, 53],
};

/** Parses the part of a Run line that says when. Throws Error naming the word it did not understand. */
export function parseBaculaTimeSpec(text: string): BaculaTime {
  const state = new TimeParser();
  const tokens = text
    .toLowerCase()
    .replace(/\s*([,-])\s*/g, "$1")
    .replace(/(\d)\s+([ap]m)\b/g, "$1$2")
    .split(/\s+/)
    .filter(Boolean);
  for (const token of tokens) state.take(token);
  return state.finish(text);
}

class TimeParser {
  readonly #sets = new Map<SetKind, Set<number>>();
  readonly #words = new Set<string>();
  readonly #times: number[] = [];
  #expectTime = false;

  take(token: string): void {
    if (this.#expectTime) {
      for (const part of token.split(",")) this.#times.push(timeOfDay(part));
      this.#expectTime = false;
    } else if (token === "at") {
      this.#expectTime = true;
    } else if (["hourly", "daily", "weekly", "monthly", "lastday", "on"].includes(token)) {
      this.#words.add(token);
    } else {
      for (const part of token.split(",")) this.#takeRange(part);
    }
  }

  #takeRange(part: string): void {
    if (part.includes(":")) throw new Error(`write "at" in front of the time ${quoted(part)}`);
    const [from = "", to, ...more] = part.split("-");
    const start = unitOf(from);
    if (to === undefined) return void this.#set(start.kind).add(start.value);
    const end = unitOf(to);
    if (more.length > 0 || start.kind !== end.kind) throw new Error(`${quoted(part)} is not a range`);
    const [first, last] = KIND_SIZE[start.kind];
    if (start.value < 0 || (start.kind === "weeksOfMonth" && end.value < 0 && start.value > 4)) {
      throw new Error(`${quoted(part)}: a range cannot start with last`);
    }
    const stop = end.value < 0 ? last : end.value;
    for (let value = start.value; ; value = value === last ? first : value + 1) {
      this.#set(start.kind).add(value);
      if (value === stop) break;
    }
    if (end.value < 0) this.#set(start.kind).add(-1);
  }

  #set(kind: SetKind): Set<number> {
    const found = this.#sets.get(kind) ?? new Set<number>();
    this.#sets.set(kind, found);
    return found;
  }

  finish(text: string): BaculaTime {
    if (this.#expectTime) throw new Error(`${quoted(text)}: a time such as 23:05 must follow "at"`);
    const hourly = this.#words.has("hourly");
    if (this.#times.length === 0 && !hourly) {
      throw new Error(`${quoted(text)} says no time; add "at 23:05"`);
    }
    if (this.#words.has("weekly") && !this.#sets.has("weekDays")) this.#set("weekDays").add(0);
    const anyDay = ["monthDays", "weekDays", "weeksOfMonth", "weeksOfYear"].some((k) =>
      this.#sets.has(k as SetKind),
    );
    const lastDayOfMonth = this.#words.has("lastday");
    if (this.#words.has("monthly") && !anyDay && !lastDayOfMonth) this.#set("monthDays").add(1);
    const times = this.#times.length === 0 ? [0] : this.#times;
    const minutes = hourly
      ? times.flatMap((time) => Array.from({ length: 24 }, (_, h) => h * 60 + (time % 60)))
      : times;
    return {
      months: this.#sets.get("months"),
      monthDays: this.#sets.get("monthDays"),
      weekDays: this.#sets.get("weekDays"),
      weeksOfMonth: this.#sets.get("weeksOfMonth"),
      weeksOfYear: this.#sets.get("weeksOfYear"),
      lastDayOfMonth,
      minutes: [...new Set(minutes)].sort((a, b) => a - b),
    };
  }
}

function unitOf(word: string): { kind: SetKind; value: number } {
  if (Object.hasOwn(ORDINALS, word)) return { kind: "weeksOfMonth", value: ORDINALS[word]! };
  const week = /^w(\d{1,2})$/.exec(word);
  if (week !== null)
    return inRange("weeksOfYear", Number(week[1]), `week ${quoted(word)} is not from w00 to w53`);
  if (/^\d{1,2}$/.test(word)) {
    return inRange("monthDays", Number(word), `day ${quoted(word)} is not from 1 to 31`);
  }
  const month = named(MONTHS, word);
  if (month !== undefined) return { kind: "months", value: month };
  const day = named(DAYS, word);
  if (day !== undefined) return { kind: "weekDays", value: day };
  const known = [
    ...MONTHS,
    ...DAYS,
    ...DAYS.map((day) => day.slice(0, 3)),
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "lastday",
    "first",
    "last",
    "at",
    "on",
  ];
  throw new Error(`${quoted(word)} is not understood in a Run line${suggestion(word, known)}`);
}

/** Three letters or more of a name. */
function named(names: readonly string[], word: string): number | undefined {
  const index = word.length < 3 ? -1 : names.findIndex((name) => name.startsWith(word));
  return index < 0 ? undefined : index;
}

function inRange(kind: SetKind, value: number, message: string): { kind: SetKind; value: number } {
  const [first, last] = KIND_SIZE[kind];
  if (value < first || value > last) throw new Error(message);
  return { kind, value };
}

/** Minutes after midnight of `23:05`, `1:05am`, `12:30pm`. */
function timeOfDay(word: string): number {
  const match = /^(\d{1,2})(?::(\d{2}))?(am|pm)?$/.exec(word);
  const [hour, minute] = [Number(match?.[1]), Number(match?.[2] ?? 0)];
  const half = match?.[3];
  const wrongHalf = half !== undefined && (hour < 1 || hour > 12);
  const noMinutes = match?.[2] === undefined && half === undefined;
  if (match === null || wrongHalf || noMinutes || hour > 23 || minute > 59) {
    throw new Error(`${quoted(word)} is not a time (such as 23:05 or 1:05am)`);
  }
  const shift = half === "pm" ? 12 : 0;
  return (half === undefined ? hour : (hour % 12) + shift) * 60 + minute;
}
