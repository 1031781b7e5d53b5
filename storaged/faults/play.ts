/**
 * One storage daemon under test together with what is known about its jobs: which must be there and what they
 * restore to, which must be gone, and which may be either because the daemon ended before it could say.
 */

import assert from "node:assert/strict";
import type { JobListing } from "../catalog/types.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import type { MemoryStoreOptions } from "../store/memory-store.js";
import { catalogFaults, spaceFaults, volumeFaults } from "./consistency.js";
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
  /** It ends early: what is kept counts up to this key. */
  upTo?: string | undefined;
  /** After a crash it may have been kept up to one of these, ascending. */
  marks?: readonly string[] | undefined;
  /** What may have been kept of earlier attempts: one of them is there until a later one has taken its place. */
  earlier: readonly Torn[];
  /** Of an attempt that was begun: one of `earlier` was kept for sure. */
  sure: boolean;
}

interface Torn {
  snapshot: Snapshot;
  upTo: string;
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

  begin(jobId: number, snapshot: Snapshot, upTo?: string, marks?: readonly string[]): void {
    const before = this.jobs.get(jobId);
    const earlier = before === undefined || before.state === "gone" ? [] : tornOf(before);
    const sure = before !== undefined && (before.sure || before.state === "kept");
    this.jobs.set(jobId, { snapshot, state: "open", upTo, marks, earlier, sure });
  }

  set(jobId: number, state: JobState): void {
    const job = this.jobs.get(jobId)!;
    job.state = state;
    // Its deletion may have been begun.
    if (state === "open") job.sure = false;
  }

  /** It was acknowledged as whole. */
  end(jobId: number): void {
    const { snapshot } = this.jobs.get(jobId)!;
    this.jobs.set(jobId, { snapshot, state: "kept", earlier: [], sure: false });
  }

  /** Equal for equal states of all jobs. */
  get identity(): string {
    return [...this.jobs].map(([id, { state, upTo }]) => `${id}${state}${upTo ?? ""}`).join();
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
    return this.#attempt(this.ledger.nextJobId, tree, wanted);
  }

  /** The same under a JobId that ended early. */
  resume(jobId: number, tree: ModelTree, wanted: Omit<Wanted, "jobId"> = {}): Promise<Outcome> {
    return this.#attempt(jobId, tree, { ...wanted, resume: true });
  }

  async #attempt(jobId: number, tree: ModelTree, wanted: Omit<Wanted, "jobId">): Promise<Outcome> {
    const { entries } = wanted.leaves ?? {};
    const upTo = entries === undefined ? undefined : tree.keys().slice(0, entries).at(-1);
    const keys = tree.keys();
    const marks =
      wanted.marks === undefined ? undefined : keys.filter((_, i) => (i + 1) % wanted.marks! === 0);
    this.ledger.begin(jobId, tree.snapshot(), upTo, marks);
    const outcome = await this.daemon.backup(tree, { ...wanted, jobId });
    const { ok, incomplete } = outcome.result;
    if (ok === true) this.ledger.end(jobId);
    // Whether it is this attempt that was kept, or one before, is told by what is found.
    else if (incomplete === true) this.ledger.set(jobId, "kept");
    // With a checkpoint that could not be taken back the next start may keep it.
    else if (this.ledger.jobs.get(jobId)!.earlier.length === 0 && marks === undefined)
      this.ledger.set(jobId, "gone");
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
    const all = await this.daemon.goodJobs();
    const good = new Map(all.map((job) => [job.jobId, job]));
    assert.equal(good.size, all.length, `a JobId has several runs: ${all.map(({ jobId }) => jobId).join()}`);
    for (const [jobId, job] of this.ledger.jobs) {
      const listed = good.get(jobId);
      const open = job.state === "open";
      if (open) {
        assert.ok(listed !== undefined || !job.sure, `what was kept of job ${jobId} is gone`);
        job.state = listed === undefined ? "gone" : "kept";
        if (listed !== undefined && String(listed.type) !== "I") this.ledger.end(jobId);
      }
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
    const wrong = this.#wrong(job, found);
    assert.equal(wrong.length, 0, `job ${job.jobId} restores differently: ${wrong.join("; ")}`);
  }

  /** What differs from what the job backed up; of an incomplete one as far as it counts. */
  #wrong({ jobId, type }: JobListing, found: Snapshot): string[] {
    const known = this.ledger.jobs.get(jobId)!;
    if (String(type) !== "I") {
      const torn = known.upTo !== undefined || known.earlier.length > 0;
      return torn && known.marks === undefined
        ? ["it is whole, and was not acknowledged"]
        : differences(known.snapshot, found);
    }
    const said = ["it is incomplete"];
    for (const { snapshot, upTo } of tornOf(known)) {
      const wrong = differences(head(snapshot, upTo), head(found, upTo));
      said.push(...wrong);
      if (wrong.length > 0) continue;
      this.ledger.jobs.set(jobId, { snapshot, upTo, state: "kept", earlier: [], sure: false });
      return [];
    }
    return said;
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
    const wrong = this.#wrong(job, found);
    assert.equal(wrong.length, 0, `job ${job.jobId} restores wrong content: ${wrong.join("; ")}`);
  }

  /** After a start: nothing is left over, and volumes are good unless one was `damaged`. @throws AssertionError */
  async verifyNothingLeft(damaged = false): Promise<void> {
    assert.deepEqual(catalogFaults(this.daemon.db), []);
    assert.deepEqual(await spaceFaults(this.daemon), []);
    if (!damaged) assert.deepEqual(await volumeFaults(this.daemon), []);
  }
}

/** Entries up to a key. */
function head(snapshot: Snapshot, last: string): Snapshot {
  return new Map([...snapshot].filter(([key]) => key <= last));
}

/** What may have been kept of the attempts under one JobId, the longest of each first. */
function tornOf({ snapshot, upTo, marks = [], earlier }: KnownJob): Torn[] {
  const all = [...marks, ...(upTo === undefined ? [] : [upTo])];
  return [...all.toReversed().map((key) => ({ snapshot, upTo: key })), ...earlier];
}
