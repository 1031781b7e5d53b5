/**
 * One job at the file daemon, from the director's call to the result: Before hooks, the work, After hooks. The After
 * hooks run whatever happens, also when director and storage daemon are gone.
 */
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import type { FiledJobStatus } from "../../proto/generated/basalt/v1/FiledJobStatus.js";
import type { Hook__Output } from "../../proto/generated/basalt/v1/Hook.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import {
  type HookJob,
  type HookOptions,
  type Outcome,
  runAfterHooks,
  runBeforeHooks,
} from "../hooks/hooks.js";
import { JobSnapshots } from "../snapshot/daemon.js";
import type { SessionDeps } from "./deps.js";
import { JobEvents } from "./job-events.js";
import { JobTally } from "./job-tally.js";

/** The fields that requests of both kinds share. */
export interface JobRequest {
  jobId: number;
  jobUuid: string;
  jobName: string;
  job: string;
  storage: string;
  hooks: Hook__Output[];
}

export type JobKind = "Backup" | "Restore" | "Verify";

/** Failures that the storage daemon's side of the job reports. */
const TOLD_BY_OTHERS = new Set([
  ...["JOB_CANCELED", "JOB_STOPPED", "STORAGE_FAILED", "CONNECTION_LOST", "PEER_UNAVAILABLE"],
]);

export abstract class JobSession {
  readonly request: JobRequest;
  readonly director: string;
  protected readonly deps: SessionDeps;
  protected readonly events: JobEvents;
  protected readonly tally: JobTally;
  /** Those that the Before hooks make. */
  protected readonly snapshots: JobSnapshots;
  readonly #abort = new AbortController();
  readonly #startedMs = nowMs();
  readonly #kind: JobKind;
  readonly #level: string;

  protected constructor(
    deps: SessionDeps,
    job: { request: JobRequest; director: string; kind: JobKind; level: string },
    send: (event: JobEvent) => Promise<void>,
  ) {
    this.deps = deps;
    this.request = job.request;
    this.director = job.director;
    this.#kind = job.kind;
    this.#level = job.level;
    this.events = new JobEvents(send);
    this.tally = new JobTally(this.events.message);
    const tell = (line: string): void => this.tally.report("info", line);
    this.snapshots = new JobSnapshots(deps.config, job.request.jobUuid, tell);
  }

  /** Aborted when the job is to end at once; the reason is a BackupError. */
  protected get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Ends the job as canceled. The first reason counts. */
  cancel(reason: string): void {
    this.abort(new BackupError("JOB_CANCELED", reason));
  }

  /** Ends the job as failed, such as when a daemon ends; a backup that has begun to send is kept as far as it came. */
  stop(reason: string): void {
    this.abort(new BackupError("JOB_STOPPED", reason));
  }

  /** Takes another network limit, bytes per second; 0: none. False for what sends nothing: only backups have one. */
  setBandwidth(_bytesPerSec: number): boolean {
    return false;
  }

  protected abort(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(error);
  }

  status(): FiledJobStatus {
    const { jobId, job } = this.request;
    const { progress, state } = this.events;
    return { jobId, job, kind: this.#kind, level: this.#level, startedMs: this.#startedMs, progress, state };
  }

  /** Runs the job to its end and sends the result; never rejects. */
  async run(): Promise<void> {
    const hooks = this.#hookOptions();
    let failure: unknown;
    let result: JobResult = {};
    try {
      this.prepare();
      this.snapshots.begin();
      this.events.setState("hooks");
      await runBeforeHooks(hooks, this.signal);
      result = await this.work();
    } catch (error) {
      failure = this.signal.aborted ? this.signal.reason : error;
    }
    const outcome: Outcome =
      failure === undefined ? "ok" : codeOf(failure) === "JOB_CANCELED" ? "canceled" : "failed";
    if (failure !== undefined) this.#tellFailure(failure);
    if (hooks.hooks.some((hook) => !hook.before)) this.events.setState("hooks");
    await runAfterHooks(hooks, outcome);
    this.snapshots.end();
    await this.events.finish({
      ...this.partialResult(),
      ...result,
      errors: this.tally.errors,
      warnings: this.tally.warnings,
      ok: outcome === "ok",
      canceled: outcome === "canceled",
      reason: failure === undefined ? "" : describeError(failure),
    });
  }

  /** Checks of the request that need no hook to have run. @throws BackupError */
  protected abstract prepare(): void;
  /** @throws BackupError */
  protected abstract work(): Promise<JobResult>;
  /** Counts so far, for the report of a job that failed. */
  protected abstract partialResult(): JobResult;

  #tellFailure(failure: unknown): void {
    const code = codeOf(failure) ?? "";
    if (!(failure instanceof BackupError) && code === "") {
      this.deps.log.error("job failed", { jobId: this.request.jobId, err: failure });
    }
    if (!TOLD_BY_OTHERS.has(code)) this.events.message("fatal", describeError(failure));
  }

  /** What programs may know of the job. */
  protected get hookJob(): HookJob {
    const { jobId, jobUuid, jobName, job } = this.request;
    const { name, file } = this.deps.config();
    const facts = { type: this.#kind, level: this.#level, client: name, director: this.director };
    return { jobId, jobUuid, jobName, job, ...facts, configFile: file };
  }

  #hookOptions(): HookOptions {
    const { hookDirectories, hookTimeoutSec } = this.deps.config();
    return {
      hooks: this.request.hooks,
      directories: hookDirectories,
      timeoutSec: hookTimeoutSec,
      job: this.hookJob,
      report: this.tally.report,
    };
  }
}
