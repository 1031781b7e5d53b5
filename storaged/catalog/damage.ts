/**
 * What the catalog knows to be damaged: chunks whose frame was found bad, or that are on no volume at all. Lists that
 * are sent to a file daemon carry it, so that such files are read again and stored anew; once another copy is there,
 * everything that names the content has it again.
 */

import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { type Row, RowFlag } from "../../common/format/row.js";
import { BlockWriter, decodeBlock } from "../../common/format/row-block.js";
import type { BlockSource } from "./lists.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

/** Asks one connection which content is lost. Nothing is asked per row while nothing is damaged. */
export class Damage {
  readonly #any;
  readonly #damaged;
  readonly #good;
  readonly #content;
  readonly #segments;

  constructor(db: Db) {
    this.#any = db.prepare<[], number>("SELECT 1 FROM chunk WHERE damaged = 1 LIMIT 1").pluck();
    this.#damaged = db
      .prepare<[Buffer], number>("SELECT 1 FROM chunk WHERE digest = ? AND damaged = 1 LIMIT 1")
      .pluck();
    this.#good = db
      .prepare<[Buffer], number>(
        "SELECT 1 FROM chunk c JOIN job j ON j.id = c.job WHERE c.digest = ? AND c.damaged = 0 AND j.dirty = 0 LIMIT 1",
      )
      .pluck();
    this.#content = db
      .prepare<[Buffer], number>(
        "SELECT c.id FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND j.dirty = 0 LIMIT 1",
      )
      .pluck();
    this.#segments = db
      .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ? ORDER BY seq")
      .pluck();
  }

  get any(): boolean {
    return this.#any.get() !== undefined;
  }

  /** True when bytes of the row's file are on no volume in good state. */
  isLost(row: Row): boolean {
    if (row.content === undefined) return false;
    if ((row.flags & RowFlag.parts) === 0) return this.#isLostChunk(row.content);
    const content = this.#content.get(row.content);
    if (content === undefined) return true;
    for (const list of this.#segments.iterate(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST) && this.#isLostChunk(digest)) return true;
      }
    }
    return false;
  }

  #isLostChunk(digest: Buffer): boolean {
    return this.#damaged.get(digest) !== undefined && this.#good.get(digest) === undefined;
  }
}

/** A list's blocks, with rows marked whose content is lost. A block without such rows passes as it is. */
export class MarkedBlocks implements BlockSource {
  readonly #source: BlockSource;
  readonly #damage: Damage;

  constructor(source: BlockSource, damage: Damage) {
    this.#source = source;
    this.#damage = damage;
  }

  next(): Buffer | undefined {
    const block = this.#source.next();
    if (block === undefined) return undefined;
    const rows = decodeBlock(block);
    let lost = 0;
    for (const row of rows) {
      if (!this.#damage.isLost(row)) continue;
      row.flags |= RowFlag.damaged;
      lost++;
    }
    if (lost === 0) return block;
    const writer = new BlockWriter({ state: (block[1]! & 2) !== 0 });
    for (const row of rows) writer.add(row);
    return writer.finish();
  }
}

/**
 * Part of a job's commit: what it stored may stand in for damaged copies, so that jobs which need the volume of such
 * a copy need the new one as well. It may name more jobs than those that use the chunk, never fewer.
 */
export function shareHealed(db: Db, job: LocalJob): void {
  if (db.prepare("SELECT 1 FROM chunk WHERE damaged = 1 LIMIT 1").get() === undefined) return;
  db.prepare(
    `INSERT OR IGNORE INTO job_need
     SELECT n.job, healed.new, 0, 0 FROM (
       SELECT DISTINCT old.volume AS old, new.volume AS new FROM chunk d
       CROSS JOIN chunk g ON g.digest = d.digest AND g.job = @job AND g.damaged = 0
       CROSS JOIN frame new ON new.id = g.frame CROSS JOIN frame old ON old.id = d.frame
       WHERE d.damaged = 1) healed
     JOIN job_need n ON n.volume = healed.old`,
  ).run({ job });
  // Content that was on no volume at all is noted once per job that names it, and the note has served its purpose.
  db.prepare(
    `INSERT OR IGNORE INTO job_need
     SELECT DISTINCT d.job, new.volume, 0, 0 FROM chunk d
     CROSS JOIN chunk g ON g.digest = d.digest AND g.job = @job AND g.damaged = 0
     CROSS JOIN frame new ON new.id = g.frame JOIN job j ON j.id = d.job
     WHERE d.damaged = 1 AND d.frame = 0`,
  ).run({ job });
  db.prepare(
    `DELETE FROM chunk WHERE damaged = 1 AND frame = 0 AND EXISTS
     (SELECT 1 FROM chunk g WHERE g.digest = chunk.digest AND g.job = ? AND g.damaged = 0)`,
  ).run(job);
}
