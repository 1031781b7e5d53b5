/**
 * The plan of a restore, built in a scratch SQLite file: which rows are made how, and which bytes of which frame go
 * where, in the order in which the volumes are read. Memory does not grow with the number of files.
 */

import Database from "better-sqlite3";
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { BlockWriter, writeRow } from "../../common/format/row-block.js";
import { ByteWriter } from "../../common/format/varint.js";
import { CopyQueries } from "../catalog/copy-queries.js";
import { LayerQueries } from "../catalog/layers.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import { Lists } from "../catalog/lists.js";
import type { OverlayCursor } from "../catalog/overlay.js";
import { RuleMatcher } from "../catalog/rules.js";
import { type Db, openForReading } from "../catalog/schema.js";
import { type ChunkPlace, ContentPlaces } from "./content-places.js";
import { type BlockKind, bytesOf, findBlock, KINDS, PlanReading } from "./restore-reading.js";

export interface PlanSummary {
  /** Entries that will be restored, failed ones included. */
  files: number;
  bytes: number;
  failed: number;
  /** Names of the volumes, in reading order. */
  volumes: string[];
  /** The same volumes by number, and the UUIDs of their labels when the plan was made. */
  volumeIds: number[];
  volumeUuids: string[];
}

/** What a step has come to. */
export interface PlanStep {
  /** Blocks of kind "make" so far. */
  makeBlocks: number;
  /** Set by the last step. */
  summary: PlanSummary | undefined;
}

/** Entries of a step: some 20 ms, after which blocks can be asked for. */
const STEP_ROWS = 1024;

const SCRATCH = `
  CREATE TABLE block (kind INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL);
  CREATE UNIQUE INDEX block_order ON block(kind, seq);
  -- Files in parts; the row of a file in one piece is in that piece.
  CREATE TABLE row (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE piece (volume INTEGER NOT NULL, pos INTEGER NOT NULL, row INTEGER NOT NULL, file_offset INTEGER NOT NULL,
    frame_offset INTEGER NOT NULL, length INTEGER NOT NULL, digest BLOB NOT NULL, data BLOB);
  CREATE TABLE frame (volume INTEGER NOT NULL, pos INTEGER NOT NULL, bytes INTEGER NOT NULL, raw_bytes INTEGER NOT NULL,
    PRIMARY KEY (volume, pos)) WITHOUT ROWID;
  CREATE TABLE leader (grp BLOB PRIMARY KEY, key BLOB NOT NULL, size INTEGER NOT NULL, content BLOB) WITHOUT ROWID;
  CREATE TABLE unplaced (id INTEGER PRIMARY KEY, path TEXT NOT NULL);
  CREATE TABLE lost (key BLOB PRIMARY KEY) WITHOUT ROWID;`;

export class RestorePlan {
  readonly #catalog: Db;
  readonly #scratch: Db;
  readonly #places: ContentPlaces;
  readonly #writers: Record<BlockKind, BlockWriter>;
  readonly #blockCounts = { make: 0, finish: 0, links: 0, folders: 0 };
  readonly #insertBlock;
  readonly #insertRow;
  readonly #insertPiece;
  readonly #insertFrame;
  readonly #insertLeader;
  readonly #leader;
  readonly #findBlock;
  #going: { cursor: OverlayCursor; matcher: RuleMatcher } | undefined;
  readonly #rowBytes = new ByteWriter(4096);
  #rows = 0;
  #summary: PlanSummary = { files: 0, bytes: 0, failed: 0, volumes: [], volumeIds: [], volumeUuids: [] };

  constructor(catalogFile: string, scratchFile: string) {
    this.#catalog = openForReading(catalogFile);
    this.#scratch = new Database(scratchFile);
    // Nobody needs it after a crash.
    this.#scratch.pragma("journal_mode = OFF");
    this.#scratch.pragma("synchronous = OFF");
    this.#scratch.pragma("cache_size = -8000");
    this.#scratch.exec(SCRATCH);
    this.#places = new ContentPlaces(this.#catalog);
    const writer = () => new BlockWriter({ state: false });
    this.#writers = { make: writer(), finish: writer(), links: writer(), folders: writer() };
    const db = this.#scratch;
    this.#insertBlock = db.prepare("INSERT INTO block VALUES (?, ?, ?)");
    this.#insertRow = db.prepare("INSERT INTO row VALUES (?, ?)");
    this.#insertPiece = db.prepare("INSERT INTO piece VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    this.#insertFrame = db.prepare("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?)");
    this.#insertLeader = db.prepare("INSERT INTO leader VALUES (?, ?, ?, ?)");
    this.#leader = db.prepare<[Buffer], { key: Buffer; size: number; content: Buffer | null }>(
      "SELECT key, size, content FROM leader WHERE grp = ?",
    );
    this.#findBlock = findBlock(db);
  }

  /** The whole plan in one go: `begin`, and `step` to the end. @throws BackupError NOT_FOUND */
  build(jobIds: readonly number[], rules: readonly SelectionRule[]): PlanSummary {
    this.begin(jobIds, rules);
    for (;;) {
      const { summary } = this.step();
      if (summary !== undefined) return summary;
    }
  }

  /** Opens the lists; rules decide what is taken. @throws BackupError NOT_FOUND */
  begin(jobIds: readonly number[], rules: readonly SelectionRule[]): void {
    if (this.#catalog.inTransaction) this.#catalog.exec("ROLLBACK");
    // One snapshot: lists may be rewritten and frames moved meanwhile.
    this.#catalog.exec("BEGIN");
    const layers = new LayerQueries(this.#catalog).selection(jobIds);
    // A copy is read from its own volumes, whatever else holds the same content.
    this.#places.prefer(new CopyQueries(this.#catalog).volumesOf(layers.jobs));
    const cursor = new Lists(this.#catalog).overlay(layers.jobs);
    this.#going = { cursor, matcher: new RuleMatcher(rules) };
    this.#scratch.exec("BEGIN");
  }

  /** Goes on through the lists for a moment. */
  step(): PlanStep {
    const { cursor, matcher } = this.#going!;
    for (let left = STEP_ROWS; cursor.row !== undefined && left > 0; cursor.advance(), left--) {
      if (matcher.selects(cursor.row.key)) this.#add({ ...cursor.row });
    }
    const summary = cursor.row === undefined ? this.#end() : undefined;
    return { makeBlocks: this.#blockCounts.make, summary };
  }

  /** A block of what is made first, before the plan is whole. */
  madeBlock(seq: number): Buffer | undefined {
    return this.#findBlock.get(KINDS.indexOf("make"), seq);
  }

  #end(): PlanSummary {
    for (const kind of KINDS) this.#flush(kind);
    this.#scratch.exec("CREATE INDEX piece_order ON piece(volume, pos, row, file_offset)");
    this.#scratch.exec("COMMIT");
    const ids = this.#scratch
      .prepare<[], number>("SELECT DISTINCT volume FROM frame ORDER BY volume")
      .pluck()
      .all();
    this.#summary.volumes = ids.map((id) => this.#places.volumeName(id));
    const uuid = this.#catalog.prepare<[number], string>("SELECT uuid FROM volume WHERE id = ?").pluck();
    this.#summary.volumeIds = ids;
    this.#summary.volumeUuids = ids.map((id) => uuid.get(id) ?? "");
    this.#catalog.exec("COMMIT");
    return this.#summary;
  }

  #add(row: Row): void {
    this.#summary.files++;
    row.state = undefined;
    if (row.type === EntryType.directory) {
      this.#put("make", row);
      this.#put("folders", row);
      return;
    }
    this.#summary.bytes += row.size;
    if (row.group !== undefined && this.#addLinked(row)) return;
    const stored =
      row.type !== EntryType.file || row.size === 0 ? this.#put("make", row) : this.#addFile(row);
    if (stored && row.group !== undefined) {
      const { key, size, content } = row;
      this.#insertLeader.run(bytesOf(this.#originalGroup), bytesOf(key), size, content ?? null);
    }
  }

  #originalGroup = "";

  /** True when the row became a link to a member that is restored already; else it leads the group from now on. */
  #addLinked(row: Row): boolean {
    this.#originalGroup = row.group!;
    const leader = this.#leader.get(bytesOf(row.group!));
    if (leader === undefined) {
      row.group = row.key;
      return false;
    }
    const same =
      leader.size === row.size && (leader.content ?? Buffer.alloc(0)).equals(row.content ?? Buffer.alloc(0));
    if (!same) {
      // Members of one group with different content were never one file: this one stands for itself.
      row.group = undefined;
      return false;
    }
    row.group = leader.key.latin1Slice();
    return this.#put("links", row);
  }

  /** False when content of the file is nowhere: it is counted and told, the others go on. */
  #addFile(row: Row): boolean {
    const parts = (row.flags & RowFlag.parts) !== 0;
    const id = ++this.#rows;
    if (!(parts ? this.#addParts(id, row) : this.#addWhole(id, row))) {
      this.#summary.failed++;
      const path = keyToPath(row.key);
      this.#scratch.prepare("INSERT INTO unplaced(path) VALUES (?)").run(path);
      return false;
    }
    if (!parts) return true;
    this.#insertRow.run(id, this.#written(row));
    return this.#put("finish", row);
  }

  /** The row's bytes, valid until the next call. */
  #written(row: Row): Buffer {
    this.#rowBytes.clear();
    writeRow(this.#rowBytes, row, "", false);
    return this.#rowBytes.bytes();
  }

  #addWhole(id: number, row: Row): boolean {
    const place = this.#places.chunk(row.content!, row.size);
    if (place === undefined) return false;
    this.#addPiece(id, place, { fileOffset: 0, digest: row.content!, length: row.size }, this.#written(row));
    return true;
  }

  /** When one part is nowhere, the pieces before it stay in the plan without a row: they are passed over. */
  #addParts(id: number, row: Row): boolean {
    const content = this.#places.listOf(row.content!, row.size);
    if (content === undefined) return false;
    let offset = 0;
    for (const list of this.#places.parts(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const length = list.readUInt32LE(at);
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST)) {
          const place = this.#places.chunk(digest, length);
          if (place === undefined) return false;
          this.#addPiece(id, place, { fileOffset: offset, digest, length }, null);
        }
        offset += length;
      }
    }
    return true;
  }

  #addPiece(
    row: number,
    place: ChunkPlace,
    { fileOffset, digest, length }: { fileOffset: number; digest: Buffer; length: number },
    data: Buffer | null,
  ): void {
    const { volume, pos } = place;
    this.#insertPiece.run(volume, pos, row, fileOffset, place.offset, length, digest, data);
    if (this.#lastFrame.volume === volume && this.#lastFrame.pos === pos) return;
    this.#lastFrame = { volume, pos };
    this.#insertFrame.run(volume, pos, place.bytes, place.rawBytes);
  }

  #lastFrame = { volume: -1, pos: -1 };

  #put(kind: BlockKind, row: Row): true {
    const writer = this.#writers[kind];
    writer.add(row);
    if (writer.full) this.#flush(kind);
    return true;
  }

  #flush(kind: BlockKind): void {
    const writer = this.#writers[kind];
    if (writer.rows > 0)
      this.#insertBlock.run(KINDS.indexOf(kind), this.#blockCounts[kind]++, writer.finish());
  }

  /** What is handed out once the plan is built. */
  reading(): PlanReading {
    return new PlanReading(this.#scratch, { ...this.#blockCounts });
  }

  close(): void {
    this.#scratch.close();
    this.#catalog.close();
  }
}
