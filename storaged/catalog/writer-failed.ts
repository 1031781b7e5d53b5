/** Jobs that failed, and the removal of what they left, on the writing thread. */

import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import type { Contexts } from "./writer-context.js";

/** Frames removed in one transaction when a failed job is cleaned. */
const CLEAN_STEP_FRAMES = 200;

export class FailedStore {
  readonly #db: Db;
  readonly #contexts: Contexts;

  constructor(db: Db, contexts: Contexts) {
    this.#db = db;
    this.#contexts = contexts;
  }

  /** The job has failed: nothing of it counts any more. What it left is removed by `clean`. */
  fail(job: LocalJob, status: "E" | "A" | "f", reason: string, endMs: number): void {
    this.#contexts.remove(job);
    this.#db
      .prepare("UPDATE job SET status = ?, reason = ?, end_ms = ? WHERE id = ? AND status = 'R'")
      .run(status, reason, endMs, job);
    // A job that was committed after all keeps what it has.
    if (this.#isDirty(job)) this.#contexts.hidden.add(job);
    else this.#contexts.hidden.delete(job);
  }

  #isDirty(job: LocalJob): boolean {
    return this.#db.prepare<[number], number>("SELECT dirty FROM job WHERE id = ?").pluck().get(job) === 1;
  }

  /** Removes a part of what a failed job left; true when all is gone. */
  clean(job: LocalJob): boolean {
    if (!this.#contexts.hidden.has(job)) return true;
    if (!this.#isDirty(job)) {
      this.#contexts.hidden.delete(job);
      return true;
    }
    return this.#db.transaction(() => {
      const frames = this.#db
        .prepare<[number], { id: number; raw_bytes: number; entries: Buffer }>(
          `SELECT id, raw_bytes, entries FROM frame WHERE job = ? LIMIT ${CLEAN_STEP_FRAMES}`,
        )
        .all(job);
      this.#removeFrames(job, frames);
      if (frames.length === CLEAN_STEP_FRAMES) return false;
      for (const table of ["list_block", "state_block", "pin", "job_need"]) {
        this.#db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(job);
      }
      this.#db
        .prepare("DELETE FROM content_part WHERE content IN (SELECT id FROM content WHERE job = ?)")
        .run(job);
      this.#db.prepare("DELETE FROM content WHERE job = ?").run(job);
      this.#db.prepare("UPDATE job SET dirty = 0 WHERE id = ?").run(job);
      this.#contexts.hidden.delete(job);
      return true;
    })();
  }

  #removeFrames(job: LocalJob, frames: readonly { id: number; raw_bytes: number; entries: Buffer }[]): void {
    const pool = this.#db.prepare<[number], number>("SELECT pool FROM job WHERE id = ?").pluck().get(job)!;
    const chunk = this.#db.prepare("DELETE FROM chunk WHERE digest = ? AND pool = ? AND job = ?");
    const frame = this.#db.prepare("DELETE FROM frame WHERE id = ?");
    for (const { id, raw_bytes, entries } of frames) {
      for (const { digest } of readEntries(new ByteReader(entries), raw_bytes)) chunk.run(digest, pool, job);
      frame.run(id);
    }
  }

  /** At start: jobs that a former process left running have failed. Returns all that need `clean`. */
  recover(nowMs: number): LocalJob[] {
    const reason = "the storage daemon ended while the job was running";
    durably(this.#db, () => {
      this.#db
        .prepare("UPDATE job SET status = 'E', reason = ?, end_ms = ? WHERE status = 'R'")
        .run(reason, nowMs);
    });
    return [...this.#contexts.hidden];
  }
}
