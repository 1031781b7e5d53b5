/**
 * The catalog as the daemon's main thread sees it: one thread writes, another reads for lists and consoles, so that
 * jobs and consoles do not wait for each other; a third one tidies up behind the first (checkpoints.ts). Restores read with connections of their own.
 */

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { PlanJob } from "../retention/closure.js";
import type { WriterMethods } from "./catalog-worker.js";
import type { CheckpointMethods } from "./checkpoint-worker.js";
import { Checkpoints } from "./checkpoints.js";
import type { ListedEntry } from "./listing-types.js";
import type { JobQuery } from "./queries.js";
import type { ReaderMethods } from "./reader-worker.js";
import type { JobListing, LocalJob, Splice } from "./types.js";
import { asBuffer, type Remote, WorkerClient } from "./worker-rpc.js";

/** Brings dropped lists back for those who read them, and keeps them meanwhile (retention/list-keeper.ts). */
export interface ListsKept {
  using<T>(jobs: readonly LocalJob[], work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Drops the list of a job; the reason why it stays, or undefined when it is dropped. */
  drop(job: LocalJob, signal?: AbortSignal): Promise<string | undefined>;
}

/** Jobs listed in one step of the reading thread. */
const PAGE_JOBS = 100;

export class Catalog {
  readonly file: string;
  /** Without one, dropped lists stay on their volumes: reading one is an error. */
  keeper: ListsKept | undefined;
  readonly writer: Remote<WriterMethods>;
  readonly reader: Remote<ReaderMethods>;
  readonly #writing: WorkerClient;
  readonly #reading: WorkerClient;
  readonly #copying: WorkerClient;
  readonly #checkpoints: Checkpoints;

  private constructor(file: string, onDeath: (error: Error) => void) {
    this.file = file;
    this.#writing = new WorkerClient(
      new URL("./catalog-worker.js", import.meta.url),
      { catalog: file },
      onDeath,
    );
    this.#reading = new WorkerClient(
      new URL("./reader-worker.js", import.meta.url),
      { readCatalog: file },
      onDeath,
    );
    this.#copying = new WorkerClient(
      new URL("./checkpoint-worker.js", import.meta.url),
      { checkpointOf: file },
      onDeath,
    );
    this.#checkpoints = new Checkpoints({
      copier: this.#copying.remote<CheckpointMethods>(),
      finish: () => this.#writing.remote<WriterMethods>().finishLog(),
    });
    this.writer = this.#writing.remote<WriterMethods>(() => this.#checkpoints.noteWrite());
    this.reader = this.#reading.remote<ReaderMethods>();
  }

  /**
   * Opens or makes the catalog; `onDeath` hears when a thread of it ends by itself: nothing can go on then.
   * @throws BackupError CATALOG_UNUSABLE, CATALOG_TOO_NEW
   */
  static async open(file: string, onDeath: (error: Error) => void): Promise<Catalog> {
    mkdirSync(dirname(file), { recursive: true });
    const catalog = new Catalog(file, onDeath);
    try {
      await catalog.writer.open();
      await catalog.reader.open();
    } catch (error) {
      await catalog.close();
      throw error;
    }
    return catalog;
  }

  /**
   * List blocks one by one; leaving the loop closes the handle. `effective`: layers of a list, looked up before, that
   * no running job keeps from being rewritten.
   * @throws BackupError LIST_REWRITTEN when they are others by now, or become others meanwhile
   */
  async *blocks(
    layers: readonly LocalJob[],
    stateOf?: LocalJob,
    effective: readonly LocalJob[] = [],
    splice?: Splice,
  ): AsyncGenerator<Buffer, void> {
    yield* blocksOf(this.reader, await this.reader.openBlocks([...layers], stateOf, [...effective], splice));
  }

  /** Blocks of the rows that make the list of `wanted` out of that of `lower` (layers, top first). */
  async *difference(wanted: readonly LocalJob[], lower: readonly LocalJob[]): AsyncGenerator<Buffer, void> {
    yield* blocksOf(this.reader, await this.reader.openDifference([...wanted], [...lower]));
  }

  /** Blocks of a run's state stream. */
  async *states(job: LocalJob): AsyncGenerator<Buffer, void> {
    yield* blocksOf(this.reader, await this.reader.openStates(job));
  }

  /**
   * Runs `work` while the lists of these jobs are here: those that were dropped are read from their volumes first.
   * @throws BackupError LIST_UNREADABLE; the signal's reason
   */
  withLists<T>(jobs: readonly LocalJob[], work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.keeper === undefined ? work() : this.keeper.using(jobs, work, signal);
  }

  /** As `withLists`, for JobIds with everything that they lie over; unknown ones are left to `work`. */
  async withListsOf<T>(jobIds: readonly number[], work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.withLists(await this.reader.listsOf([...jobIds]), work, signal);
  }

  /** Jobs, newest first; all of them in steps, so that other questions get their turn. */
  async listJobs(query: JobQuery): Promise<JobListing[]> {
    const found: JobListing[] = [];
    for (;;) {
      const left = query.limit > 0 ? query.limit - found.length : PAGE_JOBS;
      const below = found.at(-1)?.id ?? 0;
      const page = await this.reader.listJobs({ ...query, limit: Math.min(left, PAGE_JOBS) }, below);
      found.push(...page);
      if (page.length < PAGE_JOBS || found.length === query.limit) return found;
    }
  }

  /** All runs that retention decides about, as the planner wants them; read in steps. */
  async retentionJobs(): Promise<PlanJob[]> {
    const found: PlanJob[] = [];
    for (;;) {
      const page = await this.reader.retentionJobs(found.at(-1)?.id ?? 0, PAGE_JOBS);
      found.push(...page);
      if (page.length < PAGE_JOBS) return found;
    }
  }

  /** Pages of a handle from openEntries or openFind, which is closed at the end. @throws also the signal's reason */
  async *pages(
    handle: number,
    next: (handle: number) => Promise<ListedEntry[] | undefined>,
    signal?: AbortSignal,
  ): AsyncGenerator<ListedEntry[], void> {
    try {
      for (;;) {
        const page = await next(handle);
        // A search may go through many lists without finding anything.
        signal?.throwIfAborted();
        if (page === undefined) return;
        if (page.length > 0) yield page;
      }
    } finally {
      await this.reader.closeHandle(handle).catch(() => undefined);
    }
  }

  /** Ends all threads after the calls already sent. */
  async close(): Promise<void> {
    await this.reader.close().catch(() => undefined);
    await this.#reading.close();
    await this.#checkpoints.close();
    await this.writer.close().catch(() => undefined);
    await this.#writing.close();
    // The last one: see Syncer.
    await this.#copying.call("close", []).catch(() => undefined);
    await this.#copying.close();
  }
}

async function* blocksOf(reader: Remote<ReaderMethods>, handle: number): AsyncGenerator<Buffer, void> {
  try {
    for (;;) {
      const block = await reader.nextBlock(handle);
      if (block === undefined) return;
      // A step without a block: others had their turn.
      if (block.length > 0) yield asBuffer(block);
    }
  } finally {
    await reader.closeHandle(handle).catch(() => undefined);
  }
}
