/**
 * A job's manifest back into its list. Content that rows name must be in the catalog by then: what is nowhere marks
 * its row as damaged, so that a restore names the file and the next backup reads it again.
 */
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { keyToPath } from "../../common/format/path.js";
import { type Row, RowFlag } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import type { ContentPlace } from "../volume/manifest.js";
import { type ManifestItem, ManifestParser } from "../volume/manifest-parse.js";
import type { JobEndRecord } from "../volume/records.js";
import { ChunkFinder } from "./find-chunk.js";

export interface ListResult {
  rows: number;
  /** Rows whose content is nowhere; the first of them by path, and volumes that should hold some. */
  damaged: number;
  examples: string[];
  missing: string[];
}

type NeedMap = Map<number, { chunks: number; bytes: number }>;

const MAX_EXAMPLES = 5;
const MAX_MISSING = 100;
/** Blocks and segments stored in one transaction. */
const STEP_WRITES = 64;

/** Finds a chunk among frames of jobs that do not count, and makes it count. True when that succeeded. */
export type Rescue = (digest: Buffer, length: number) => boolean;

export class ListLoader {
  readonly #db: Db;
  readonly #chunks: ChunkFinder;
  readonly #rescue: Rescue;

  constructor(db: Db, rescue: Rescue) {
    this.#db = db;
    this.#chunks = new ChunkFinder(db);
    this.#rescue = rescue;
  }

  /** @throws GarbledInput when the manifest is not whole; what was stored of the list must be removed then */
  async load(local: number, record: JobEndRecord, pieces: AsyncIterable<Buffer>): Promise<ListResult> {
    const list = new OneList(this.#db, this.#chunks, this.#rescue, local);
    const parser = new ManifestParser();
    try {
      for await (const piece of pieces) for (const item of parser.push(piece)) list.item(item, record);
      parser.finish();
      return list.finish(record);
    } finally {
      list.settle();
    }
  }

  /** Removes the list of a job, and content whose list of parts was not finished. */
  drop(local: number): void {
    this.#db.transaction(() => {
      this.#db.prepare("DELETE FROM list_block WHERE job = ?").run(local);
      for (const table of ["job_need", "job_draw"])
        this.#db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(local);
      const open = "SELECT id FROM content WHERE job = ? AND identity IS NULL";
      this.#db.prepare(`DELETE FROM content_part WHERE content IN (${open})`).run(local);
      this.#db.prepare("DELETE FROM content WHERE job = ? AND identity IS NULL").run(local);
    })();
  }
}

/** A list of parts that is being read. */
interface OpenContent {
  row: Row;
  /** Undefined when the catalog has the list already. */
  id: number | undefined;
  segments: number;
  complete: boolean;
  needs: NeedMap;
}

class OneList {
  readonly #db: Db;
  readonly #chunks: ChunkFinder;
  readonly #rescue: Rescue;
  readonly #local: number;
  readonly #pool: { id: number; deduplicate: number; client: string; dedup_scope: string };
  readonly #writer = new BlockWriter({ state: false });
  readonly #needs: NeedMap = new Map();
  /** Pool and job, by number, of everything that is named. */
  readonly #draws = new Set<string>();
  readonly #result: ListResult = { rows: 0, damaged: 0, examples: [], missing: [] };
  #open: (OpenContent & { where: ContentPlace[] }) | undefined;
  #blocks = 0;
  #writes = 0;

  constructor(db: Db, chunks: ChunkFinder, rescue: Rescue, local: number) {
    this.#db = db;
    this.#chunks = chunks;
    this.#rescue = rescue;
    this.#local = local;
    this.#pool = db
      .prepare<[number], { id: number; deduplicate: number; client: string; dedup_scope: string }>(
        "SELECT p.id, p.deduplicate, p.dedup_scope, j.client FROM job j JOIN pool p ON p.id = j.pool WHERE j.id = ?",
      )
      .get(local)!;
  }

  item(item: ManifestItem, record: JobEndRecord): void {
    switch (item.type) {
      case "head":
        if (item.facts.get("uuid") !== record.jobUuid)
          throw new GarbledInput("the manifest is another job's");
        return;
      case "row":
        this.#row(item.row, item.where);
        return;
      case "parts":
        this.#parts(item.parts, item.last);
        return;
      case "end":
        if (item.rows !== record.rows)
          throw new GarbledInput("the manifest has another number of rows than the job");
    }
  }

  #row(row: Row, where: ContentPlace[]): void {
    if (row.content !== undefined && (row.flags & RowFlag.parts) !== 0) {
      // Added when its parts have been looked at.
      this.#openContent(row, where);
      return;
    }
    if (row.content !== undefined) {
      const volume = this.#place(row.content, row.size);
      if (volume === undefined) this.#mark(row, where);
      else addNeed(this.#needs, volume, 1, row.size);
    }
    this.#add(row);
  }

  #place(digest: Buffer, length: number): number | undefined {
    let copy = this.#chunks.find(this.#local, digest, length);
    if (copy === undefined && this.#rescue(digest, length))
      copy = this.#chunks.find(this.#local, digest, length);
    if (copy !== undefined) this.#draws.add(`${copy.pool} ${copy.owner}`);
    return copy?.volume;
  }

  #openContent(row: Row, where: ContentPlace[]): void {
    const known = this.#isKnown(row.content!, row.size);
    const id = known
      ? undefined
      : Number(
          this.#db
            .prepare("INSERT INTO content(identity, pool, job, size) VALUES (NULL, ?, ?, 0)")
            .run(this.#pool.id, this.#local).lastInsertRowid,
        );
    this.#open = { row, id, segments: 0, complete: true, needs: new Map(), where };
  }

  /** The catalog has the same list of parts where this job may use it. */
  #isKnown(identity: Buffer, size: number): boolean {
    const { id, deduplicate, dedup_scope: scope, client } = this.#pool;
    const owners = this.#db
      .prepare<[Buffer, number, number], { job: number; client: string }>(
        "SELECT c.job, j.client FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND c.pool = ? AND c.size = ?",
      )
      .all(identity, id, size);
    return owners.some(
      (owner) =>
        owner.job === this.#local || (deduplicate === 1 && (scope !== "client" || owner.client === client)),
    );
  }

  #parts(parts: Buffer, last: boolean): void {
    const open = this.#open!;
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      const digest = parts.subarray(at + 4, at + PART_BYTES);
      if (digest.equals(ZERO_DIGEST)) continue;
      const length = parts.readUInt32LE(at);
      const volume = this.#place(digest, length);
      if (volume === undefined) open.complete = false;
      else addNeed(open.needs, volume, 1, length);
    }
    if (open.id !== undefined && parts.length > 0) {
      this.#write(
        "INSERT INTO content_part(content, seq, data) VALUES (?, ?, ?)",
        open.id,
        open.segments++,
        parts,
      );
    }
    if (last) this.#closeContent(open);
  }

  #closeContent({ row, id, complete, needs, where }: OpenContent & { where: ContentPlace[] }): void {
    this.#open = undefined;
    for (const [volume, { chunks, bytes }] of needs) addNeed(this.#needs, volume, chunks, bytes);
    if (!complete) this.#mark(row, where);
    if (id !== undefined && complete) {
      this.#write("UPDATE content SET identity = ?, size = ? WHERE id = ?", row.content, row.size, id);
    } else if (id !== undefined) {
      this.#write("DELETE FROM content_part WHERE content = ?", id);
      this.#write("DELETE FROM content WHERE id = ?", id);
    }
    this.#add(row);
  }

  #mark(row: Row, where: readonly ContentPlace[]): void {
    row.flags |= RowFlag.damaged;
    const { examples, missing } = this.#result;
    this.#result.damaged++;
    if (examples.length < MAX_EXAMPLES) examples.push(keyToPath(row.key));
    for (const { volume } of where) {
      if (missing.length < MAX_MISSING && !missing.includes(volume)) missing.push(volume);
    }
  }

  #add(row: Row): void {
    this.#writer.add(row);
    this.#result.rows++;
    if (this.#writer.full) this.#flush();
  }

  #flush(): void {
    const { firstKey, lastKey, rows } = this.#writer;
    if (rows === 0) return;
    const data = this.#writer.finish();
    const key = (text: string) => Buffer.from(text, "latin1");
    this.#write(
      "INSERT INTO list_block(job, seq, first_key, last_key, rows, data) VALUES (?, ?, ?, ?, ?, ?)",
      this.#local,
      this.#blocks++,
      key(firstKey),
      key(lastKey),
      rows,
      data,
    );
  }

  #write(sql: string, ...values: unknown[]): void {
    if (!this.#db.inTransaction) this.#db.exec("BEGIN");
    this.#db.prepare(sql).run(...values);
    if (++this.#writes % STEP_WRITES === 0) this.settle();
  }

  /** Ends the open transaction, if there is one. */
  settle(): void {
    if (this.#db.inTransaction) this.#db.exec("COMMIT");
  }

  finish(record: JobEndRecord): ListResult {
    this.#flush();
    if (this.#result.rows !== record.rows) throw new GarbledInput("the manifest is cut off");
    for (const [volume, { chunks, bytes }] of this.#needs) {
      this.#write("INSERT OR REPLACE INTO job_need VALUES (?, ?, ?, ?)", this.#local, volume, chunks, bytes);
    }
    for (const draw of this.#draws) {
      const [pool, owner] = draw.split(" ").map(Number);
      this.#write(
        `INSERT OR IGNORE INTO job_draw SELECT @local, @pool, o.client FROM job o JOIN job j ON j.id = @local
         WHERE o.id = @owner AND (o.client <> j.client OR @pool <> j.pool)`,
        { local: this.#local, pool, owner },
      );
    }
    return this.#result;
  }
}

function addNeed(needs: NeedMap, volume: number, chunks: number, bytes: number): void {
  const need = needs.get(volume);
  if (need === undefined) needs.set(volume, { chunks, bytes });
  else {
    need.chunks += chunks;
    need.bytes += bytes;
  }
}
