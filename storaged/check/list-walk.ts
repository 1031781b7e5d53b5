/**
 * Goes through the lists of kept jobs in the check's own thread: every block must be readable, and everything that a
 * row names must be on a volume that the job is known to need. A step is a bounded piece of work.
 */

import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { GarbledInput } from "../../common/format/varint.js";
import { type BlockTable, listNumberSql } from "../catalog/list-number.js";
import type { Db } from "../catalog/schema.js";

export interface WalkJob {
  id: number;
  jobId: number;
  job: string;
}

export interface WalkStep {
  /** The job that the step was about; undefined: all is done. */
  job: WalkJob | undefined;
  /** Blocks that cannot be read. */
  garbled: string[];
  /** Paths (latin1) whose content is lost; `nowhere` when no volume ever had it as far as the catalog knows. */
  lost: { path: string; nowhere: boolean; chunks: { digest: Uint8Array; length: number }[] }[];
  /** Volumes that the job needs and is not known to need. */
  needs: { job: number; volume: number; chunks: number; bytes: number }[];
  /** The job's last step. */
  last: boolean;
}

interface Block {
  seq: number;
  first_key: Buffer;
  last_key: Buffer;
  rows: number;
  data: Buffer;
  /** How often the list was put in force anew. */
  turn: number;
}

type Copy = [job: number, frame: number, length: number, damaged: number];

const CACHE = 20_000;
/** Chunks noted for one file at most; the next check finds more. */
const MAX_CHUNKS = 10_000;

export class ListWalk {
  readonly #db: Db;
  readonly #jobs: WalkJob[];
  readonly #blocks;
  readonly #turn;
  readonly #copies;
  readonly #dirty;
  readonly #frame;
  readonly #isBad;
  readonly #content;
  readonly #segments;
  readonly #frames = new Map<number, number>();
  readonly #finished = new Map<number, boolean>();
  #at = -1;
  /** The block that was looked at last. */
  #after: { first_key: Buffer; turn: number } | undefined;
  #lastKey: string | undefined;
  #inStates = false;
  #known = new Set<number>();
  #found = new Map<number, { chunks: number; bytes: number }>();

  /** `volume`: only jobs that need it; 0: all. */
  constructor(db: Db, volume: number) {
    this.#db = db;
    this.#jobs = db
      .prepare<{ volume: number }, WalkJob>(
        `SELECT id, job_id AS jobId, job FROM job WHERE status IN ('T', 'W') AND type IN ('B', 'C') AND list_state = 0
         AND (@volume = 0 OR id IN (SELECT job FROM job_need WHERE volume = @volume)) ORDER BY id`,
      )
      .all({ volume });
    const query = (table: BlockTable, where: string) =>
      db.prepare<{ job: number; after?: Buffer }, Block>(
        `SELECT seq, first_key, last_key, rows, data, (SELECT list_turn FROM job WHERE id = @job) AS turn FROM ${table}
         WHERE job = ${table === "list_block" ? listNumberSql("@job") : "@job"} ${where} ORDER BY first_key LIMIT 1`,
      );
    const queries = (table: BlockTable) => ({
      first: query(table, ""),
      next: query(table, "AND first_key > @after"),
    });
    this.#blocks = { rows: queries("list_block"), states: queries("state_block") };
    this.#turn = db.prepare<[number], number>("SELECT list_turn FROM job WHERE id = ?").pluck();
    this.#copies = db
      .prepare<[Buffer], Copy>("SELECT job, frame, length, damaged FROM chunk WHERE digest = ?")
      .raw();
    this.#dirty = db.prepare<[number], number>("SELECT dirty FROM job WHERE id = ?").pluck();
    this.#frame = db.prepare<[number], number>("SELECT volume FROM frame WHERE id = ?").pluck();
    this.#isBad = db.prepare<[number], number>("SELECT 1 FROM temp.bad WHERE id = ?").pluck();
    this.#content = db
      .prepare<[Buffer, number], number>(
        `SELECT c.id FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND c.size = ? AND j.dirty = 0 LIMIT 1`,
      )
      .pluck();
    this.#segments = db
      .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ? ORDER BY seq")
      .pluck();
  }

  /** One block of one job. */
  step(): WalkStep {
    if (this.#after === undefined && !this.#inStates) this.#begin();
    const job = this.#jobs[this.#at];
    const step: WalkStep = { job, garbled: [], lost: [], needs: [], last: false };
    if (job === undefined) return step;
    const block = this.#next(job.id);
    if (block !== undefined) {
      this.#after = { first_key: block.first_key, turn: block.turn };
      this.#look(block, step);
    } else if (!this.#inStates) {
      this.#inStates = true;
      this.#after = undefined;
      this.#lastKey = undefined;
    } else {
      step.last = true;
      for (const [volume, need] of this.#found) step.needs.push({ job: job.id, volume, ...need });
      this.#inStates = false;
      this.#after = undefined;
    }
    return step;
  }

  /** A list that was rewritten meanwhile is walked from its beginning. */
  #next(job: number): Block | undefined {
    const { first, next } = this.#blocks[this.#inStates ? "states" : "rows"];
    if (this.#after === undefined) return first.get({ job });
    const block = next.get({ job, after: this.#after.first_key });
    // Where the old list ended the new one may end as well, with rows before that.
    if (this.#inStates || (block?.turn ?? this.#turn.get(job)) === this.#after.turn) return block;
    this.#load();
    return first.get({ job });
  }

  #begin(): void {
    this.#at++;
    this.#load();
  }

  #load(): void {
    this.#lastKey = undefined;
    this.#found = new Map();
    const job = this.#jobs[this.#at];
    if (job === undefined) return;
    const known = this.#db.prepare<[number], number>("SELECT volume FROM job_need WHERE job = ?").pluck();
    this.#known = new Set(known.all(job.id));
  }

  #look(block: Block, step: WalkStep): void {
    const what = this.#inStates ? "state" : "list";
    let rows: Row[];
    try {
      rows = decodeBlock(block.data);
      const first = rows[0]?.key;
      const last = rows.at(-1)?.key;
      if (rows.length !== block.rows) throw new GarbledInput(`${rows.length} rows instead of ${block.rows}`);
      if (first !== block.first_key.latin1Slice() || last !== block.last_key.latin1Slice())
        throw new GarbledInput("other paths than its index says");
      if (this.#lastKey !== undefined && first <= this.#lastKey)
        throw new GarbledInput("it overlaps the one before");
      this.#lastKey = last;
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      const from = keyToPath(block.first_key.latin1Slice());
      const to = keyToPath(block.last_key.latin1Slice());
      step.garbled.push(`${what} block ${block.seq} (${from} to ${to}) is not readable: ${error.message}`);
      return;
    }
    if (this.#inStates) return;
    for (const row of rows)
      if (row.type === EntryType.file && row.content !== undefined) this.#check(row, step);
  }

  #check(row: Row, step: WalkStep): void {
    const missing: { digest: Uint8Array; length: number }[] = [];
    let nowhere = false;
    const look = (digest: Buffer, length: number): void => {
      const place = this.#place(digest, length);
      if (place > 0) return;
      if (place < 0) nowhere = true;
      if (missing.length < MAX_CHUNKS) missing.push({ digest: new Uint8Array(digest), length });
    };
    if ((row.flags & RowFlag.parts) === 0) look(row.content!, row.size);
    else {
      const content = this.#content.get(row.content!, row.size);
      if (content === undefined) nowhere = true;
      else this.#lookAtParts(content, look);
    }
    if (missing.length === 0 && !nowhere) return;
    step.lost.push({ path: keyToPath(row.key), nowhere, chunks: nowhere ? missing : [] });
  }

  #lookAtParts(content: number, look: (digest: Buffer, length: number) => void): void {
    for (const list of this.#segments.iterate(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST)) look(digest, list.readUInt32LE(at));
      }
    }
  }

  /** Volume of a good copy, of those that the job is known to need if there is one; 0: only bad ones; -1: none. */
  #place(digest: Buffer, length: number): number {
    let good = 0;
    let any = -1;
    for (const [job, frame, stored, damaged] of this.#copies.all(digest)) {
      if (stored !== length || !this.#isFinished(job)) continue;
      const volume = this.#volumeOf(frame);
      if (volume < 0) continue;
      any = 0;
      if (volume === 0 || damaged === 1) continue;
      if (this.#known.has(volume)) return volume;
      if (good === 0) good = volume;
    }
    if (good === 0) return any;
    const need = this.#found.get(good) ?? { chunks: 0, bytes: 0 };
    need.chunks++;
    need.bytes += length;
    this.#found.set(good, need);
    return good;
  }

  #isFinished(job: number): boolean {
    let finished = this.#finished.get(job);
    if (finished === undefined) {
      finished = this.#dirty.get(job) === 0;
      this.#finished.set(job, finished);
    }
    return finished;
  }

  /** 0: the frame is bad; -1: it is not in the catalog. */
  #volumeOf(frame: number): number {
    let volume = this.#frames.get(frame);
    if (volume === undefined) {
      volume = this.#frame.get(frame) ?? -1;
      if (volume > 0 && this.#isBad.get(frame) !== undefined) volume = 0;
      if (this.#frames.size >= CACHE) this.#frames.clear();
      this.#frames.set(frame, volume);
    }
    return volume;
  }
}
