/** A job's rows and state stream, checked and stored on the writing thread. */

import type { Statement } from "better-sqlite3";
import { decodeXattrs, EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";
import { unknownContent } from "./unknown-content.js";
import { asBuffer } from "./worker-rpc.js";
import type { ContentStore } from "./writer-content.js";
import { type Contexts, isRewrite, type JobContext, type StreamOrder, violation } from "./writer-context.js";
import { addNeed } from "./writer-needs.js";

/** Longest symlink target and attribute set that Linux can hold, with room to spare. */
const MAX_TARGET_BYTES = 65_536;
const MAX_XATTR_BYTES = 4 * 1024 * 1024;

export class RowStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #contents: ContentStore;
  readonly #insertRows;
  readonly #insertState;

  constructor(db: Db, contexts: Contexts, contents: ContentStore) {
    this.#db = db;
    this.#contexts = contexts;
    this.#contents = contents;
    const insert = (table: string): Statement<unknown[]> =>
      db.prepare(`INSERT INTO ${table}(job, seq, first_key, last_key, rows, data) VALUES (?, ?, ?, ?, ?, ?)`);
    this.#insertRows = insert("list_block");
    this.#insertState = insert("state_block");
  }

  /** @throws BackupError PROTOCOL_VIOLATION: garbled, out of order, or naming content that never was there; CONTENT_GONE. */
  addRows(job: LocalJob, block: Uint8Array): void {
    const context = this.#contexts.get(job);
    const rows = decode(block, "rows");
    // One transaction: SQLite takes and gives back its locks once, not for every row.
    this.#db.transaction(() => {
      for (const row of rows) this.#check(context, row);
      this.#store(this.#insertRows, context.list, context.rows, rows, block);
    })();
    context.counts.rows += rows.length;
    for (const row of rows) {
      if (row.type === EntryType.deleted) context.counts.deleted++;
      else context.counts.files++;
      context.counts.bytes += row.size;
    }
  }

  addState(job: LocalJob, block: Uint8Array): void {
    const context = this.#contexts.get(job);
    const rows = decode(block, "state");
    // Types are neutral in a state stream, so that nothing is known about what lies below what.
    for (const row of rows) context.states.check(row.key, true);
    this.#store(this.#insertState, context.id, context.states, rows, block);
    context.counts.stateRows += rows.length;
  }

  #store(
    insert: Statement<unknown[]>,
    number: number,
    order: StreamOrder,
    rows: readonly Row[],
    block: Uint8Array,
  ): void {
    const first = rows[0];
    const last = rows.at(-1);
    if (first === undefined || last === undefined) return;
    const bytes = (key: string) => Buffer.from(key, "latin1");
    insert.run(number, order.blocks++, bytes(first.key), bytes(last.key), rows.length, asBuffer(block));
  }

  #check(context: JobContext, row: Row): void {
    context.rows.check(row.key, row.type === EntryType.directory);
    if (row.target.length > MAX_TARGET_BYTES) throw violation("a link target of impossible length");
    if (row.xattrs !== undefined) checkXattrs(row.xattrs);
    if ((row.flags & RowFlag.damaged) !== 0) throw violation("a row that is marked as damaged");
    if (row.content === undefined) return;
    if (this.#countNeeds(context, row.content, row)) return;
    // What is lost stays named where it was: rewriting a list must neither fail for it nor forget the file.
    if (!isRewrite(context))
      throw unknownContent(this.#db, context.id, { digest: row.content, key: row.key });
    this.#contents.noteLost(context, row.content, row.size);
  }

  /** Notes on which volumes the content lies; false when it is nowhere that the job may name. */
  #countNeeds(context: JobContext, content: Buffer, { flags, size }: Row): boolean {
    if ((flags & RowFlag.parts) === 0) {
      const volume = this.#contents.volumeOfChunk(context, content, size);
      if (volume !== undefined) addNeed(context.needs, volume, 1, size);
      return volume !== undefined;
    }
    const needs = this.#contents.needsOfContent(context, content, size);
    if (needs === undefined) return false;
    for (const [volume, { chunks, bytes }] of needs.needs) addNeed(context.needs, volume, chunks, bytes);
    for (const [key, draw] of needs.draws) {
      if (draw.pool !== context.pool || draw.client !== context.client) context.draws.set(key, draw);
    }
    return true;
  }
}

function decode(block: Uint8Array, what: string): Row[] {
  try {
    return decodeBlock(asBuffer(block));
  } catch (error) {
    if (error instanceof GarbledInput) throw violation(`garbled ${what}: ${error.message}`);
    throw error;
  }
}

function checkXattrs(encoded: Buffer): void {
  if (encoded.length > MAX_XATTR_BYTES) throw violation("extended attributes of impossible size");
  try {
    for (const { name } of decodeXattrs(encoded)) {
      if (name === "" || name.length > 255 || name.includes("\0"))
        throw violation("an invalid attribute name");
    }
  } catch (error) {
    if (error instanceof GarbledInput) throw violation(`garbled attributes: ${error.message}`);
    throw error;
  }
}
