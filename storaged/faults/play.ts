/**
 * One storage daemon under test together with what is known about its jobs: which must be there and what they
 * restore to, which must be gone, and which may be either because the daemon ended before it could say.
 */

import assert from "node:assert/strict";
import type { JobListing } from "../catalog/types.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import type { MemoryStoreOptions } from "../store/memory-store.js";
import { catalogFaults, spaceFaults } from "./consistency.js";
import { Disk, type Image } from "./disk.js";
import type { CommitHook } from "./near-catalog.js";
import { NearDaemon, type Outcome, type Wanted } from "./near-daemon.js";
import { differences, type ModelTree, type Snapshot } from "./tree.js";

/**
 * kept: it was acknowledged; gone: it failed or its deletion was acknowledged; open: a step that decides it was
 * begun and not answered.
 */
export type JobState = "kept" | "open" | "gone";

export interface KnownJob {
  snapshot: Snapshot;
  state: JobState;
}

/** What is known about all jobs at one moment. */
export class Ledger {
  readonly jobs: Map<number, KnownJob>;

  constructor(jobs: ReadonlyMap<number, KnownJob> = new Map()) {
    this.jobs = new Map([...jobs].map(([id, job]) => [id, { ...job }]));
  }

  copy(): Ledger {
    return new Ledger(this.jobs);
  }

  get nextJobId(): number {
    return Math.max(0, ...this.jobs.keys()) + 1;
  }

  begin(jobId: number, snapshot: Snapshot): void {
    this.jobs.set(jobId, { snapshot, state: "open" });
  }

  set(jobId: number, state: JobState): void {
    this.jobs.get(jobId)!.state = state;
  }

  /** Equal for equal states of all jobs. */
  get identity(): string {
    return [...this.jobs].map(([id, { state }]) => `${id}${state}`).join();
  }

  kept(): number[] {
    return [...this.jobs].filter(([, { state }]) => state === "kept").map(([id]) => id);
  }
}

export interface PlayOptions {
  pools?: readonly PoolDefinition[] | undefined;
  /** The disk to start on; `image` is left out then. */
  disk?: Disk;
  image?: Image | undefined;
  ledger?: Ledger | undefined;
  store?: MemoryStoreOptions;
  beforeCommit?: CommitHook;
  opened?: (daemon: NearDaemon) => void;
}

export class Play {
  readonly disk: Disk;
  readonly ledger: Ledger;
  readonly outcomes: Outcome[] = [];
  readonly #options: PlayOptions;
  #daemon: NearDaemon | undefined;

  constructor(options: PlayOptions = {}) {
    this.#options = options;
    this.disk = options.disk ?? new Disk(options.image, options.store);
    this.ledger = options.ledger?.copy() ?? new Ledger();
  }

  get daemon(): NearDaemon {
    if (this.#daemon === undefined) throw new Error("the daemon was not started");
    return this.#daemon;
  }

  async start(): Promise<this> {
    const { pools, beforeCommit, opened } = this.#options;
    this.#daemon = await NearDaemon.start(this.disk, {
      ...(pools === undefined ? {} : { pools }),
      ...(beforeCommit === undefined ? {} : { beforeCommit }),
      ...(opened === undefined ? {} : { opened }),
    });
    return this;
  }

  /** Ends the daemon and removes its disk. */
  async end(): Promise<void> {
    await this.#daemon?.stop();
    this.disk.remove();
  }

  /** A backup whose outcome enters the ledger. */
  async backup(tree: ModelTree, wanted: Omit<Wanted, "jobId"> = {}): Promise<Outcome> {
    const jobId = this.ledger.nextJobId;
    this.ledger.begin(jobId, tree.snapshot());
    const outcome = await this.daemon.backup(tree, { ...wanted, jobId });
    this.ledger.set(jobId, outcome.result.ok === true ? "kept" : "gone");
    this.outcomes.push(outcome);
    return outcome;
  }

  /** As `backup`, for one that nothing may keep from its end. */
  async mustBackUp(tree: ModelTree, wanted: Omit<Wanted, "jobId"> = {}): Promise<number> {
    const { result, refusal, jobId } = await this.backup(tree, wanted);
    assert.equal(result.ok, true, `the next job failed: ${result.reason} ${refusal}`);
    return jobId;
  }

  /**
   * Every job is what the ledger says; open ones are settled by what is found and restored. `only`: of the others
   * these alone are restored. (Default: all)
   * @throws AssertionError
   */
  async verify(only?: readonly number[]): Promise<void> {
    const good = new Map((await this.daemon.goodJobs()).map((job) => [job.jobId, job]));
    for (const [jobId, job] of this.ledger.jobs) {
      const listed = good.get(jobId);
      const open = job.state === "open";
      if (open) job.state = listed === undefined ? "gone" : "kept";
      if (job.state === "gone") {
        assert.equal(listed, undefined, `job ${jobId} failed or was deleted, and is listed`);
        continue;
      }
      assert.ok(listed !== undefined, `job ${jobId} was committed and is not listed`);
      if (open || only === undefined || only.includes(jobId)) await this.verifyJob(listed);
    }
    for (const jobId of good.keys()) assert.ok(this.ledger.jobs.has(jobId), `job ${jobId} came from nowhere`);
  }

  /** The job restores to what it backed up. @throws AssertionError */
  async verifyJob(job: JobListing): Promise<void> {
    let found: Snapshot;
    try {
      found = await this.daemon.restoreListed(job);
    } catch (error) {
      const message = `job ${job.jobId} cannot be restored: ${(error as Error).stack}`;
      throw new assert.AssertionError({ message });
    }
    const wrong = differences(this.ledger.jobs.get(job.jobId)!.snapshot, found);
    assert.equal(wrong.length, 0, `job ${job.jobId} restores differently: ${wrong.join("; ")}`);
  }

  /** The job restores to what it backed up, or an error says that it cannot. @throws AssertionError */
  async verifyJobOrError(job: JobListing): Promise<void> {
    let found: Snapshot;
    try {
      found = await this.daemon.restoreListed(job);
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) throw error;
      return;
    }
    const wrong = differences(this.ledger.jobs.get(job.jobId)!.snapshot, found);
    assert.equal(wrong.length, 0, `job ${job.jobId} restores wrong content: ${wrong.join("; ")}`);
  }

  /** After a start: nothing is left over. @throws AssertionError */
  async verifyNothingLeft(): Promise<void> {
    assert.deepEqual(catalogFaults(this.daemon.db), []);
    assert.deepEqual(await spaceFaults(this.daemon), []);
  }
}
