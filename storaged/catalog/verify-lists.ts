/**
 * Lists of Verify jobs of level InitCatalog: what a machine looked like, without content. They lie in the catalog as
 * jobs of type and status V, which no question about backups ever meets, and only the newest of each client and
 * FileSet is kept.
 */

import { BackupError } from "../../common/errors.js";
import { EntryType } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { GarbledInput } from "../../common/format/varint.js";
import { LayerQueries } from "./layers.js";
import { removeBlocks } from "./list-number.js";
import { type Db, durably } from "./schema.js";
import type { JobNames, LocalJob } from "./types.js";
import { asBuffer } from "./worker-rpc.js";
import { StreamOrder, violation } from "./writer-context.js";

export interface NewInitList extends JobNames {
  startMs: number;
}

/** A list to compare a machine or volumes with. */
export interface VerifiedList {
  id: LocalJob;
  jobId: number;
  job: string;
  uuid: string;
  revision: number;
  client: string;
  /** Top first. */
  layers: LocalJob[];
  /** Director's JobIds of a restore of it, oldest first. */
  jobIds: number[];
  /** Whose state stream belongs to it; 0: none is kept. */
  stateOf: LocalJob;
}

/** A frame of a job, in the order of writing. */
export interface OwnFrame {
  id: number;
  volume: number;
  offset: number;
  bytes: number;
  rawBytes: number;
  entries: Uint8Array;
}

interface Raw {
  id: number;
  job_id: number;
  job: string;
  uuid: string;
  revision: number;
  client: string;
  has_state: number;
}

/** On a reading thread. */
export class VerifyQueries {
  readonly #db: Db;
  readonly #layers: LayerQueries;

  constructor(db: Db) {
    this.#db = db;
    this.#layers = new LayerQueries(db);
  }

  /** The effective list of a finished backup. @throws BackupError NOT_FOUND */
  verified(jobId: number): VerifiedList {
    const id = this.#layers.local(jobId);
    const chain = [...this.#layers.chainOf(id), id];
    const jobIds = chain.map((job) => this.#layers.jobIdOf(job));
    return { ...this.#facts(id), layers: this.#layers.effective(id).jobs, jobIds };
  }

  /** The newest InitCatalog of a client and FileSet. @throws BackupError NOT_FOUND */
  newestInit(client: string, fileSet: string): VerifiedList {
    const id = this.#db
      .prepare<[string, string], number>(
        "SELECT id FROM job WHERE type = 'V' AND status = 'V' AND client = ? AND file_set = ? ORDER BY id DESC LIMIT 1",
      )
      .pluck()
      .get(client, fileSet);
    if (id === undefined) {
      const text = `no InitCatalog of client "${client}" and FileSet "${fileSet}" is in the catalog; run a Verify job of that level first`;
      throw new BackupError("NOT_FOUND", text);
    }
    return { ...this.#facts(id), layers: [id], jobIds: [] };
  }

  #facts(id: LocalJob): Omit<VerifiedList, "layers" | "jobIds"> {
    const {
      job_id: jobId,
      has_state: hasState,
      ...rest
    } = this.#db
      .prepare<[number], Raw>(
        "SELECT id, job_id, job, uuid, revision, client, has_state FROM job WHERE id = ?",
      )
      .get(id)!;
    return { ...rest, jobId, stateOf: hasState === 1 ? id : 0 };
  }

  /** Frames of a job behind number `after`. */
  framesOf(job: LocalJob, after: number, limit: number): OwnFrame[] {
    return this.#db
      .prepare<[number, number, number], OwnFrame>(
        `SELECT id, volume, offset, bytes, raw_bytes AS rawBytes, entries FROM frame
         WHERE job = ? AND id > ? ORDER BY id LIMIT ?`,
      )
      .all(job, after, limit);
  }

  /** Volumes with an end record of the job. */
  recordVolumes(job: LocalJob): number[] {
    return this.#db
      .prepare<[number], number>("SELECT volume FROM job_record WHERE job = ? ORDER BY volume DESC")
      .pluck()
      .all(job);
  }

  /** The director's number of a job, deleted ones with content included; undefined: not known. */
  numberOf(uuid: string): number | undefined {
    return this.#db.prepare<[string], number>("SELECT job_id FROM job WHERE uuid = ?").pluck().get(uuid);
  }
}

/** On the writing thread. */
export class InitLists {
  readonly #db: Db;
  readonly #running = new Map<
    LocalJob,
    { rows: StreamOrder; states: StreamOrder; files: number; bytes: number }
  >();

  constructor(db: Db) {
    this.#db = db;
  }

  /** Records a running InitCatalog. @throws BackupError POOL_UNKNOWN, JOB_EXISTS */
  beginInit(job: NewInitList): LocalJob {
    const pool = this.#db.prepare<[], number>("SELECT min(id) FROM pool").pluck().get();
    if (typeof pool !== "number") throw new BackupError("POOL_UNKNOWN", "this storage knows no Pool yet");
    if (this.#db.prepare("SELECT 1 FROM job WHERE uuid = ?").get(job.uuid) !== undefined)
      throw new BackupError("JOB_EXISTS", `JobId ${job.jobId} was given to this storage before`);
    const id = durably(this.#db, () =>
      Number(
        this.#db
          .prepare(`INSERT INTO job(uuid, job_id, job_name, job, client, file_set, file_set_digest, level, status,
            dirty, has_state, self_contained, pool, scheduled_ms, start_ms, end_ms, files, bytes, rows, base_files,
            new_content, totals, reason, comment, type) VALUES (@uuid, @jobId, @jobName, @job, @client, @fileSet,
            @fileSetDigest, 'InitCatalog', 'R', 1, 0, 0, @pool, @startMs, @startMs, 0, 0, 0, 0, 0, 0, '{}', '', '', 'V')`)
          .run({ ...job, pool }).lastInsertRowid,
      ),
    );
    this.#running.set(id, {
      rows: new StreamOrder("rows"),
      states: new StreamOrder("state"),
      files: 0,
      bytes: 0,
    });
    return id;
  }

  /** @throws BackupError PROTOCOL_VIOLATION */
  addInit(job: LocalJob, table: "rows" | "states", block: Uint8Array): void {
    const running = this.#running.get(job);
    if (running === undefined) throw new BackupError("JOB_NOT_RUNNING", "the job does not run any more");
    const data = asBuffer(block);
    const order = running[table];
    try {
      const rows = decodeBlock(data);
      for (const row of rows) {
        if (table === "rows" && row.type === EntryType.deleted) throw violation("a deletion in a whole list");
        order.check(row.key, table === "states" || row.type === EntryType.directory);
        running.bytes += table === "rows" ? row.size : 0;
      }
      if (table === "rows") running.files += rows.length;
      const [first, last] = [rows[0], rows.at(-1)];
      if (first === undefined || last === undefined) return;
      const key = (text: string) => Buffer.from(text, "latin1");
      this.#db
        .prepare(
          `INSERT INTO ${table === "rows" ? "list_block" : "state_block"}(job, seq, first_key, last_key, rows, data)
           VALUES (?, ?, ?, ?, ?, ?)`,
        )
        .run(job, order.blocks++, key(first.key), key(last.key), rows.length, data);
    } catch (error) {
      if (error instanceof GarbledInput) throw violation(`garbled ${table}: ${error.message}`);
      throw error;
    }
  }

  /** From now on this is the list that level Catalog compares with. Older ones are returned: `dropInit` them. */
  commitInit(job: LocalJob, endMs: number): LocalJob[] {
    const running = this.#running.get(job);
    if (running === undefined) throw new BackupError("JOB_NOT_RUNNING", "the job does not run any more");
    const { files, bytes, states } = running;
    return durably(this.#db, () => {
      this.#db
        .prepare(
          `UPDATE job SET status = 'V', dirty = 0, has_state = @state, end_ms = @endMs, files = @files, rows = @files,
           bytes = @bytes WHERE id = @job`,
        )
        .run({ job, endMs, files, bytes, state: states.blocks > 0 ? 1 : 0 });
      this.#running.delete(job);
      return this.#db
        .prepare<[number], number>(
          `SELECT o.id FROM job o JOIN job n ON n.id = ? AND o.client = n.client AND o.file_set = n.file_set
           WHERE o.id < n.id AND o.type = 'V' AND o.status <> 'R'`,
        )
        .pluck()
        .all(job);
    });
  }

  /** Removes a part of a list that failed or is not wanted any more; true when it is gone. */
  dropInit(job: LocalJob): boolean {
    this.#running.delete(job);
    return this.#db.transaction(() => {
      this.#db.prepare("UPDATE job SET status = 'E', dirty = 1 WHERE id = ? AND type = 'V'").run(job);
      for (const table of ["list_block", "state_block"] as const)
        if (!removeBlocks(this.#db, table, job)) return false;
      this.#db.prepare("DELETE FROM job WHERE id = ? AND type = 'V'").run(job);
      return true;
    })();
  }
}
