/** Where the content that a row names lies in the catalog that is being made. */
import type { Db } from "../catalog/schema.js";

/** Frames whose volume is remembered. */
const FRAME_CACHE = 50_000;

/** Content that the new catalog has. */
export interface ChunkCopy {
  volume: number;
  pool: number;
  /** Number of the job that stored it. */
  owner: number;
}

/** Remembers where the frames lie that it met, a bounded number of them. */
export class ChunkFinder {
  readonly #copies;
  readonly #frame;
  readonly #volumes = new Map<number, number>();

  constructor(db: Db) {
    this.#copies = db
      .prepare<[Buffer], [number, number, number, number]>(
        "SELECT pool, job, length, frame FROM chunk WHERE digest = ?",
      )
      .raw();
    this.#frame = db.prepare<[number], number>("SELECT volume FROM frame WHERE id = ?").pluck();
  }

  /** Where a copy lies and whose it is: of the job's own before others; undefined when there is none. */
  find(job: number, digest: Buffer, length: number): ChunkCopy | undefined {
    let found: { pool: number; owner: number; frame: number } | undefined;
    for (const [pool, owner, stored, frame] of this.#copies.all(digest)) {
      if (stored !== length) continue;
      if (found === undefined || owner === job) found = { pool, owner, frame };
    }
    const volume = found === undefined ? undefined : this.#volume(found.frame);
    return found === undefined || volume === undefined ? undefined : { ...found, volume };
  }

  #volume(frame: number): number | undefined {
    let volume = this.#volumes.get(frame);
    if (volume === undefined) {
      volume = this.#frame.get(frame);
      if (volume === undefined) return undefined;
      if (this.#volumes.size >= FRAME_CACHE) this.#volumes.clear();
      this.#volumes.set(frame, volume);
    }
    return volume;
  }
}
