/**
 * Removal of frames with their chunks, and of lists of parts, on the writing thread: a bounded piece of work at a
 * time, so that running jobs get their turn. A frame goes after the last of its chunks, so that a step which was not
 * followed by another one is simply done again.
 */

import { PART_BYTES } from "../../common/format/content.js";
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

/** Chunks removed or looked at in one step. */
export const STEP_CHUNKS = 256;
/** What removing a segment of a list of parts, or a frame itself, counts for. */
const SEGMENT_COST = 8;

export interface StoredFrame {
  id: number;
  job: LocalJob;
  raw_bytes: number;
  entries: Buffer;
}

/** What may still be done in a step. */
export interface Budget {
  left: number;
}

/** Before which part of which list: number of the content, number of the segment, bytes into that. */
interface Position {
  content: number;
  segment: number;
  offset: number;
}

export class FrameRemoval {
  readonly #db: Db;
  /** How many chunks of a frame were removed. Forgotten when a step fails: nothing of it counts then. */
  readonly #removed = new Map<number, number>();
  /** How far lists of parts of a job were looked at. */
  readonly #looked = new Map<LocalJob, Position>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** One transaction with a budget of its own. */
  step<T>(work: (budget: Budget) => T): T {
    try {
      return this.#db.transaction(() => work({ left: STEP_CHUNKS }))();
    } catch (error) {
      this.#removed.clear();
      this.#looked.clear();
      throw error;
    }
  }

  /** Removes chunks of a frame; true when none is left, and the frame can go. */
  removeChunks({ id, job, raw_bytes, entries }: StoredFrame, budget: Budget): boolean {
    const chunk = this.#db.prepare("DELETE FROM chunk WHERE digest = ? AND job = ? AND frame = ?");
    const all = readEntries(new ByteReader(entries), raw_bytes);
    const from = this.#removed.get(id) ?? 0;
    const some = all.slice(from, from + Math.max(0, budget.left));
    for (const { digest } of some) chunk.run(digest, job, id);
    budget.left -= some.length;
    const done = from + some.length >= all.length;
    if (!done) this.#removed.set(id, from + some.length);
    return done;
  }

  removeFrame({ id }: StoredFrame, budget: Budget): void {
    this.#db.prepare("DELETE FROM frame WHERE id = ?").run(id);
    this.#removed.delete(id);
    budget.left -= SEGMENT_COST;
  }

  /** Removes lists of parts of a job that nobody sees; true when none is left. */
  removeContents(job: LocalJob, budget: Budget): boolean {
    const first = this.#db.prepare<[number], number>("SELECT id FROM content WHERE job = ? LIMIT 1").pluck();
    while (budget.left > 0) {
      const content = first.get(job);
      if (content === undefined) return true;
      this.#removeContent(content, budget);
    }
    return false;
  }

  /**
   * Removes those lists of parts of a deleted job of which `isThere` misses a part; true when all were looked at.
   * One that is to go loses its identity first: nobody ever finds a part of a list.
   */
  removeBroken(job: LocalJob, isThere: (list: Buffer) => boolean, budget: Budget): boolean {
    const next = this.#db.prepare<[number, number], { id: number; identity: Buffer | null }>(
      "SELECT id, identity FROM content WHERE job = ? AND id >= ? ORDER BY id LIMIT 1",
    );
    const segment = this.#db.prepare<[number, number], { seq: number; data: Buffer }>(
      "SELECT seq, data FROM content_part WHERE content = ? AND seq >= ? ORDER BY seq LIMIT 1",
    );
    let at: Position = this.#looked.get(job) ?? { content: 0, segment: 0, offset: 0 };
    while (budget.left > 0) {
      const content = next.get(job, at.content);
      if (content === undefined) {
        this.#looked.delete(job);
        return true;
      }
      if (content.id !== at.content) at = { content: content.id, segment: 0, offset: 0 };
      if (content.identity === null) {
        this.#removeContent(content.id, budget);
        continue;
      }
      const found = segment.get(content.id, at.segment);
      const end = at.offset + Math.ceil(budget.left) * PART_BYTES;
      const list = found?.data.subarray(at.offset, end);
      budget.left -= 1 + (list?.length ?? 0) / PART_BYTES;
      if (found === undefined || list === undefined) at = { content: content.id + 1, segment: 0, offset: 0 };
      else if (!isThere(list))
        this.#db.prepare("UPDATE content SET identity = NULL WHERE id = ?").run(content.id);
      else if (end < found.data.length) at = { ...at, segment: found.seq, offset: end };
      else at = { ...at, segment: found.seq + 1, offset: 0 };
    }
    this.#looked.set(job, at);
    return false;
  }

  #removeContent(content: number, budget: Budget): void {
    const limit = Math.max(1, Math.floor(budget.left / SEGMENT_COST));
    const { changes } = this.#db
      .prepare(
        "DELETE FROM content_part WHERE rowid IN (SELECT rowid FROM content_part WHERE content = ? LIMIT ?)",
      )
      .run(content, limit);
    budget.left -= SEGMENT_COST * (changes + 1);
    if (changes < limit) this.#db.prepare("DELETE FROM content WHERE id = ?").run(content);
  }
}
