/**
 * A restore's plan while it is made, on a thread of its own: what is made first (directories, links) is handed out before
 * the rest is planned.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupError } from "../../common/errors.js";
import type { Catalog } from "../catalog/catalog.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import { asBuffer, type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import type { PlanSummary } from "./restore-plan.js";
import type { PlanMethods } from "./restore-plan-worker.js";

export interface PlanningDeps {
  catalog: Catalog;
  /** A directory for the scratch file is made here. */
  workingDirectory: string;
}

export interface PlanningRequest {
  jobUuid: string;
  jobIds: readonly number[];
  rules: readonly SelectionRule[];
  /** Planning does not stop by itself: this ends its thread. */
  signal: AbortSignal;
}

/** Of a plan that is not whole yet. */
export const NO_SUMMARY: PlanSummary = {
  files: 0,
  bytes: 0,
  failed: 0,
  volumes: [],
  volumeIds: [],
  volumeUuids: [],
};

export class RestorePlanning {
  readonly #deps: PlanningDeps;
  readonly #directory: string;
  readonly #worker: WorkerClient;
  readonly remote: Remote<PlanMethods>;
  /** Of the whole plan, once it is whole. */
  summary = NO_SUMMARY;
  /** Settles when the plan is whole and its volumes are held, or why it cannot be. */
  whole: Promise<void> = Promise.resolve();
  #jobUuid = "";
  /** Blocks of what is made first that can be sent already. */
  #makeBlocks = 0;
  #over = false;
  #wake: () => void = () => undefined;

  private constructor(deps: PlanningDeps, directory: string) {
    this.#deps = deps;
    this.#directory = directory;
    const data = { readCatalogFile: deps.catalog.file, scratch: join(directory, "plan.db") };
    this.#worker = new WorkerClient(new URL("./restore-plan-worker.js", import.meta.url), data);
    this.remote = this.#worker.remote<PlanMethods>();
  }

  /** With its thread and scratch directory: whoever makes one calls `drop`. */
  static async make(deps: PlanningDeps): Promise<RestorePlanning> {
    return new RestorePlanning(deps, await mkdtemp(join(deps.workingDirectory, "restore-")));
  }

  /** Opens the lists and goes on planning by itself. @throws BackupError NOT_FOUND; the signal's reason */
  async begin({ jobUuid, jobIds, rules, signal }: PlanningRequest): Promise<void> {
    this.#jobUuid = jobUuid;
    signal.addEventListener("abort", () => void this.#worker.close(), { once: true });
    signal.throwIfAborted();
    // What begins to be read stays readable, whatever becomes of the lists.
    await this.#deps.catalog.withListsOf(jobIds, () => this.remote.begin(jobIds, rules), signal);
    this.whole = this.#build();
    this.whole.catch(() => undefined);
  }

  /** Does not wait for the client: the catalog is read in one snapshot, which must not last. */
  async #build(): Promise<void> {
    try {
      for (let over = false; !over; this.#wake()) {
        const { makeBlocks, summary } = await this.remote.step();
        this.#makeBlocks = makeBlocks;
        this.summary = summary ?? this.summary;
        over = summary !== undefined;
      }
      const { volumeIds, volumeUuids } = this.summary;
      if (await this.#deps.catalog.writer.hold(this.#jobUuid, volumeIds, volumeUuids)) return;
      const why = "a volume was purged while the restore was planned; run it again";
      throw new BackupError("VOLUME_PURGED", why);
    } finally {
      this.#over = true;
      this.#wake();
    }
  }

  /** Blocks of directories and of entries without content, each as soon as it is planned. @throws as `whole` */
  async *makeBlocks(): AsyncGenerator<Buffer, void> {
    for (let seq = 0; ; seq++) {
      while (seq >= this.#makeBlocks && !this.#over) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (seq >= this.#makeBlocks) return this.whole;
      const block = await this.remote.madeBlock(seq);
      if (block !== undefined) yield asBuffer(block);
    }
  }

  /** Ends the thread, lets the volumes go and removes the scratch file. */
  async drop(): Promise<void> {
    await this.#worker.close();
    await this.whole.catch(() => undefined);
    await this.#deps.catalog.writer.letGo(this.#jobUuid);
    await rm(this.#directory, { recursive: true, force: true }).catch(() => undefined);
  }
}
