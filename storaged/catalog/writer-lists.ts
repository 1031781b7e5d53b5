/**
 * File lists that leave the catalog while their jobs stay (File Retention), and come back from their volumes; on the
 * writing thread. From the mark on until the last block is back, no block of such a list counts: a crash in between
 * leaves the list dropped, never half of it.
 */

import { BackupError } from "../../common/errors.js";
import { listNumber, removeBlocks } from "./list-number.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import { asBuffer } from "./worker-rpc.js";
import type { Contexts } from "./writer-context.js";

/** A block of a list, as it is stored. */
export interface LoadedBlock {
  firstKey: Uint8Array;
  lastKey: Uint8Array;
  rows: number;
  data: Uint8Array;
}

/** Values of job.list_state. */
const WHOLE = 0;
const PARTIAL = 1;
const ABSENT = 2;

export class ListStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  /** Rows that came back of lists that are being loaded. */
  readonly #loaded = new Map<LocalJob, number>();

  constructor(db: Db, contexts: Contexts) {
    this.#db = db;
    this.#contexts = contexts;
  }

  /**
   * Removes a part of a finished job's list; true when nothing is left of it. The caller has seen that its manifest
   * can be read. Lists that are below others which are here, or below a running job's, stay.
   * @throws BackupError LIST_NEEDED, NOT_FOUND
   */
  dropList(job: LocalJob): boolean {
    const state = this.#state(job);
    if (state === ABSENT) return true;
    if (state === WHOLE) {
      durably(this.#db, () => {
        this.#checkUnneeded(job);
        this.#set(job, PARTIAL);
      });
    }
    return this.clearList(job);
  }

  #checkUnneeded(job: LocalJob): void {
    const running = [...this.#contexts.running.values()].find(
      ({ id, layers }) => layers.has(job) || Math.abs(id) === job,
    );
    const above = this.#db
      .prepare<{ job: number }, number>(
        `SELECT id FROM job WHERE id IN (SELECT job FROM job_parent WHERE parent = @job
           UNION SELECT job FROM job_base WHERE base_job = @job)
         AND (status = 'R' OR (status IN ('T', 'W') AND list_state = ${WHOLE})) LIMIT 1`,
      )
      .pluck()
      .get({ job });
    const by = running === undefined ? above : Math.abs(running.id);
    if (by === undefined) return;
    const jobId = this.#db.prepare<[number], number>("SELECT job_id FROM job WHERE id = ?").pluck().get(by);
    const how = running === undefined ? "lies over its list" : "which is running, works with its list";
    throw new BackupError("LIST_NEEDED", `JobId ${jobId ?? 0}${running === undefined ? "" : ","} ${how}`);
  }

  /** Removes a part of what is left of a dropped list; true when that was the last. */
  clearList(job: LocalJob): boolean {
    return this.#db.transaction(() => {
      if (this.#state(job) !== PARTIAL) return true;
      if (!removeBlocks(this.#db, "list_block", listNumber(this.#db, job)!)) return false;
      this.#set(job, ABSENT);
      this.#loaded.delete(job);
      return true;
    })();
  }

  /** Lists that a former process left half dropped, or half loaded. */
  partialLists(): LocalJob[] {
    return this.#db
      .prepare<[], number>(
        `SELECT id FROM job WHERE list_state = ${PARTIAL} AND status IN ('T', 'W') ORDER BY id`,
      )
      .pluck()
      .all();
  }

  /** The dropped list of a job is about to come back; nothing is left of it by now. @throws BackupError NOT_FOUND */
  beginLoad(job: LocalJob): void {
    this.#db.transaction(() => {
      if (this.#state(job) !== ABSENT)
        throw new BackupError("LIST_IN_USE", "the list is being loaded already");
      this.#set(job, PARTIAL);
    })();
    this.#loaded.set(job, 0);
  }

  /** Stores blocks of a list that is coming back, in path order; `seq` counts them. @throws BackupError NOT_FOUND */
  addLoaded(job: LocalJob, seq: number, blocks: readonly LoadedBlock[]): void {
    const insert = this.#db.prepare(
      `INSERT INTO list_block(job, seq, first_key, last_key, rows, data)
       VALUES (@number, @seq, @firstKey, @lastKey, @rows, @data)`,
    );
    const before = this.#loaded.get(job);
    this.#db.transaction(() => {
      if (this.#state(job) !== PARTIAL || before === undefined)
        throw new BackupError("NOT_FOUND", "the list is not being loaded any more");
      const number = listNumber(this.#db, job);
      for (const [i, { firstKey, lastKey, rows, data }] of blocks.entries()) {
        const keys = { firstKey: asBuffer(firstKey), lastKey: asBuffer(lastKey) };
        insert.run({ number, seq: seq + i, ...keys, rows, data: asBuffer(data) });
      }
    })();
    this.#loaded.set(
      job,
      blocks.reduce((sum, { rows }) => sum + rows, before ?? 0),
    );
  }

  /** All blocks are back: the list counts again. @throws BackupError LIST_UNREADABLE when they are not all */
  finishLoad(job: LocalJob): void {
    durably(this.#db, () => {
      const found = this.#loaded.get(job) ?? 0;
      const { wanted, state } = this.#db
        .prepare<[number], { wanted: number; state: number }>(
          "SELECT rows AS wanted, list_state AS state FROM job WHERE id = ?",
        )
        .get(job) ?? { wanted: 0, state: WHOLE };
      if (state !== PARTIAL || wanted !== found)
        throw new BackupError("LIST_UNREADABLE", `${found} rows came back of ${wanted}`);
      this.#set(job, WHOLE);
    });
    this.#loaded.delete(job);
  }

  #state(job: LocalJob): number {
    const state = this.#db
      .prepare<[number], number>("SELECT list_state FROM job WHERE id = ? AND status IN ('T', 'W')")
      .pluck()
      .get(job);
    if (state === undefined) throw new BackupError("NOT_FOUND", "the job was deleted meanwhile");
    return state;
  }

  #set(job: LocalJob, state: number): void {
    this.#db.prepare("UPDATE job SET list_state = ? WHERE id = ?").run(state, job);
  }
}
