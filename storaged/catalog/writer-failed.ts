/** Jobs that failed, and the removal of what they left, on the writing thread. */

import { type Budget, FrameRemoval, type StoredFrame } from "./frame-removal.js";
import { dropCheckpoint } from "./interrupted.js";
import { removeBlocks } from "./list-number.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import type { Contexts } from "./writer-context.js";

export class FailedStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #removal: FrameRemoval;

  constructor(db: Db, contexts: Contexts) {
    this.#removal = new FrameRemoval(db);
    this.#db = db;
    this.#contexts = contexts;
  }

  /** The job has failed: nothing of it counts any more. What it left is removed by `clean`. */
  fail(job: LocalJob, status: "E" | "A" | "f", reason: string, endMs: number): void {
    this.#contexts.remove(job);
    const failed = () => {
      this.#db
        .prepare("UPDATE job SET status = ?, reason = ?, end_ms = ? WHERE id = ? AND status = 'R'")
        .run(status, reason, endMs, job);
      return dropCheckpoint(this.#db, job);
    };
    // No start may keep what was cancelled, or what somebody said something against.
    if (this.#hasCheckpoint(job)) durably(this.#db, failed);
    else failed();
    // A job that was committed after all keeps what it has.
    if (this.#isDirty(job)) this.#contexts.hidden.add(job);
    else this.#contexts.hidden.delete(job);
  }

  #hasCheckpoint(job: LocalJob): boolean {
    return this.#db.prepare("SELECT 1 FROM job_checkpoint WHERE job = ?").get(job) !== undefined;
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
    const done = this.#removal.step((budget) => {
      if (!this.#removeFrames(job, budget) || !this.#removal.removeContents(job, budget)) return false;
      for (const table of ["list_block", "state_block"] as const)
        if (!removeBlocks(this.#db, table, job)) return false;
      for (const table of ["pin", "job_need"])
        this.#db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(job);
      this.#db.prepare("UPDATE job SET dirty = 0 WHERE id = ?").run(job);
      return true;
    });
    if (done) this.#contexts.hidden.delete(job);
    return done;
  }

  #removeFrames(job: LocalJob, budget: Budget): boolean {
    const next = this.#db.prepare<[number], StoredFrame>(
      "SELECT id, job, raw_bytes, entries FROM frame WHERE job = ? LIMIT 1",
    );
    while (budget.left > 0) {
      const frame = next.get(job);
      if (frame === undefined) return true;
      if (!this.#removal.removeChunks(frame, budget)) return false;
      this.#removal.removeFrame(frame, budget);
    }
    return false;
  }

  /**
   * At start: jobs that a former process left running have failed, except those that can be kept as far as their
   * checkpoint (`InterruptedStore`). One whose end record may lie on a volume is not: there would be two of them.
   * Returns all that need `clean`.
   */
  recover(nowMs: number): LocalJob[] {
    const reason = "the storage daemon ended while the job was running";
    durably(this.#db, () => {
      this.#db
        .prepare(`UPDATE job SET status = 'E', reason = ?, end_ms = ?
          WHERE status = 'R' AND (ending = 1 OR id NOT IN (SELECT job FROM job_checkpoint))`)
        .run(reason, nowMs);
      this.#db.exec("DELETE FROM job_checkpoint WHERE job NOT IN (SELECT id FROM job WHERE status = 'R')");
    });
    const running = this.#db.prepare<[], number>("SELECT id FROM job WHERE status = 'R'").pluck().all();
    return [...this.#contexts.hidden].filter((job) => !running.includes(job));
  }
}
