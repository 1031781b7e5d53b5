/**
 * File lists that left the catalog (File Retention) and are on their volumes only. Whoever reads lists says so here:
 * what is missing is read again from the job's manifest and stays until the work is done. A list is dropped only when
 * nobody reads it, and after its manifest has been read and found to say the same.
 */

import { codeOf, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import type { Catalog, ListsKept } from "../catalog/catalog.js";
import type { DroppedList } from "../catalog/kept-lists.js";
import type { LocalJob } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { readManifest, type StartReload, startReload } from "./manifest-read.js";

export interface ListKeeperOptions {
  catalog: Catalog;
  store: Store;
  devices: () => ReadonlyMap<string, DeviceResource>;
  log: Log;
  /** (Default: in a thread of its own) */
  start?: StartReload;
}

export class ListKeeper implements ListsKept {
  readonly #options: ListKeeperOptions;
  /** How many are reading a job's list. */
  readonly #uses = new Map<LocalJob, number>();
  /** A drop or a load under way; never rejects. */
  readonly #turns = new Map<LocalJob, Promise<void>>();

  constructor(options: ListKeeperOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` while all of these lists are in the catalog.
   * @throws BackupError LIST_UNREADABLE naming the job and the volume; the signal's reason; what `work` throws
   */
  async using<T>(jobs: readonly LocalJob[], work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (const job of jobs) this.#uses.set(job, (this.#uses.get(job) ?? 0) + 1);
    try {
      for (const job of jobs) await this.#turns.get(job);
      const { reader } = this.#options.catalog;
      for (const { job } of await reader.droppedLists([...jobs])) await this.#ensure(job, signal);
      return await work();
    } finally {
      for (const job of jobs) {
        const left = this.#uses.get(job)! - 1;
        if (left === 0) this.#uses.delete(job);
        else this.#uses.set(job, left);
      }
    }
  }

  /** Of several that want the same list one loads it. */
  async #ensure(job: LocalJob, signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      await this.#turns.get(job);
      const [list] = await this.#options.catalog.reader.droppedLists([job]);
      if (list === undefined) return;
      if (!this.#turns.has(job)) return this.#inTurn(job, () => this.#load(list, signal));
    }
  }

  async #inTurn<T>(job: LocalJob, work: () => Promise<T>): Promise<T> {
    const done = work();
    const turn = done.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(job, turn);
    try {
      return await done;
    } finally {
      this.#turns.delete(job);
    }
  }

  async #load(list: DroppedList, signal: AbortSignal | undefined): Promise<void> {
    const { catalog, log } = this.#options;
    const { writer } = catalog;
    await this.#clear(list.job);
    await writer.beginLoad(list.job);
    let seq = 0;
    try {
      await this.#read({ ...list, compare: false }, signal, async (blocks) => {
        if (blocks.length > 0) await writer.addLoaded(list.job, seq, blocks);
        seq += blocks.length;
      });
      await writer.finishLoad(list.job);
      log.info(`the file list of JobId ${list.jobId} was read from its volumes: ${list.rows} rows`);
    } catch (error) {
      await this.#clear(list.job).catch(() => undefined);
      throw error;
    }
  }

  async #clear(job: LocalJob): Promise<void> {
    while (!(await this.#options.catalog.writer.clearList(job))) await new Promise(setImmediate);
  }

  #read(
    order: Parameters<typeof readManifest>[1],
    signal: AbortSignal | undefined,
    take: Parameters<typeof readManifest>[3],
  ): Promise<void> {
    const { catalog, store, devices, start = startReload } = this.#options;
    return readManifest({ catalog, store, devices, start }, order, signal, take);
  }

  /**
   * Drops the list of a finished job; the reason why it stays, or undefined when it is dropped.
   * @throws BackupError of the catalog; the signal's reason
   */
  async drop(job: LocalJob, signal?: AbortSignal): Promise<string | undefined> {
    const { catalog } = this.#options;
    if (this.#isUsed(job)) return IN_USE;
    return this.#inTurn(job, async () => {
      const list = await catalog.reader.listFacts(job);
      if (list === undefined) return "the job was deleted meanwhile";
      const [dropped] = await catalog.reader.droppedLists([job]);
      if (dropped !== undefined) return undefined;
      try {
        await this.#read({ ...list, compare: true }, signal, async () => undefined);
        // Those who came meanwhile wait: the list would have to be read again at once.
        if (this.#uses.has(job)) return IN_USE;
        while (!(await catalog.writer.dropList(job))) await new Promise(setImmediate);
        return undefined;
      } catch (error) {
        signal?.throwIfAborted();
        const code = codeOf(error) ?? "";
        if (!STAYS.includes(code)) throw error;
        return describeError(error);
      }
    });
  }

  #isUsed(job: LocalJob): boolean {
    return this.#uses.has(job) || this.#turns.has(job);
  }
}

const IN_USE = "its list is being read";
/** Codes of what keeps one list, and not the whole prune, from going. */
const STAYS: readonly string[] = ["LIST_UNREADABLE", "LIST_NEEDED", "LIST_REWRITTEN", "NOT_FOUND"];
