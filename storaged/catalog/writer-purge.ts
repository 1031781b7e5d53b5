/**
 * Volumes that nobody needs any more, on the writing thread, where checking and acting are one step: content goes
 * volume by volume, when no kept or running job names anything on it.
 */

import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { type Budget, FrameRemoval, type StoredFrame } from "./frame-removal.js";
import { type Db, durably } from "./schema.js";
import type { Contexts } from "./writer-context.js";
import { dropGhost } from "./writer-gone.js";
import type { Needs } from "./writer-needs.js";

/** Who needs a volume: kept jobs by JobId, and whether something that runs holds it. */
export interface VolumeNeed {
  jobIds: number[];
  running: boolean;
}

export class PurgeStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #needs: Needs;
  readonly #removal: FrameRemoval;
  /** Volumes that are being cleared. */
  readonly #clearing = new Set<number>();

  constructor(db: Db, contexts: Contexts, needs: Needs) {
    this.#removal = new FrameRemoval(db);
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
    return this.#removal.step((budget) => {
      const status = this.#db
        .prepare<[number], string>("SELECT status FROM volume WHERE id = ?")
        .pluck()
        .get(volume);
      if (status !== "Purged" && status !== "Recycle") return true;
      // Nothing there may be named any more, whatever made the volume a purged one.
      if (!this.#clearing.has(volume)) this.#needs.forget();
      this.#clearing.add(volume);
      this.#contexts.purging.add(volume);
      const next = this.#db.prepare<[number], StoredFrame>(
        "SELECT id, job, raw_bytes, entries FROM frame WHERE volume = ? LIMIT 1",
      );
      while (budget.left > 0) {
        const frame = next.get(volume);
        if (frame === undefined) {
          this.#clearing.delete(volume);
          this.#db.prepare("UPDATE volume SET live_bytes = 0 WHERE id = ?").run(volume);
          return true;
        }
        if (!this.#remove(frame, budget)) return false;
      }
      return false;
    });
  }

  /**
   * Removes a frame and, with the last one of a deleted job, its lists of parts of which a part is gone; then the
   * job, when nothing is left. True when the frame is gone.
   */
  #remove(frame: StoredFrame, budget: Budget): boolean {
    const { id, job } = frame;
    if (!this.#removal.removeChunks(frame, budget)) return false;
    const ghost = this.#db.prepare("SELECT 1 FROM job WHERE id = ? AND status = 'G'").get(job) !== undefined;
    const others = this.#db.prepare("SELECT 1 FROM frame WHERE job = ? AND id <> ? LIMIT 1").get(job, id);
    const last = ghost && others === undefined;
    const isThere = (list: Buffer): boolean => this.#areThere(list);
    if (last && !this.#removal.removeBroken(job, isThere, budget)) return false;
    this.#removal.removeFrame(frame, budget);
    if (last) dropGhost(this.#db, job);
    return true;
  }

  /** Every part that is no run of zeros has a copy on a volume that stays. */
  #areThere(list: Buffer): boolean {
    const copies = this.#db.prepare<[Buffer], number>("SELECT frame FROM chunk WHERE digest = ?").pluck();
    for (let at = 0; at < list.length; at += PART_BYTES) {
      const digest = list.subarray(at + 4, at + PART_BYTES);
      if (digest.equals(ZERO_DIGEST)) continue;
      const stays = (frame: number) => !this.#contexts.purging.has(this.#needs.volumeOf(frame));
      if (!copies.all(digest).some(stays)) return false;
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
