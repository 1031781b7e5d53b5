/**
 * Starts jobs when their schedules are due. One timer waits for the next moment at which anything is due. The last
 * moment looked at is kept in the database: what became due while the director was down is made up for by the
 * rule of `missedRuns` (schedule/next.ts), and after the clock was set back nothing runs twice.
 */

import { describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { baculaTime, nowMs } from "../../common/time.js";
import type { DirectorConfig, JobResource } from "../config/types.js";
import type { RunOverrides } from "../config/types-schedule.js";
import type { DirectorDb } from "../db/database.js";
import type { RunRequest } from "../job/request.js";
import type { MessageCenter } from "../messages/center.js";
import { type DueRun, missedRuns, nextRunAfter, type Runs, runsBetween } from "../schedule/next.js";
import { at } from "../timers.js";

/** A run that a schedule will start, for status displays. */
export interface UpcomingRun {
  whenMs: number;
  job: string;
  level: string;
  type: string;
  priority: number;
  pool: string;
  storage: string;
  schedule: string;
}

export interface SchedulerOptions {
  db: DirectorDb;
  config: () => DirectorConfig;
  /** False for what a console switched off. */
  isEnabled: (kind: "job" | "client" | "schedule", name: string) => boolean;
  /** Queues runs, and writes the note in the same transaction. @throws when the database takes nothing */
  run: (requests: readonly RunRequest[], noted: () => void) => void;
  messages: MessageCenter;
  log: Log;
}

const COUNTER = "scheduled_to_ms";
/** How often the moment is noted while nothing is due: the most that a crash can make look missed. */
const ALIVE_MS = 60_000;
/** More than this behind and the machine slept or the clock was set: the rule for missed runs applies. */
const LATE_MS = 15 * 60_000;
const MAX_UPCOMING = 500;

export class Scheduler {
  readonly #options: SchedulerOptions;
  #handledMs = 0;
  #stop: () => void = () => undefined;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Makes up for what was missed and begins to wait. */
  start(): void {
    const now = nowMs();
    const lastAliveMs = this.#options.db.counter(COUNTER);
    this.#note(now, lastAliveMs > 0 && lastAliveMs < now ? this.#missed(lastAliveMs, now) : []);
    this.#arm();
  }

  /** To be called when the configuration or what is enabled has changed. */
  replan(): void {
    if (!this.#closed) this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#note(Math.max(this.#handledMs, nowMs()));
  }

  /** Runs within so many days, in order of time, then of the configuration file. */
  upcoming(days: number): UpcomingRun[] {
    const now = nowMs();
    const found: UpcomingRun[] = [];
    const within = dueWithin(now, now + days * 86_400_000, MAX_UPCOMING);
    for (const { job, schedule } of this.#scheduled()) {
      for (const due of within(schedule)) found.push(this.#describe(job, due.atMs, due.overrides));
    }
    return found.sort((a, b) => a.whenMs - b.whenMs).slice(0, MAX_UPCOMING);
  }

  #describe(job: JobResource, whenMs: number, overrides: RunOverrides): UpcomingRun {
    return {
      whenMs,
      job: job.name,
      level: overrides.level ?? job.level,
      type: job.type,
      priority: overrides.priority ?? job.priority,
      pool: overrides.pool ?? job.pool,
      storage: overrides.storage ?? job.storage ?? "",
      schedule: job.schedule ?? "",
    };
  }

  *#scheduled() {
    const { config, isEnabled } = this.#options;
    for (const job of config().jobs.values()) {
      const schedule = job.schedule === undefined ? undefined : config().schedules.get(job.schedule);
      if (schedule === undefined || !isEnabled("job", job.name) || !isEnabled("schedule", schedule.name))
        continue;
      if (job.client !== "" && !isEnabled("client", job.client)) continue;
      yield { job, schedule };
    }
  }

  #missed(lastAliveMs: number, now: number): RunRequest[] {
    const { config, messages } = this.#options;
    const found: RunRequest[] = [];
    const jobs = [...this.#scheduled()].map(({ job }) => job);
    for (const missed of missedRuns(jobs, config().schedules, { lastAliveMs, nowMs: now })) {
      const count = missed.missed === 1 ? "a run" : `${missed.missed} runs`;
      const text = `Job ${missed.job} missed ${count} while the director was down; running what was due at ${baculaTime(missed.atMs)} now.`;
      messages.daemon("info", text);
      found.push({ job: missed.job, whenMs: now, overrides: missed.overrides });
    }
    return found;
  }

  #arm(): void {
    this.#stop();
    let next = nowMs() + ALIVE_MS;
    // Thousands of jobs share a few schedules.
    for (const schedule of new Set([...this.#scheduled()].map((each) => each.schedule))) {
      const due = nextRunAfter(schedule, this.#handledMs);
      if (due !== undefined && due.atMs < next) next = due.atMs;
    }
    this.#stop = at(next, () => this.#wake());
  }

  #wake(): void {
    const now = nowMs();
    if (now > this.#handledMs) {
      let found: RunRequest[] = [];
      try {
        const late = now - this.#handledMs > LATE_MS + ALIVE_MS;
        found = late ? this.#missed(this.#handledMs, now) : this.#due(this.#handledMs, now);
      } catch (error) {
        this.#options.log.error(`schedules: ${describeError(error)}`, { err: error });
      }
      this.#note(now, found);
    } else if (this.#handledMs - now > LATE_MS) {
      // The clock was set back far: waiting until it is where it was would skip real nights.
      this.#note(now);
    }
    if (!this.#closed) this.#arm();
  }

  #due(fromMs: number, toMs: number): RunRequest[] {
    const within = dueWithin(fromMs, toMs);
    return [...this.#scheduled()].flatMap(({ job, schedule }) =>
      within(schedule).map(({ atMs, overrides }) => ({ job: job.name, whenMs: atMs, overrides })),
    );
  }

  /** Everything up to this moment is done with the runs given here. Never throws: a full disk must not end the director. */
  #note(moment: number, runs: readonly RunRequest[] = []): void {
    const { db, run, messages, log } = this.#options;
    this.#handledMs = moment;
    try {
      run(runs, () => db.setCounter(COUNTER, moment));
    } catch (error) {
      const why = describeError(error);
      log.error(`the schedules' moment could not be noted: ${why}`);
      for (const { job } of runs) messages.daemon("error", `Scheduled job ${job} was not run: ${why}`);
    }
  }
}

/** What is due of a schedule in a span of time; each schedule is worked out once, however many jobs have it. */
function dueWithin(fromMs: number, toMs: number, limit?: number): (schedule: Runs) => readonly DueRun[] {
  const known = new Map<Runs, readonly DueRun[]>();
  return (schedule) => {
    const due = known.get(schedule) ?? runsBetween(schedule, fromMs, toMs, limit);
    known.set(schedule, due);
    return due;
  };
}
