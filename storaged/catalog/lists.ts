/**
 * File lists as consumers want them, read from the catalog in small steps: the effective list of a job, lists with
 * state for the next backup, directory listings, counts. Everything here runs in a reading thread; each call does a
 * bounded piece of work, so that many consumers share the thread.
 */

import { isWithin } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { BLOCK_TARGET_ROWS, BlockWriter } from "../../common/format/row-block.js";
import { BlockCursor, BlockQueries, type BlockRow } from "./block-cursor.js";
import { ImageRows } from "./image-rows.js";
import { listedEntry } from "./listed-entry.js";
import type { EntryQuery, ListedEntry } from "./listing-types.js";
import { BEHIND_ALL, behindSubtree, OverlayCursor, type RowCursor } from "./overlay.js";
import { RuleMatcher } from "./rules.js";
import type { Db } from "./schema.js";
import type { LocalJob, Splice } from "./types.js";

/** Cursors over the lists of one connection. */
export class Lists {
  readonly rows: BlockQueries;
  readonly states: BlockQueries;

  constructor(db: Db) {
    this.rows = new BlockQueries(db, "list_block");
    this.states = new BlockQueries(db, "state_block");
  }

  /** The overlay of `layers`, top first. */
  overlay(layers: readonly LocalJob[]): OverlayCursor {
    return new OverlayCursor(layers.map((job) => new BlockCursor(this.rows, job)));
  }
}

/** A list that is sent block by block. `next` is undefined at its end. */
export interface BlockSource {
  next(): Buffer | undefined;
}

/** One job's own blocks (rows or state) as they are: nothing is decoded. */
export class VerbatimBlocks implements BlockSource {
  readonly #queries: BlockQueries;
  readonly #job: LocalJob;
  readonly #first: BlockRow | undefined;
  #last: BlockRow | undefined;

  /** Reads the first block at once: from then on another list is told from this one. */
  constructor(queries: BlockQueries, job: LocalJob) {
    this.#queries = queries;
    this.#job = job;
    this.#first = queries.first(job);
  }

  next(): Buffer | undefined {
    const block = this.#last === undefined ? this.#first : this.#queries.next(this.#job, this.#last);
    this.#last = block;
    return block?.data;
  }
}

/** An effective list; with `stateOf`, rows carry the state that this job's run saw. */
export class OverlayBlocks implements BlockSource {
  #part: OverlayPart;
  #then: OverlayPart | undefined;
  readonly #writer: BlockWriter;

  /** `splice`: the overlay counts up to a key, what lies behind comes from another list. */
  constructor(lists: Lists, layers: readonly LocalJob[], stateOf: LocalJob | undefined, splice?: Splice) {
    const states = (job: LocalJob, from?: string) => new BlockCursor(lists.states, job, from);
    this.#part = {
      rows: lists.overlay(layers),
      states: stateOf === undefined ? undefined : states(stateOf),
      last: splice?.last ?? BEHIND_ALL,
    };
    const [next] = splice?.layers ?? [];
    if (splice !== undefined && next !== undefined) {
      const from = `${splice.last}\0`;
      const rows = lists.overlay(splice.layers);
      rows.seekWithin(from);
      this.#then = { rows, states: states(next, from), last: BEHIND_ALL };
    }
    this.#writer = new BlockWriter({ state: stateOf !== undefined });
  }

  next(): Buffer | undefined {
    for (let row = this.#row(); row !== undefined && !this.#writer.full; row = this.#row()) {
      const { rows, states } = this.#part;
      if (states !== undefined) attachState(row, states);
      this.#writer.add(row);
      rows.advance();
    }
    return this.#writer.rows === 0 ? undefined : this.#writer.finish();
  }

  #row(): Row | undefined {
    const { rows, last } = this.#part;
    if (rows.row !== undefined && rows.row.key <= last) return rows.row;
    if (this.#then === undefined) return undefined;
    this.#part = this.#then;
    this.#then = undefined;
    return this.#part.rows.row;
  }
}

interface OverlayPart {
  rows: OverlayCursor;
  states: RowCursor | undefined;
  /** Rows behind it do not count. */
  last: string;
}

/** Steps instead of seeking: both lists hold nearly the same paths. */
function attachState(row: Row, states: RowCursor): void {
  while (states.row !== undefined && states.row.key < row.key) states.advance();
  row.state = states.row !== undefined && states.row.key === row.key ? states.row.state : undefined;
}

/** Entries of one query, a page at a time. */
export class EntryPages {
  readonly #query: EntryQuery;
  readonly #cursor: RowCursor;
  readonly #overlay: OverlayCursor | undefined;
  /** What tells a row's place, by layer. */
  readonly #places: readonly BlockCursor[];
  readonly #jobIds: readonly number[];
  readonly #firstBase: number;
  readonly #rules: RuleMatcher | undefined;
  readonly #images: ImageRows | undefined;
  #left: number;

  /** `layers` top first, `jobIds` the director's number of each; layers from `firstBase` on are Bases. */
  constructor(
    lists: Lists,
    layers: readonly LocalJob[],
    jobIds: readonly number[],
    firstBase: number,
    query: EntryQuery,
  ) {
    this.#query = query;
    this.#jobIds = jobIds;
    this.#firstBase = firstBase;
    this.#rules = query.rules.length > 0 ? new RuleMatcher(query.rules) : undefined;
    this.#images = query.images === true ? new ImageRows() : undefined;
    this.#left = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY;
    this.#places = query.ownRows
      ? [ownCursor(lists, layers[0]!, query.fromRow ?? 0)]
      : layers.map((job) => new BlockCursor(lists.rows, job));
    if (!query.ownRows) this.#overlay = new OverlayCursor(this.#places);
    this.#cursor = this.#overlay ?? this.#places[0]!;
    this.#start();
  }

  #start(): void {
    const { directory, children, after } = this.#query;
    // The least key below the directory; without `children` the directory itself belongs to the answer.
    let from = directory;
    if (children && directory !== "") from = `${directory}\0`;
    else if (children) from = "\x01";
    if (after !== undefined && after >= from) from = children ? behindSubtree(after) : `${after}\0`;
    if (this.#overlay !== undefined) this.#overlay.seekWithin(from);
    else this.#cursor.seek(from);
    if (from === "\x01" && this.#cursor.row?.key === "") this.#cursor.advance();
  }

  /** Undefined at the end. A page may be short, or empty, when little of what was passed is wanted. */
  next(): ListedEntry[] | undefined {
    const page: ListedEntry[] = [];
    for (let steps = 0; steps < BLOCK_TARGET_ROWS && this.#left > 0; steps++) {
      const found = this.#cursor.row;
      if (found === undefined || !isWithin(this.#query.directory, found.key)) {
        this.#left = 0;
        return page.length > 0 ? page : undefined;
      }
      const row = this.#query.children ? this.#child(found) : found;
      if (this.#wanted(row)) {
        page.push(this.#entry(row));
        this.#left--;
      }
      if (this.#query.children) this.#cursor.seek(behindSubtree(row.key));
      else this.#cursor.advance();
    }
    return page.length > 0 || this.#left > 0 ? page : undefined;
  }

  /** The row itself, or the directory that is only implied by what lies below it (above a FileSet's first path). */
  #child(row: Row): Row {
    const { directory } = this.#query;
    const end = row.key.indexOf("\0", directory === "" ? 0 : directory.length + 1);
    if (end < 0) return row;
    return { ...emptyRow(row.key.slice(0, end), EntryType.directory), mode: 0o755 };
  }

  #wanted(row: Row): boolean {
    const { ownRows, deleted, baseOnly, withDeleted } = this.#query;
    if (this.#images !== undefined && !this.#images.isImage(row)) return false;
    if (ownRows && withDeleted !== true && (row.type === EntryType.deleted) !== deleted) return false;
    return !baseOnly || (this.#overlay !== undefined && this.#overlay.layer >= this.#firstBase);
  }

  #entry(row: Row): ListedEntry {
    const layer = this.#overlay?.layer ?? 0;
    const entry = listedEntry(row, this.#jobIds[layer] ?? 0, this.#rules?.selects(row.key) ?? false);
    const recorded = this.#places[layer]!.row?.key === row.key;
    return this.#query.numbered === true && recorded
      ? Object.assign(entry, this.#places[layer]!.place())
      : entry;
  }
}

/** A job's own rows from row `fromRow` on. */
function ownCursor(lists: Lists, job: LocalJob, fromRow: number): BlockCursor {
  if (fromRow <= 1) return new BlockCursor(lists.rows, job);
  const block = lists.rows.blockOf(job, fromRow);
  const cursor = new BlockCursor(lists.rows, job, block?.key ?? BEHIND_ALL);
  for (let at = block?.before ?? 0; at + 1 < fromRow && cursor.row !== undefined; at++) cursor.advance();
  return cursor;
}

/** Files and bytes that a selection takes, counted in steps. */
export class SelectionCounter {
  readonly #cursor: OverlayCursor;
  readonly #rules: RuleMatcher;
  files = 0;
  bytes = 0;
  total = 0;

  constructor(lists: Lists, layers: readonly LocalJob[], rules: RuleMatcher) {
    this.#cursor = lists.overlay(layers);
    this.#rules = rules;
  }

  /** True when done. */
  step(rows: number): boolean {
    for (let i = 0; i < rows; i++) {
      const row = this.#cursor.row;
      if (row === undefined) return true;
      this.total++;
      if (this.#rules.selects(row.key)) {
        this.files++;
        this.bytes += row.size;
      }
      this.#cursor.advance();
    }
    return false;
  }
}
