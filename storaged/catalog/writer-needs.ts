/** Which volumes content lies on: what a job cannot do without. On the writing thread. */

import { BackupError } from "../../common/errors.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

export interface Need {
  chunks: number;
  bytes: number;
}
/** By volume. */
export type NeedMap = Map<number, Need>;

/** A pool and a client whose content is named. */
export interface Draw {
  pool: number;
  client: string;
}
/** By any key that is the same for the same pair. */
export type DrawMap = Map<string, Draw>;

/** What a content in parts needs. */
export interface ContentNeeds {
  needs: NeedMap;
  draws: DrawMap;
}

const MAX_FRAMES = 20_000;
const MAX_CONTENTS = 512;

export function addNeed(needs: NeedMap, volume: number, chunks: number, bytes: number): void {
  const need = needs.get(volume);
  if (need === undefined) {
    needs.set(volume, { chunks, bytes });
    return;
  }
  need.chunks += chunks;
  need.bytes += bytes;
}

/** Looks up and remembers a bounded number of places. */
export class Needs {
  readonly #db: Db;
  readonly #frameVolume;
  readonly #frames = new Map<number, number>();
  readonly #contents = new Map<number, ContentNeeds>();
  /** Another one after each `forget`. */
  epoch = 0;

  constructor(db: Db) {
    this.#db = db;
    this.#frameVolume = db.prepare<[number], number>("SELECT volume FROM frame WHERE id = ?").pluck();
  }

  /** Volume of a frame. */
  volumeOf(frame: number): number {
    let volume = this.#frames.get(frame);
    if (volume === undefined) {
      volume = this.#frameVolume.get(frame) ?? 0;
      if (this.#frames.size >= MAX_FRAMES) this.#frames.clear();
      this.#frames.set(frame, volume);
    }
    return volume;
  }

  /** What a content in parts needs, if it was counted lately. */
  ofContent(content: number): ContentNeeds | undefined {
    return this.#contents.get(content);
  }

  remember(content: number, needs: ContentNeeds): ContentNeeds {
    if (this.#contents.size >= MAX_CONTENTS) this.#contents.delete(this.#contents.keys().next().value!);
    this.#contents.set(content, needs);
    return needs;
  }

  /** Frames were moved or removed, or content was found damaged. */
  forget(): void {
    this.epoch++;
    this.#frames.clear();
    this.#contents.clear();
  }

  /** Pools and clients that lists of these jobs draw on besides their own. */
  drawsOf(jobs: Iterable<LocalJob>): Draw[] {
    const query = this.#db.prepare<[number], Draw>("SELECT pool, client FROM job_draw WHERE job = ?");
    return [...jobs].flatMap((job) => query.all(job));
  }

  /**
   * Writes down what a job needs, replacing what stood there. Part of its commit: checks once more that all of it
   * is there. @throws BackupError CONTENT_GONE
   */
  record(job: LocalJob, { needs, draws }: ContentNeeds): void {
    const status = this.#db.prepare<[number], string>("SELECT status FROM volume WHERE id = ?").pluck();
    this.#db.prepare("DELETE FROM job_need WHERE job = ?").run(job);
    this.#db.prepare("DELETE FROM job_draw WHERE job = ?").run(job);
    const draw = this.#db.prepare("INSERT INTO job_draw VALUES (?, ?, ?)");
    for (const { pool, client } of draws.values()) draw.run(job, pool, client);
    const insert = this.#db.prepare("INSERT INTO job_need VALUES (?, ?, ?, ?)");
    for (const [volume, { chunks, bytes }] of needs) {
      const now = status.get(volume);
      if (now === undefined || now === "Purged" || now === "Recycle") {
        throw new BackupError(
          "CONTENT_GONE",
          "content that the job builds on was removed while it ran; run it again",
        );
      }
      insert.run(job, volume, chunks, bytes);
    }
  }
}
