/** Frames and chunks, and what is known of them, on the writing thread. */

import { DIGEST_BYTES, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { type FrameEntry, readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import type { Db } from "./schema.js";
import type { FrameRow, LocalJob } from "./types.js";
import { asBuffer } from "./worker-rpc.js";
import { type Contexts, isRewrite, type JobContext } from "./writer-context.js";
import { addNeed, type ContentNeeds, type DrawMap, type NeedMap, type Needs } from "./writer-needs.js";

/** One stored copy of a chunk. */
type ChunkCopy = [pool: number, job: number, length: number, damaged: number, frame: number];

export class ContentStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #needs: Needs;
  readonly #copies;
  readonly #copiesInPool;
  readonly #contentCopies;
  readonly #anyDamage;
  readonly #segments;
  readonly #insertFrame;
  readonly #insertChunk;

  constructor(db: Db, contexts: Contexts, needs: Needs) {
    this.#db = db;
    this.#contexts = contexts;
    this.#needs = needs;
    const copies = "SELECT pool, job, length, damaged, frame FROM chunk WHERE digest = ?";
    this.#copies = db.prepare<[Buffer], ChunkCopy>(copies).raw();
    this.#copiesInPool = db.prepare<[Buffer, number], ChunkCopy>(`${copies} AND pool = ?`).raw();
    this.#contentCopies = db
      .prepare<[Buffer], [number, number, number, number]>(
        "SELECT pool, job, size, id FROM content WHERE identity = ?",
      )
      .raw();
    this.#anyDamage = db.prepare("SELECT 1 FROM chunk WHERE damaged = 1 LIMIT 1").pluck();
    this.#segments = db
      .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ? ORDER BY seq")
      .pluck();
    this.#insertFrame = db.prepare(
      "INSERT INTO frame(job, volume, offset, bytes, raw_bytes, entries) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#insertChunk = db.prepare("INSERT OR IGNORE INTO chunk VALUES (?, ?, ?, ?, ?, ?, 0)");
  }

  /** Records verified frames that lie on a volume, with their chunks in digest order. */
  addFrames(job: LocalJob, frames: readonly FrameRow[]): void {
    const context = this.#contexts.get(job);
    this.#db.transaction(() => {
      const chunks: { entry: FrameEntry; frame: number }[] = [];
      for (const { volume, offset, bytes, rawBytes, entries } of frames) {
        const list = asBuffer(entries);
        const { lastInsertRowid } = this.#insertFrame.run(job, volume, offset, bytes, rawBytes, list);
        context.pinned.add(volume);
        for (const entry of readEntries(new ByteReader(list), rawBytes)) {
          chunks.push({ entry, frame: Number(lastInsertRowid) });
        }
      }
      chunks.sort((a, b) => Buffer.compare(a.entry.digest, b.entry.digest));
      for (const { entry, frame } of chunks) {
        const { digest, offset, length } = entry;
        const { changes } = this.#insertChunk.run(digest, context.pool, job, frame, offset, length);
        context.counts.newContent += changes;
        if (changes > 0)
          context.recent.note(this.#needs.epoch, digest, {
            volume: this.#needs.volumeOf(frame),
            length,
            owner: job,
          });
      }
    })();
  }

  /** One byte per digest or parts identity: 1 when the job need not send it. */
  known(job: LocalJob, digests: Uint8Array): Uint8Array {
    const context = this.#contexts.get(job);
    const all = asBuffer(digests);
    const answer = new Uint8Array(all.length / DIGEST_BYTES);
    if (context.selfContained || (!context.deduplicate && context.earlier.size === 0)) return answer;
    // One transaction: SQLite takes and gives back its locks once, not for every question.
    this.#db.transaction(() => {
      for (let i = 0; i < answer.length; i++) {
        const digest = all.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES);
        if (this.#knowsChunk(context, digest) || this.#knowsContent(context, digest)) answer[i] = 1;
      }
    })();
    return answer;
  }

  #knowsChunk(context: JobContext, digest: Buffer): boolean {
    const copies = this.#copiesInPool.all(digest, context.pool);
    for (const [, owner, length, damaged, frame] of copies) {
      if (damaged !== 0 || !this.#contexts.mayKnow(context, owner)) continue;
      const volume = this.#needs.volumeOf(frame);
      if (this.#contexts.purging.has(volume)) continue;
      context.pinned.add(volume);
      context.recent.note(this.#needs.epoch, digest, { volume, length, owner });
      return true;
    }
    return false;
  }

  #knowsContent(context: JobContext, identity: Buffer): boolean {
    const copies = this.#contentCopies.all(identity);
    return copies.some(
      ([pool, owner, , id]) =>
        pool === context.pool && this.#contexts.mayKnow(context, owner) && this.#knowsParts(context, id),
    );
  }

  /** Every part has an undamaged copy; they are pinned. */
  #knowsParts(context: JobContext, content: number): boolean {
    const known = this.#anyDamage.get() === undefined ? this.#needs.ofContent(content)?.needs : undefined;
    if (known !== undefined && ![...known.keys()].some((volume) => this.#contexts.purging.has(volume))) {
      for (const volume of known.keys()) context.pinned.add(volume);
      return true;
    }
    for (const list of this.#segments.iterate(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST) && !this.#knowsChunk(context, digest)) return false;
      }
    }
    return true;
  }

  /**
   * The volume of a copy of this chunk that rows and parts of the job may name, its own first, then one in its pool;
   * undefined when there is none of this length. A list that is written anew names what it named before: for it a
   * damaged copy is better than none.
   */
  volumeOfChunk(
    context: JobContext,
    digest: Buffer,
    length: number,
    draws: DrawMap = context.draws,
  ): number | undefined {
    const recent = context.recent.get(this.#needs.epoch, digest);
    if (recent?.length === length && !this.#contexts.purging.has(recent.volume)) {
      this.#contexts.noteDraw(draws, context, context.pool, recent.owner);
      return recent.volume;
    }
    let found: { volume: number; pool: number; owner: LocalJob; rank: number } | undefined;
    for (const [pool, owner, stored, damaged, frame] of this.#copies.all(digest)) {
      if (stored !== length || !this.#contexts.mayName(context, pool, owner)) continue;
      // A note that the chunk is nowhere is no copy.
      if (damaged !== 0 && (!isRewrite(context) || frame === 0)) continue;
      const volume = this.#needs.volumeOf(frame);
      if (this.#contexts.purging.has(volume)) continue;
      const own = owner === context.id ? 2 : pool === context.pool ? 1 : 0;
      const rank = damaged === 0 ? 4 + own : own;
      if (found === undefined || rank > found.rank) found = { volume, pool, owner, rank };
    }
    if (found !== undefined) this.#contexts.noteDraw(draws, context, found.pool, found.owner);
    return found?.volume;
  }

  /** What a content in parts needs, the job's own list first, then one of its pool; undefined when it may not be named. */
  needsOfContent(context: JobContext, identity: Buffer, size: number): ContentNeeds | undefined {
    let found: { id: number; pool: number; owner: LocalJob; rank: number } | undefined;
    for (const [pool, owner, stored, id] of this.#contentCopies.all(identity)) {
      if (stored !== size || !this.#contexts.mayName(context, pool, owner)) continue;
      const rank = owner === context.id ? 2 : pool === context.pool ? 1 : 0;
      if (found === undefined || rank > found.rank) found = { id, pool, owner, rank };
    }
    if (found === undefined) return undefined;
    this.#contexts.noteDraw(context.draws, context, found.pool, found.owner);
    return this.#needs.ofContent(found.id) ?? this.#countParts(context, found.id);
  }

  #countParts(context: JobContext, content: number): ContentNeeds | undefined {
    const needs: NeedMap = new Map();
    const draws: DrawMap = new Map();
    const lost: { digest: Buffer; length: number }[] = [];
    for (const list of this.#segments.iterate(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (digest.equals(ZERO_DIGEST)) continue;
        const length = list.readUInt32LE(at);
        const volume = this.volumeOfChunk(context, digest, length, draws);
        if (volume !== undefined) addNeed(needs, volume, 1, length);
        else if (isRewrite(context)) lost.push({ digest, length });
        else return undefined;
      }
    }
    for (const { digest, length } of lost) this.noteLost(context, digest, length);
    // Damaged copies may be among them: no other job may rely on these.
    return isRewrite(context) ? { needs, draws } : this.#needs.remember(content, { needs, draws });
  }

  /** Content that a list which is written anew names, and that is on no volume: the next backup that meets it stores it. */
  noteLost(context: JobContext, digest: Buffer, length: number): void {
    this.#db
      .prepare(
        "INSERT OR IGNORE INTO chunk SELECT @digest, pool, id, 0, 0, @length, 1 FROM job WHERE id = @job",
      )
      .run({ digest, length, job: -context.id });
  }

  /** The same list of parts in the same pool, by a job that this one may know, or by this very job. */
  storedBefore(context: JobContext, identity: Buffer): boolean {
    const copies = this.#contentCopies.all(identity);
    return copies.some(([pool, owner]) => pool === context.pool && this.#contexts.mayKnow(context, owner));
  }
}
