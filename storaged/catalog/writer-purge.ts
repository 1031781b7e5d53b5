/**
 * Volumes that nobody needs any more, on the writing thread, where checking and acting are one step: content goes
 * volume by volume, when no kept or running job names anything on it.
 */

import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import type { Contexts } from "./writer-context.js";
import { dropGhost } from "./writer-gone.js";
import type { Needs } from "./writer-needs.js";

/** Frames removed in one transaction, so that running jobs get their turn. */
const STEP = 100;

/** Who needs a volume: kept jobs by JobId, and whether something that runs holds it. */
export interface VolumeNeed {
  jobIds: number[];
  running: boolean;
}

export class PurgeStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #needs: Needs;

  constructor(db: Db, contexts: Contexts, needs: Needs) {
    this.#db = db;
    this.#contexts = contexts;
    this.#needs = needs;
  }

  /** Who needs a volume. Jobs that are being deleted still count. */
  needOf(volume: number): VolumeNeed {
    const jobIds = this.#db
      .prepare<{ volume: number }, number>(
        `SELECT DISTINCT j.job_id FROM job j WHERE j.status IN ('T', 'W', 'R', 'D') AND j.id IN (
           SELECT job FROM job_need WHERE volume = @volume UNION SELECT job FROM job_volume WHERE volume = @volume
           UNION SELECT job FROM job_record WHERE volume = @volume) ORDER BY j.job_id`,
      )
      .pluck()
      .all({ volume });
    const contexts = [...this.#contexts.running.values()];
    const held = [...this.#contexts.held.values()].some((volumes) => volumes.has(volume));
    const running = held || contexts.some(({ pinned, needs }) => pinned.has(volume) || needs.has(volume));
    return { jobIds, running };
  }

  /**
   * Marks a volume as Purged when nobody needs it; from then on nothing on it is known, and `purgeStep` clears the
   * catalog of it. The caller makes sure that nobody writes to it. An unneeded volume in another state than those
   * that Bacula purges (Append, Full, Used, Error) stays as it is.
   */
  purgeVolume(volume: number): { purged: boolean; neededBy: number[]; running: boolean } {
    return durably(this.#db, () => {
      const { jobIds: neededBy, running } = this.needOf(volume);
      if (running || neededBy.length > 0) return { purged: false, neededBy, running };
      const { changes } = this.#db
        .prepare(
          "UPDATE volume SET status = 'Purged' WHERE id = ? AND status IN ('Append', 'Full', 'Used', 'Error')",
        )
        .run(volume);
      if (changes > 0) this.#contexts.purging.add(volume);
      return { purged: changes > 0, neededBy, running };
    });
  }

  /** Removes a part of what the catalog knows of a Purged volume; true when nothing is left. */
  purgeStep(volume: number): boolean {
    return this.#db.transaction(() => {
      const status = this.#db
        .prepare<[number], string>("SELECT status FROM volume WHERE id = ?")
        .pluck()
        .get(volume);
      if (status !== "Purged" && status !== "Recycle") return true;
      const frames = this.#db
        .prepare<[number], { id: number; job: number; raw_bytes: number; entries: Buffer }>(
          `SELECT id, job, raw_bytes, entries FROM frame WHERE volume = ? LIMIT ${STEP}`,
        )
        .all(volume);
      this.#removeFrames(frames);
      if (frames.length === STEP) return false;
      this.#db.prepare("UPDATE volume SET live_bytes = 0 WHERE id = ?").run(volume);
      return true;
    })();
  }

  #removeFrames(frames: readonly { id: number; job: number; raw_bytes: number; entries: Buffer }[]): void {
    const chunk = this.#db.prepare("DELETE FROM chunk WHERE digest = ? AND job = ? AND frame = ?");
    const drop = this.#db.prepare("DELETE FROM frame WHERE id = ?");
    for (const { id, job, raw_bytes, entries } of frames) {
      for (const { digest } of readEntries(new ByteReader(entries), raw_bytes)) chunk.run(digest, job, id);
      drop.run(id);
    }
    this.#needs.forget();
    for (const job of new Set(frames.map((frame) => frame.job))) this.#dropContents(job);
  }

  /** Lists of parts of a deleted job of which a part is gone; then the job, when nothing is left. */
  #dropContents(job: LocalJob): void {
    const ghost = this.#db.prepare("SELECT 1 FROM job WHERE id = ? AND status = 'G'").get(job) !== undefined;
    const frames = this.#db.prepare("SELECT 1 FROM frame WHERE job = ? LIMIT 1").get(job) !== undefined;
    if (!ghost || frames) return;
    const contents = this.#db
      .prepare<[number], number>("SELECT id FROM content WHERE job = ?")
      .pluck()
      .all(job);
    for (const content of contents) {
      if (this.#isWhole(content)) continue;
      this.#db.prepare("DELETE FROM content_part WHERE content = ?").run(content);
      this.#db.prepare("DELETE FROM content WHERE id = ?").run(content);
    }
    dropGhost(this.#db, job);
  }

  /** Every part that is no run of zeros has a copy somewhere. */
  #isWhole(content: number): boolean {
    const copy = this.#db.prepare("SELECT 1 FROM chunk WHERE digest = ? LIMIT 1");
    const segments = this.#db
      .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ?")
      .pluck();
    for (const list of segments.iterate(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST) && copy.get(digest) === undefined) return false;
      }
    }
    return true;
  }

  /**
   * Keeps volumes from being purged while something reads them. False when one of them is purged already, or carries
   * another label than the one it had when its places were looked up (`uuids`, in the same order).
   */
  hold(holder: string, volumes: readonly number[], uuids?: readonly string[]): boolean {
    const uuid = this.#db.prepare<[number], string>("SELECT uuid FROM volume WHERE id = ?").pluck();
    for (const [i, volume] of volumes.entries()) {
      const now = uuid.get(volume);
      if (now === undefined || this.#contexts.purging.has(volume)) return false;
      if (uuids !== undefined && uuids[i] !== now) return false;
    }
    this.#contexts.held.set(holder, new Set(volumes));
    return true;
  }

  letGo(holder: string): void {
    this.#contexts.held.delete(holder);
  }
}
