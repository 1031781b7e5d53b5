/**
 * What `check --repair` changes, on the writing thread. Nothing is removed that anybody could still want: copies are
 * only marked, and marks are taken back when the copy is found to be good after all.
 */

import { type FrameEntry, readEntries, writeEntries } from "../../common/format/frame.js";
import { ByteReader, ByteWriter } from "../../common/format/varint.js";
import { STEP_CHUNKS } from "./frame-removal.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import { asBuffer } from "./worker-rpc.js";
import type { Needs } from "./writer-needs.js";

/** A verified frame of a finished job that the catalog lacks. */
export interface FoundFrame {
  job: LocalJob;
  volume: number;
  /** Of the index record. */
  offset: number;
  /** Index record and frame. */
  bytes: number;
  rawBytes: number;
  entries: { digest: Uint8Array; offset: number; length: number }[];
}

export interface FoundNeed {
  job: LocalJob;
  volume: number;
  chunks: number;
  bytes: number;
}

/** Content named by a job's rows that is on no volume. */
export interface NowhereChunk {
  job: LocalJob;
  digest: Uint8Array;
  length: number;
}

export class RepairStore {
  readonly #db: Db;
  readonly #needs: Needs;

  constructor(db: Db, needs: Needs) {
    this.#db = db;
    this.#needs = needs;
  }

  /**
   * Marks chunks of a frame as damaged, or as good, from the one of number `from` on; durable. Gives the number to go
   * on with; undefined when all are marked.
   */
  setDamaged(id: number, damaged: boolean, from = 0): number | undefined {
    const frame = this.#db.prepare<[number], { job: number; raw_bytes: number; entries: Buffer }>(
      "SELECT job, raw_bytes, entries FROM frame WHERE id = ?",
    );
    const mark = this.#db.prepare(
      "UPDATE chunk SET damaged = @to WHERE digest = @digest AND job = @job AND frame = @id AND damaged <> @to",
    );
    const to = damaged ? 1 : 0;
    const found = frame.get(id);
    const all = found === undefined ? [] : readEntries(new ByteReader(found.entries), found.raw_bytes);
    durably(this.#db, () => {
      for (const { digest } of all.slice(from, from + STEP_CHUNKS))
        mark.run({ to, digest, job: found!.job, id });
    });
    this.#needs.forget();
    return nextOf(all, from);
  }

  /** Adds to the errors that `list media` shows of a volume; durable. */
  addErrors(volume: number, count: number): void {
    durably(this.#db, () =>
      this.#db.prepare("UPDATE volume SET errors = errors + ? WHERE id = ?").run(count, volume),
    );
  }

  /**
   * Adds a frame, unless it is there, and those of its chunks that the job has not got elsewhere, from the one of
   * number `from` on; durable. Gives the number to go on with; undefined when all are there.
   */
  addFoundFrame(found: FoundFrame, from = 0): number | undefined {
    const { job, volume, offset, bytes, rawBytes } = found;
    const entries: FrameEntry[] = found.entries.map((entry) => ({
      ...entry,
      digest: asBuffer(entry.digest),
    }));
    const out = new ByteWriter(16 + entries.length * 40);
    writeEntries(out, entries);
    durably(this.#db, () => {
      const pool = this.#db.prepare<[number], number>("SELECT pool FROM job WHERE id = ?").pluck().get(job);
      if (pool === undefined) return;
      const there = this.#db
        .prepare<[number, number, number], number>(
          "SELECT id FROM frame WHERE job = ? AND volume = ? AND offset = ?",
        )
        .pluck()
        .get(job, volume, offset);
      const insert = this.#db.prepare(
        "INSERT INTO frame(job, volume, offset, bytes, raw_bytes, entries) VALUES (?, ?, ?, ?, ?, ?)",
      );
      const blob = Buffer.from(out.bytes());
      const id = there ?? Number(insert.run(job, volume, offset, bytes, rawBytes, blob).lastInsertRowid);
      // A note that the chunk was nowhere gives way to the chunk itself.
      const drop = this.#db.prepare("DELETE FROM chunk WHERE digest = ? AND job = ? AND frame = 0");
      const add = this.#db.prepare("INSERT OR IGNORE INTO chunk VALUES (?, ?, ?, ?, ?, ?, 0)");
      for (const { digest, offset: at, length } of entries.slice(from, from + STEP_CHUNKS)) {
        drop.run(digest, job);
        add.run(digest, pool, job, id, at, length);
      }
    });
    this.#needs.forget();
    return nextOf(entries, from);
  }

  /** Volumes that jobs cannot do without; durable. */
  addNeeds(needs: readonly FoundNeed[]): void {
    const add = this.#db.prepare("INSERT OR IGNORE INTO job_need VALUES (@job, @volume, @chunks, @bytes)");
    durably(this.#db, () => {
      for (const need of needs) add.run(need);
    });
  }

  /** Takes back notes of jobs that are not kept any more; durable. */
  dropNotes(): void {
    durably(this.#db, () =>
      this.#db
        .prepare(
          `DELETE FROM chunk WHERE damaged = 1 AND frame = 0
           AND job NOT IN (SELECT id FROM job WHERE status IN ('T', 'W', 'D'))`,
        )
        .run(),
    );
  }

  /** Notes that content is on no volume, so that the next backup that meets it stores it; durable. */
  noteNowhere(chunks: readonly NowhereChunk[]): void {
    const add = this.#db.prepare(
      "INSERT OR IGNORE INTO chunk SELECT @digest, pool, id, 0, 0, @length, 1 FROM job WHERE id = @job",
    );
    durably(this.#db, () => {
      for (const { digest, job, length } of chunks) add.run({ digest: asBuffer(digest), job, length });
    });
  }
}

function nextOf(entries: readonly FrameEntry[], from: number): number | undefined {
  return from + STEP_CHUNKS < entries.length ? from + STEP_CHUNKS : undefined;
}
