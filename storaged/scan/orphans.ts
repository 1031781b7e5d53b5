/**
 * Frames that do not count: of jobs without an end record, and those whose content was moved elsewhere. When a kept job
 * names a chunk that is nowhere else, a frame that holds it, with the right digest, is as good as any.
 */
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import type { JobLoader } from "./load-jobs.js";
import { FRAME_GOOD } from "./scratch.js";

interface FrameRow {
  offset: number;
  job: number;
  local: number;
  raw_bytes: number;
  entries: Buffer;
}

export class Orphans {
  readonly #scratch: Db;
  readonly #jobs: JobLoader;
  #ready = false;

  constructor(scratch: Db, jobs: JobLoader) {
    this.#scratch = scratch;
    this.#jobs = jobs;
  }

  /** Makes a frame with this chunk count; false when there is none. */
  rescue(digest: Buffer, length: number): boolean {
    this.#prepare();
    const found = this.#scratch
      .prepare<[Buffer, number], { local: number; volume: number; offset: number }>(
        `SELECT p.local, o.volume, o.offset FROM orphan o JOIN plan p ON p.job = o.job
         WHERE o.digest = ? AND o.length = ? AND p.local IS NOT NULL LIMIT 1`,
      )
      .get(digest, length);
    return found !== undefined && this.#jobs.addFrame(found.local, found.volume, found.offset);
  }

  /** The index is made when it is first needed, which is hardly ever. */
  #prepare(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#scratch.exec(`CREATE TABLE orphan (digest BLOB NOT NULL, length INTEGER NOT NULL, job INTEGER NOT NULL,
      volume INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (digest, volume, offset)) WITHOUT ROWID`);
    const insert = this.#scratch.prepare("INSERT OR IGNORE INTO orphan VALUES (?, ?, ?, ?, ?)");
    const next = this.#scratch.prepare<[number, number], FrameRow>(
      `SELECT f.offset, f.job, v.local, f.raw_bytes, f.entries FROM frame f JOIN volume v ON v.id = f.volume
       WHERE f.volume = ? AND f.offset > ? AND f.state = ${FRAME_GOOD} AND f.chunks > 0 ORDER BY f.offset LIMIT 1`,
    );
    const volumes = this.#scratch.prepare<[], number>("SELECT id FROM volume").pluck().all();
    this.#scratch.transaction(() => {
      for (const volume of volumes) {
        for (let row = next.get(volume, -1); row !== undefined; row = next.get(volume, row.offset)) {
          if (this.#jobs.hasFrame(row.local, row.offset)) continue;
          for (const { digest, length } of readEntries(new ByteReader(row.entries), row.raw_bytes))
            insert.run(digest, length, row.job, volume, row.offset);
        }
      }
    })();
  }
}
