/** Gives a settled run its number, its names and its record. */

import { randomUUID } from "node:crypto";
import { baculaTime, nowMs } from "../../common/time.js";
import type { DirectorDb } from "../db/database.js";
import type { JobRecord, LevelLetter } from "../db/records.js";
import { LiveJob } from "./live-job.js";
import type { JobPlan } from "./request.js";

export const TYPE_LETTERS = {
  Backup: "B",
  Restore: "R",
  Admin: "D",
  Verify: "V",
  Copy: "c",
  Migrate: "g",
} as const;
export const LEVEL_LETTERS = {
  Full: "F",
  Incremental: "I",
  Differential: "D",
  Base: "B",
  VirtualFull: "f",
} as const;

/** The letter of a level in a storage daemon's catalog. */
export function levelLetter(level: string): LevelLetter {
  return LEVEL_LETTERS[level as keyof typeof LEVEL_LETTERS] ?? " ";
}

export class JobRegister {
  readonly #db: DirectorDb;
  #serial = 0;

  constructor(db: DirectorDb) {
    this.#db = db;
  }

  /** Records the run as waiting; it is on disk when this returns. */
  create(plan: JobPlan): LiveJob {
    const { job, client, fileSet, pool, storage } = plan;
    const queuedMs = nowMs();
    const record = this.#db.jobs.create(
      {
        uuid: randomUUID(),
        name: job.name,
        type: TYPE_LETTERS[job.type],
        level: job.type === "Backup" ? LEVEL_LETTERS[plan.level] : " ",
        client: client?.name ?? "",
        fileSet: fileSet?.name ?? "",
        pool: pool?.name ?? "",
        storage: storage?.name ?? "",
        priority: plan.priority,
        schedMs: plan.whenMs,
        comment: plan.comment,
        request: JSON.stringify({ ...plan.request, whenMs: plan.whenMs }),
      },
      (attempt) => this.#jobName(job.name, queuedMs, attempt),
    );
    return new LiveJob({ jobId: record.jobId, uuid: record.uuid, job: record.job, plan, queuedMs });
  }

  /** Queues an ended run again under its JobId and its name; to its daemons it is another one. */
  again({ jobId, job }: Pick<JobRecord, "jobId" | "job">, plan: JobPlan): LiveJob {
    const uuid = randomUUID();
    this.#db.jobs.update(jobId, {
      ...{ uuid, status: "C", schedMs: plan.whenMs, endMs: 0, report: "", reason: "" },
      request: JSON.stringify({ ...plan.request, whenMs: plan.whenMs }),
    });
    return new LiveJob({ jobId, uuid, job, plan, queuedMs: nowMs() });
  }

  /** Records that the end of the director cut a run off: what it had stored may have been kept. */
  cutOff({ jobId, stopped }: LiveJob, reason: string): void {
    // What has ended keeps its outcome: only what follows a backup, such as its prune, is cut off.
    if (this.#db.jobs.get(jobId)?.status !== "R") return;
    this.#db.jobs.update(jobId, { status: stopped ? "I" : "A", endMs: nowMs(), reason, request: "" });
  }

  /** `NAME.2026-11-21_03.22.19_04`; a further attempt gives another name. */
  #jobName(name: string, timeMs: number, attempt: number): string {
    if (attempt === 0) this.#serial = (this.#serial + 1) % 100;
    const serial = String((this.#serial + attempt) % 100).padStart(2, "0");
    const time = baculaTime(timeMs + Math.floor(attempt / 100) * 1000);
    return `${name}.${time.replace(" ", "_").replaceAll(":", ".")}_${serial}`;
  }
}
