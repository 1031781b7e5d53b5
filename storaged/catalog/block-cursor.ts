/**
 * Reads one job's list (or state stream) out of the catalog, a block at a time. Each block is fetched by its own
 * short query, so that no read transaction stays open between calls.
 */

import { BackupError } from "../../common/errors.js";
import type { Row } from "../../common/format/row.js";
import { MAX_BLOCK_RAW_BYTES, passRow, readRow } from "../../common/format/row-block.js";
import { ByteReader, GarbledInput } from "../../common/format/varint.js";
import { decompressInto } from "../../common/format/zstd.js";
import { type BlockTable, listNumberSql } from "./list-number.js";
import { BEHIND_ALL, type RowCursor } from "./overlay.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

/** A block, and how often its list has been put in force anew. */
export interface BlockRow {
  first_key: Buffer;
  last_key: Buffer;
  data: Buffer;
  turn: number;
}

interface ListFacts {
  jobId: number;
  status: string;
  turn: number;
  state: number;
}

/** The prepared queries of one connection. */
export class BlockQueries {
  readonly #next;
  readonly #holding;
  readonly #raw;
  readonly #before;
  readonly #sizes;
  /** Undefined for states: they are only ever those of finished runs, and a list without them is whole. */
  readonly #facts;

  constructor(db: Db, table: BlockTable) {
    const lists = table === "list_block";
    this.#facts = lists
      ? db.prepare<{ job: number }, ListFacts>(
          "SELECT job_id AS jobId, status, list_turn AS turn, list_state AS state FROM job WHERE id = abs(@job)",
        )
      : undefined;
    const turn = lists ? "(SELECT list_turn FROM job WHERE id = abs(@job))" : "0";
    const number = lists ? listNumberSql("@job") : "@job";
    const columns = `SELECT first_key, last_key, data, ${turn} AS turn FROM ${table} WHERE job = ${number}`;
    this.#next = db.prepare<{ job: number; key: Buffer }, BlockRow>(
      `${columns} AND first_key > @key ORDER BY first_key LIMIT 1`,
    );
    this.#holding = db.prepare<{ job: number; key: Buffer }, BlockRow>(
      `${columns} AND first_key <= @key ORDER BY first_key DESC LIMIT 1`,
    );
    this.#raw = db.prepare<{ job: number }, BlockRow>(`${columns} ORDER BY first_key LIMIT 1`);
    // Neither reads the blocks themselves.
    this.#before = db
      .prepare<{ job: number; from: Buffer; key: Buffer }, number>(
        `SELECT coalesce(sum(rows), 0) FROM ${table} WHERE job = ${number} AND first_key >= @from AND first_key < @key`,
      )
      .pluck();
    this.#sizes = db
      .prepare<{ job: number }, [Buffer, number]>(
        `SELECT first_key, rows FROM ${table} WHERE job = ${number} ORDER BY first_key`,
      )
      .raw();
  }

  /** Rows of the list from the block that begins with `from` to a later one. @throws as `next` */
  rowsBetween(job: LocalJob, from: Buffer, block: BlockRow): number {
    const rows = this.#before.get({ job, from, key: block.first_key }) ?? 0;
    this.#check(job, block.turn);
    return rows;
  }

  /** First key of the block that holds a row (from 1), and the rows before it; undefined behind the last. */
  blockOf(job: LocalJob, row: number): { key: string; before: number } | undefined {
    let before = 0;
    for (const [key, rows] of this.#sizes.iterate({ job })) {
      if (before + rows >= row) return { key: key.latin1Slice(), before };
      before += rows;
    }
    return undefined;
  }

  /** @throws BackupError LIST_DROPPED, NOT_FOUND (the job is being deleted), as the other methods do */
  first(job: LocalJob): BlockRow | undefined {
    const block = this.#raw.get({ job });
    this.#check(job);
    return block;
  }

  /** The block behind `after`. @throws BackupError LIST_REWRITTEN when another list has been put in force since */
  next(job: LocalJob, after: BlockRow): BlockRow | undefined {
    const block = this.#next.get({ job, key: after.first_key });
    this.#check(job, after.turn);
    return block;
  }

  /**
   * A list that is not here must never pass for an empty or a shorter one, nor two lists for one. Looked at after the
   * block, since all of this is marked before the first block goes.
   */
  #check(job: LocalJob, turn?: number): void {
    if (this.#facts === undefined) return;
    const facts = this.#facts.get({ job });
    if (facts === undefined || facts.status === "G" || (facts.status === "D" && facts.state !== 0))
      throw new BackupError("NOT_FOUND", "the job was deleted while its file list was read");
    const list = `the file list of JobId ${facts.jobId}`;
    if (facts.state !== 0) {
      const text = `${list} is not in the catalog now (File Retention)`;
      throw new BackupError("LIST_DROPPED", text, { retry: "later" });
    }
    if (turn !== undefined && turn !== facts.turn) {
      const text = `${list} was rewritten (rebase) while it was read; do it again`;
      throw new BackupError("LIST_REWRITTEN", text, { retry: "now" });
    }
  }

  /** The block that holds the first row >= `key`; `turn`: of the blocks read before. @throws as `next` */
  at(job: LocalJob, key: string, turn?: number): BlockRow | undefined {
    if (key >= BEHIND_ALL) return undefined;
    const bytes = Buffer.from(key, "latin1");
    const block = this.#holding.get({ job, key: bytes });
    this.#check(job, turn);
    if (block === undefined) return this.first(job);
    return Buffer.compare(block.last_key, bytes) >= 0 ? block : this.next(job, block);
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
  #rows = 0;
  /** Rows before the block that begins with this key. They are only counted when a place is asked for. */
  #counted: { key: Buffer; before: number } = { key: Buffer.alloc(0), before: 0 };
  row: Row | undefined;

  /** `from`: start at the first row with a key >= this. */
  constructor(queries: BlockQueries, job: LocalJob, from = "") {
    this.#queries = queries;
    this.#job = job;
    this.#open(from === "" ? queries.first(job) : queries.at(job, from));
    this.#skipTo(from);
  }

  /** Place of the row at hand in the list, from 1, and which list that is. @throws as BlockQueries.next */
  place(): { row: number; turn: number } {
    const block = this.#block;
    if (block === undefined || this.row === undefined) return { row: 0, turn: 0 };
    // Each block is counted once, however often the cursor jumps.
    if (!this.#counted.key.equals(block.first_key)) {
      const before = this.#counted.before + this.#queries.rowsBetween(this.#job, this.#counted.key, block);
      this.#counted = { key: block.first_key, before };
    }
    return { row: this.#counted.before + this.#rows - this.#left, turn: block.turn };
  }

  advance(): void {
    if (this.#left > 0) this.#decode();
    else if (this.#block !== undefined) this.#open(this.#queries.next(this.#job, this.#block));
  }

  seek(key: string): void {
    if (this.row === undefined || this.row.key >= key) return;
    if (key > this.#lastKey) this.#open(this.#queries.at(this.#job, key, this.#block?.turn));
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
    this.#rows = 0;
    if (block === undefined) return;
    const { reader, rows, withState } = openBlock(block.data);
    this.#reader = reader;
    this.#left = rows;
    this.#rows = rows;
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
