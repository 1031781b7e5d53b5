/**
 * Reads one job's list (or state stream) out of the catalog, a block at a time. Each block is fetched by its own
 * short query, so that no read transaction stays open between calls.
 */

import { BackupError } from "../../common/errors.js";
import { MAX_BLOCK_RAW_BYTES, passRow, type Row, readRow } from "../../common/format/row.js";
import { ByteReader, GarbledInput } from "../../common/format/varint.js";
import { decompressInto } from "../../common/format/zstd.js";
import { BEHIND_ALL, type RowCursor } from "./overlay.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

export type BlockTable = "list_block" | "state_block";

interface BlockRow {
  first_key: Buffer;
  last_key: Buffer;
  data: Buffer;
}

/** The prepared queries of one connection. */
export class BlockQueries {
  readonly #next;
  readonly #holding;
  readonly #raw;
  readonly #dropped;

  constructor(db: Db, table: BlockTable) {
    this.#dropped =
      table === "state_block"
        ? undefined
        : db.prepare<[number], number>("SELECT job_id FROM job WHERE id = ? AND list_state <> 0").pluck();
    const columns = `SELECT first_key, last_key, data FROM ${table} WHERE job = ?`;
    this.#next = db.prepare<[number, Buffer], BlockRow>(
      `${columns} AND first_key > ? ORDER BY first_key LIMIT 1`,
    );
    this.#holding = db.prepare<[number, Buffer], BlockRow>(
      `${columns} AND first_key <= ? ORDER BY first_key DESC LIMIT 1`,
    );
    this.#raw = db.prepare<[number], BlockRow>(`${columns} ORDER BY first_key LIMIT 1`);
  }

  /** @throws BackupError LIST_DROPPED, as the other methods do */
  first(job: LocalJob): BlockRow | undefined {
    const block = this.#raw.get(job);
    this.#check(job);
    return block;
  }

  /** The block behind the one that starts with `firstKey`. */
  next(job: LocalJob, firstKey: Buffer): BlockRow | undefined {
    const block = this.#next.get(job, firstKey);
    this.#check(job);
    return block;
  }

  /**
   * A list that is not here must never pass for an empty or a shorter one. Looked at after the block, since a list is
   * marked as dropped before the first of its blocks goes.
   */
  #check(job: LocalJob): void {
    const jobId = this.#dropped?.get(job);
    if (jobId === undefined) return;
    const text = `the file list of JobId ${jobId} is not in the catalog now (File Retention)`;
    throw new BackupError("LIST_DROPPED", text, { retry: "later" });
  }

  /** The block that holds the first row >= `key`. */
  at(job: LocalJob, key: string): BlockRow | undefined {
    if (key >= BEHIND_ALL) return undefined;
    const bytes = Buffer.from(key, "latin1");
    const block = this.#holding.get(job, bytes);
    this.#check(job);
    if (block === undefined) return this.first(job);
    return Buffer.compare(block.last_key, bytes) >= 0 ? block : this.next(job, block.first_key);
  }
}

/** Rows of one job in path order. Rows are decoded one by one; those sought past cost no query. */
export class BlockCursor implements RowCursor {
  readonly #queries: BlockQueries;
  readonly #job: LocalJob;
  #block: BlockRow | undefined;
  #lastKey = "";
  #reader: ByteReader | undefined;
  #withState = false;
  #left = 0;
  row: Row | undefined;

  /** `from`: start at the first row with a key >= this. */
  constructor(queries: BlockQueries, job: LocalJob, from = "") {
    this.#queries = queries;
    this.#job = job;
    this.#open(from === "" ? queries.first(job) : queries.at(job, from));
    this.#skipTo(from);
  }

  advance(): void {
    if (this.#left > 0) this.#decode();
    else if (this.#block !== undefined) this.#open(this.#queries.next(this.#job, this.#block.first_key));
  }

  seek(key: string): void {
    if (this.row === undefined || this.row.key >= key) return;
    if (key > this.#lastKey) this.#open(this.#queries.at(this.#job, key));
    this.#skipTo(key);
  }

  #skipTo(key: string): void {
    while (this.row !== undefined && this.row.key < key) {
      if (this.#left > 0) this.#decode(this.#pass(key));
      else this.advance();
    }
  }

  /** Passes the rows of the block before `key`, but never its last one; gives the key before the next row. */
  #pass(key: string): string {
    const reader = this.#reader!;
    let previous = this.row?.key ?? "";
    while (this.#left > 1) {
      const { at } = reader;
      const passed = passRow(reader, previous, this.#withState);
      if (passed >= key) {
        reader.at = at;
        break;
      }
      previous = passed;
      this.#left--;
    }
    return previous;
  }

  #open(block: BlockRow | undefined): void {
    this.#block = block;
    this.row = undefined;
    this.#left = 0;
    if (block === undefined) return;
    const { reader, rows, withState } = openBlock(block.data);
    this.#reader = reader;
    this.#left = rows;
    this.#withState = withState;
    this.#lastKey = block.last_key.latin1Slice();
    if (rows > 0) this.#decode();
  }

  #decode(previous = this.row?.key ?? ""): void {
    this.row = readRow(this.#reader!, previous, this.#withState);
    this.#left--;
  }
}

const HEADER_BYTES = 10;

/** A reader over a block's rows. @throws GarbledInput */
export function openBlock(block: Buffer): { reader: ByteReader; rows: number; withState: boolean } {
  if (block.length < HEADER_BYTES || block[0] !== 1) throw new GarbledInput("unknown list block version");
  const rawBytes = block.readUInt32LE(6);
  if (rawBytes > MAX_BLOCK_RAW_BYTES) throw new GarbledInput("list block too large");
  let raw = block.subarray(HEADER_BYTES);
  if ((block[1]! & 1) !== 0) {
    raw = Buffer.allocUnsafeSlow(rawBytes);
    decompressInto(raw, block.subarray(HEADER_BYTES));
  }
  return { reader: new ByteReader(raw), rows: block.readUInt32LE(2), withState: (block[1]! & 2) !== 0 };
}
