/**
 * What docs/example-fleet.md promises, worked out anew from its words and a calendar, with nothing of the director's: which
 * runs a day has, at which level and on which Bases, and which runs are kept after it.
 */

/** A day of the local calendar, as its noon. */
export type Day = Date;

export interface Due {
  name: string;
  level: "Full" | "Incremental" | "Base" | "Admin";
  /** When it is to begin, ms. */
  atMs: number;
}

const SUNDAY = 0;
const SATURDAY = 6;
const MACHINES = ["db-1", "legacy-1", "web-1"];
const REFERENCES = ["debian12", "debian12-db"];
const DAYS_KEPT = 7;
const CATALOGS_KEPT = 7;

/** A moment of a day by its wall clock; one that the change to summer time leaves out is the end of the gap. */
export function momentOf(day: Day, hour: number, minute: number): number {
  const moment = new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour, minute);
  if (moment.getHours() === hour) return moment.getTime();
  // Only 2:30 can be left out here, and the gap ends at 3:00.
  return new Date(day.getFullYear(), day.getMonth(), day.getDate(), 3, 0).getTime();
}

/** The table "What runs when". */
export function dueOn(day: Day): Due[] {
  const due: Due[] = [];
  const nightly = day.getDay() === SUNDAY ? "Full" : "Incremental";
  for (const name of MACHINES) due.push({ name, level: nightly, atMs: momentOf(day, 0, 15) });
  due.push({ name: "Tidy", level: "Admin", atMs: momentOf(day, 2, 30) });
  due.push({ name: "BackupCatalog", level: "Full", atMs: momentOf(day, 2, 30) });
  if (day.getDay() === SATURDAY) {
    due.push({ name: "Vacuum", level: "Admin", atMs: momentOf(day, 9, 0) });
    if (day.getDate() <= 7)
      for (const name of REFERENCES) due.push({ name, level: "Base", atMs: momentOf(day, 12, 0) });
  }
  return due;
}

/** A run that happened, as the rules see it. */
export interface Known {
  jobId: number;
  name: string;
  level: "Full" | "Incremental" | "Base";
  /** Number of the walk's day. */
  day: number;
  ok: boolean;
  /** The good run right below an Incremental. */
  parent?: Known | undefined;
  /** Of a Full. */
  bases: readonly Known[];
}

const BASES: Readonly<Record<string, readonly string[]>> = {
  "web-1": ["debian12"],
  "db-1": ["debian12-db", "debian12"],
};

/** The runs of a walk so far. */
export class History {
  readonly runs: Known[] = [];

  newest(name: string): Known | undefined {
    return this.runs.findLast((run) => run.name === name && run.ok);
  }

  /** Level, parent and Bases of a run that is due now: the first is a Full, one that failed is made up for. */
  expected(due: { name: string; level: Known["level"] }): Pick<Known, "level" | "parent" | "bases"> {
    if (due.level === "Base" || due.name === "BackupCatalog") return { level: due.level, bases: [] };
    const own = this.runs.filter((run) => run.name === due.name);
    const parent = this.newest(due.name);
    const failed = own.slice(parent === undefined ? 0 : own.indexOf(parent) + 1);
    const full = due.level === "Full" || parent === undefined || failed.some((run) => run.level === "Full");
    if (!full) return { level: "Incremental", parent, bases: [] };
    const bases = (BASES[due.name] ?? []).map((name) => this.newest(name));
    return { level: "Full", bases: bases.filter((run) => run !== undefined) };
  }

  /** The table "What is kept": runs that stay when Tidy has run. */
  kept(): Known[] {
    const wanted = new Set<Known>();
    for (const name of MACHINES) {
      const days = new Map<number, Known>();
      for (const run of this.#good(name)) days.set(run.day, run);
      for (const run of [...days.values()].slice(-DAYS_KEPT)) wanted.add(run);
    }
    for (const name of REFERENCES) for (const run of this.#good(name).slice(-1)) wanted.add(run);
    for (const run of this.#good("BackupCatalog").slice(-CATALOGS_KEPT)) wanted.add(run);
    for (const run of wanted) for (const below of [run.parent, ...run.bases]) if (below) wanted.add(below);
    return this.runs.filter((run) => wanted.has(run));
  }

  #good(name: string): Known[] {
    return this.runs.filter((run) => run.name === name && run.ok);
  }

  /** Pruned runs are gone for good. */
  forget(kept: readonly Known[]): void {
    const stay = new Set(kept);
    this.runs.splice(0, this.runs.length, ...this.runs.filter((run) => !run.ok || stay.has(run)));
  }
}
