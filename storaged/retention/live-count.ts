/**
 * Counts what lives on volumes: content that the own rows of kept jobs name. Every kept job that needs one of the
 * volumes is walked once, block by block; what is found is noted in a scratch file, so that memory stays flat. Of
 * several copies of a content one lives: the one that the job needs its volume for.
 */

import Database from "better-sqlite3";
import { codeOf } from "../../common/errors.js";
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { BlockQueries, type BlockRow } from "../catalog/block-cursor.js";
import type { Db } from "../catalog/schema.js";
import type { LocalJob } from "../catalog/types.js";
import type { CountedJob } from "../catalog/writer-vacuum.js";
import { LiveFound } from "./live-found.js";

type Copy = [pool: number, job: number, frame: number, offset: number, length: number, damaged: number];

/** A job whose list is walked. */
interface ListedJob {
  id: LocalJob;
  /** Volumes. */
  needs: ReadonlySet<number>;
  /** Pools and clients whose content it may name: `POOL CLIENT`. */
  draws: ReadonlySet<string>;
}

export class LiveCount {
  readonly #db: Db;
  readonly #scratch: Db;
  readonly #volumes: ReadonlySet<number>;
  readonly #blocks: BlockQueries;
  readonly #todo: LocalJob[];
  readonly #statements;
  /** Volumes that cannot be read from, most likely. */
  readonly #bad: ReadonlySet<number>;
  readonly #frameVolume = new Map<number, number>();
  readonly #finished = new Map<LocalJob, boolean>();
  readonly #clients = new Map<LocalJob, string>();
  #job: (ListedJob & { last: BlockRow | undefined }) | undefined;
  readonly jobs: number;
  /** What was found; complete after the last step. */
  readonly found: LiveFound;

  /** `db` reads; `scratchFile` is made anew; `counted`: from `CountStart`, everything that has to do with the volumes. */
  constructor(db: Db, scratchFile: string, volumes: readonly number[], counted: readonly CountedJob[]) {
    this.#db = db;
    this.#volumes = new Set(volumes);
    this.#blocks = new BlockQueries(db, "list_block");
    this.#scratch = new Database(scratchFile);
    this.#scratch.pragma("journal_mode = OFF");
    this.#scratch.pragma("synchronous = OFF");
    this.#scratch.exec(`CREATE TABLE live (frame INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (frame, offset))
      WITHOUT ROWID`);
    const bad = db.prepare<[], number>("SELECT id FROM volume WHERE status = 'Error' OR enabled = 0").pluck();
    this.#bad = new Set(bad.all());
    const revisions = new Map(counted.map(({ job, revision }) => [job, revision]));
    this.#todo = [...revisions.keys()];
    this.found = new LiveFound(db, this.#scratch, revisions);
    this.jobs = this.#todo.length;
    this.#statements = {
      copies: db
        .prepare<[Buffer], Copy>(
          "SELECT pool, job, frame, offset, length, damaged FROM chunk WHERE digest = ?",
        )
        .raw(),
      dirty: db.prepare<[number], number>("SELECT dirty FROM job WHERE id = ?").pluck(),
      volume: db.prepare<[number], number>("SELECT volume FROM frame WHERE id = ?").pluck(),
      contents: db.prepare<[Buffer], { id: number; job: number; size: number }>(
        `SELECT c.id, c.job, c.size FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND j.dirty = 0`,
      ),
      parts: db
        .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ? ORDER BY seq")
        .pluck(),
      needs: db.prepare<[number], number>("SELECT volume FROM job_need WHERE job = ?").pluck(),
      draws: db
        .prepare<{ job: number }, string>(
          `SELECT pool || ' ' || client FROM job WHERE id = @job
           UNION SELECT pool || ' ' || client FROM job_draw WHERE job = @job`,
        )
        .pluck(),
      client: db.prepare<[number], string>("SELECT client FROM job WHERE id = ?").pluck(),
      note: this.#scratch.prepare("INSERT OR IGNORE INTO live VALUES (?, ?)"),
    };
  }

  get jobsLeft(): number {
    return this.#todo.length + (this.#job === undefined ? 0 : 1);
  }

  /** Looks at one more block of a list; true when all were looked at. */
  step(): boolean {
    this.#job ??= this.#nextJob();
    const job = this.#job;
    if (job === undefined) return true;
    const block = this.#nextBlock(job);
    if (block === undefined) {
      this.#job = undefined;
      return this.#todo.length === 0;
    }
    job.last = block;
    this.#scratch.transaction(() => {
      for (const { content, flags, size } of decodeBlock(block.data)) {
        if (content === undefined) continue;
        if ((flags & RowFlag.parts) === 0) this.#name(job, content, size);
        else this.#nameParts(job, content, size);
      }
    })();
    return false;
  }

  /** Undefined as well when the job goes meanwhile, or its list changes: then it goes on needing the volumes it needs. */
  #nextBlock({ id, last }: ListedJob & { last: BlockRow | undefined }): BlockRow | undefined {
    try {
      return last === undefined ? this.#blocks.first(id) : this.#blocks.next(id, last);
    } catch (error) {
      if (!["NOT_FOUND", "LIST_REWRITTEN"].includes(codeOf(error) ?? "")) throw error;
      return undefined;
    }
  }

  #nextJob() {
    const id = this.#todo.pop();
    if (id === undefined) return undefined;
    const draws = new Set(this.#statements.draws.all({ job: id }));
    return { id, needs: new Set(this.#statements.needs.all(id)), draws, last: undefined };
  }

  #clientOf(job: LocalJob): string {
    let client = this.#clients.get(job);
    if (client === undefined) {
      client = this.#statements.client.get(job) ?? "";
      if (this.#clients.size >= 20_000) this.#clients.clear();
      this.#clients.set(job, client);
    }
    return client;
  }

  #nameParts(job: ListedJob, identity: Buffer, size: number): void {
    const all = this.#statements.contents.all(identity).filter((content) => content.size === size);
    const content = all.find((one) => one.job === job.id) ?? all[0];
    if (content === undefined) return;
    for (const list of this.#statements.parts.iterate(content.id)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST)) this.#name(job, digest, list.readUInt32LE(at));
      }
    }
  }

  /** Notes the copy that the job reads, if it lies on one of the volumes. */
  #name(job: ListedJob, digest: Buffer, length: number): void {
    let best: { rank: number; frame: number; offset: number; volume: number } | undefined;
    for (const [pool, owner, frame, offset, stored, damaged] of this.#statements.copies.all(digest)) {
      if (stored !== length || !this.#isFinished(owner)) continue;
      const volume = this.#volumeOf(frame);
      let rank = damaged === 0 ? 0 : 32;
      // What runs over this one may name later: content of its own pool and client, and what it drew on itself.
      if (!job.draws.has(`${pool} ${this.#clientOf(owner)}`)) rank += 16;
      if (!job.needs.has(volume)) rank += 4;
      if (this.#bad.has(volume)) rank += 2;
      if (owner !== job.id) rank += 1;
      if (best === undefined || rank < best.rank) best = { rank, frame, offset, volume };
    }
    if (best !== undefined && this.#volumes.has(best.volume))
      this.#statements.note.run(best.frame, best.offset);
  }

  /** What a running job has stored may go again with it: nobody else may come to rely on that. */
  #isFinished(job: LocalJob): boolean {
    let finished = this.#finished.get(job);
    if (finished === undefined) {
      finished = this.#statements.dirty.get(job) === 0;
      if (this.#finished.size >= 20_000) this.#finished.clear();
      this.#finished.set(job, finished);
    }
    return finished;
  }

  #volumeOf(frame: number): number {
    let volume = this.#frameVolume.get(frame);
    if (volume === undefined) {
      volume = this.#statements.volume.get(frame) ?? 0;
      if (this.#frameVolume.size >= 20_000) this.#frameVolume.clear();
      this.#frameVolume.set(frame, volume);
    }
    return volume;
  }

  close(): void {
    this.#scratch.close();
    this.#db.close();
  }
}
