/**
 * The director as its console commands and services see it: configuration, database, queue, messages, connections
 * to the other daemons, and the few verbs that tie them together.
 */

import { setMaxListeners } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, describeError } from "../common/errors.js";
import type { Log } from "../common/log.js";
import { nowMs } from "../common/time.js";
import type { DirectorConfig } from "./config/types.js";
import { withAddress } from "./config/with-address.js";
import type { Daemons } from "./daemons/daemons.js";
import { greetStorages } from "./daemons/greet.js";
import type { DirectorDb } from "./db/database.js";
import { rescheduled, resumeRequest } from "./job/again.js";
import type { JobServices } from "./job/job-run.js";
import type { LiveJob } from "./job/live-job.js";
import { mailed } from "./job/mailed.js";
import { markedLines } from "./job/marked-lines.js";
import { makePlan, placed } from "./job/plan.js";
import { JobRegister } from "./job/register.js";
import type { JobId, JobPlan, RunRequest } from "./job/request.js";
import { runLiveJob } from "./job/runner.js";
import { JobIds, whenNumbered } from "./job-ids.js";
import type { MessageCenter } from "./messages/center.js";
import { type DueRunsOptions, queueDue } from "./queue/due-runs.js";
import { settleDuplicates } from "./queue/duplicates.js";
import { JobQueue } from "./queue/queue.js";
import { Scheduler, type UpcomingRun } from "./queue/scheduler.js";
import { recoverJobs } from "./recover.js";
import { type ReloadResult, readAgain } from "./reload.js";
import { Switches, type SwitchKind } from "./switches.js";

export type { JobFilter, JobRecord, LogRecord } from "./db/records.js";
export type { LiveJob, LiveProgress } from "./job/live-job.js";
export type { JobId, JobPlan, OriginKey, RestoreRequest, RunRequest } from "./job/request.js";
export type { SwitchKind } from "./switches.js";

export interface DirectorOptions {
  config: DirectorConfig;
  /** Reads the configuration again. @throws BackupError */
  load: () => DirectorConfig;
  db: DirectorDb;
  messages: MessageCenter;
  daemons: Daemons;
  /** PEM of the key that signs tickets. */
  ticketKey: string | Buffer;
  version: string;
  /** Carries out a command of the console for a RunScript; its lines. */
  runConsole: (director: Director, line: string) => Promise<string[]>;
  /** JobIds that an SQL statement gives. @throws BackupError SQL_FAILED */
  selectJobIds: (director: Director, sql: string) => Promise<number[]>;
  log: Log;
}

/** Jobs get this long to end in order when the director stops, and what is left this long to be cut off. */
const STOP_MS = 6000;
const CUT_MS = 2500;

export class Director {
  readonly db: DirectorDb;
  readonly queue: JobQueue;
  readonly messages: MessageCenter;
  readonly daemons: Daemons;
  readonly startedAtMs = nowMs();
  readonly #options: DirectorOptions;
  readonly #scheduler: Scheduler;
  readonly #services: JobServices;
  readonly #jobIds: JobIds;
  readonly #register: JobRegister;
  readonly #switches = new Switches(() => this.#config);
  readonly #shutdown = new AbortController();
  #config: DirectorConfig;
  #bootstraps = 0;

  constructor(options: DirectorOptions) {
    this.#options = options;
    this.#config = options.config;
    setMaxListeners(0, this.#shutdown.signal); // one for every job that runs
    this.db = options.db;
    this.messages = options.messages;
    this.daemons = options.daemons;
    this.#register = new JobRegister(options.db);
    this.#jobIds = new JobIds(options.db, options.daemons, () => this.#config);
    this.queue = new JobQueue({
      run: (live) => mailed(this.messages, live, () => this.#carry(live)),
      directorLimit: () => this.#config.director.maximumConcurrentJobs,
      record: (jobId) => this.db.jobs.get(jobId),
      log: options.log.child({ scope: "queue" }),
    });
    this.#services = {
      db: options.db,
      messages: options.messages,
      daemons: options.daemons,
      log: options.log.child({ scope: "job" }),
      ticketKey: () => options.ticketKey,
      version: options.version,
      shutdown: this.#shutdown.signal,
      queue: this.queue,
      runJob: (request) => this.runJob(request),
      runConsole: (line) => options.runConsole(this, line),
      selectJobIds: (sql) => options.selectJobIds(this, sql),
      changed: () => this.queue.changed(),
    };
    const { signal } = this.#shutdown;
    const due: DueRunsOptions = {
      ...{ db: options.db, messages: options.messages, plan: (request) => this.#settled(request) },
      record: (plan) => this.#register.create(plan),
      queue: (live) => this.#add(live),
      later: (request) => whenNumbered(() => this.runJob(request), request, options.messages, signal),
    };
    this.#scheduler = new Scheduler({
      db: options.db,
      config: () => this.#config,
      isEnabled: (kind, name) => this.isEnabled(kind, name),
      run: (requests, noted) => queueDue(due, requests, noted),
      messages: options.messages,
      log: options.log.child({ scope: "scheduler" }),
    });
  }

  /** The configuration in force; replaced as a whole by a reload. */
  get config(): DirectorConfig {
    return this.#config;
  }

  /** Settles what the last director left behind, queues what waited, and begins with the schedules. */
  start(): void {
    const { log } = this.#options;
    for (const live of recoverJobs({ config: this.#config, services: this.#services, log }))
      this.queue.add(live);
    this.#scheduler.start();
    greetStorages(this, this.#shutdown.signal, this.#options.log);
  }

  /** Settles every value of a run without running it. @throws BackupError NOT_FOUND */
  plan(request: RunRequest): JobPlan {
    return makePlan(this.#config, placed(request, this.#config, this.db.jobs));
  }

  /**
   * Queues a run. @throws BackupError NOT_FOUND, DISABLED (its client or storage is switched off),
   * JOBID_UNKNOWN (a new database and a storage daemon that cannot be asked)
   */
  async runJob(request: RunRequest): Promise<JobId> {
    const plan = this.#settled(request);
    await this.learnRuns();
    if (this.#shutdown.signal.aborted) throw new BackupError("SHUTDOWN", "the director is about to end");
    return this.#add(this.#register.create(plan));
  }

  /**
   * Resolves when a new database knows the runs that the storage daemons hold.
   * @throws BackupError JOBID_UNKNOWN when one of them cannot be asked
   */
  async learnRuns(): Promise<void> {
    await this.#jobIds.ready((storage) => this.isEnabled("storage", storage));
  }

  /** Cancels a waiting or running job; Bacula's confirmation lines, empty when it is neither. */
  async cancel(jobId: JobId, reason = "Canceled by an operator."): Promise<string[]> {
    return this.#end(jobId, reason, "canceled");
  }

  #end(jobId: JobId, reason: string, how: "canceled" | "stopped"): string[] {
    const live = this.queue.get(jobId);
    if (live === undefined || live.ended) return [];
    const lines = markedLines(live, how);
    const source = { jobId, name: live.plan.job.name, messages: live.plan.messages };
    if (!live.canceled) this.messages.emit(source, "info", reason);
    if (how === "stopped") this.queue.stop(jobId, reason);
    else this.queue.cancel(jobId, reason);
    return lines;
  }

  /** Ends a job as `cancel` does, but a backup keeps what it has stored and can go on later. */
  async stopJob(jobId: JobId, reason = "Stopped by an operator."): Promise<string[]> {
    return this.#end(jobId, reason, "stopped");
  }

  /**
   * Queues an ended run again under its JobId; an incomplete backup goes on from where it ended.
   * @throws BackupError NOT_FOUND, DISABLED, JOB_RUNS
   */
  async resumeJob(jobId: JobId): Promise<void> {
    const record = this.db.jobs.get(jobId);
    if (record === undefined) throw new BackupError("NOT_FOUND", `JobId ${jobId} is not in the catalog`);
    if (this.queue.get(jobId) !== undefined)
      throw new BackupError("JOB_RUNS", `JobId ${jobId} waits or runs already`);
    const plan = this.#settled(resumeRequest(this.#config, record));
    this.#add(this.#register.again(record, plan));
  }

  /** Keeps what a restore is to bring back as a file, until its job has ended; the path. */
  async leaveBootstrap(text: string): Promise<string> {
    const { workingDirectory, name } = this.#config.director;
    const file = join(workingDirectory, `${name}.restore.${++this.#bootstraps}.bsr`);
    await writeFile(file, text, { mode: 0o640 });
    return file;
  }

  /** Reads the configuration again. Jobs that are queued or run keep the old one. */
  async reload(): Promise<ReloadResult> {
    const read = readAgain(this.#config, this.#options.load);
    if (read.config === undefined) {
      this.messages.daemon("error", read.text);
      return { ok: false, errors: read.errors };
    }
    this.#config = read.config;
    for (const text of read.warnings) this.messages.daemon("warning", text);
    this.#scheduler.replan();
    this.queue.changed();
    this.messages.retryNow();
    greetStorages(this, this.#shutdown.signal, this.#options.log);
    return { ok: true, errors: [] };
  }

  /** False while a resource is switched off by a console, or else by its Enabled directive. */
  isEnabled(kind: SwitchKind, name: string): boolean {
    return this.#switches.isEnabled(kind, name);
  }

  setEnabled(kind: SwitchKind, name: string, enabled: boolean): void {
    this.#switches.set(kind, name, enabled);
    this.#scheduler.replan();
  }

  /** Where a client is reached from now on, until the next reload or start. @throws BackupError NOT_FOUND */
  setAddress(client: string, address: string): void {
    this.#config = withAddress(this.#config, client, address);
  }

  /** Runs that the schedules will start within so many days, in order of time. */
  upcoming(days: number): UpcomingRun[] {
    return this.#scheduler.upcoming(days);
  }

  /**
   * Ends in order, within about ten seconds: running jobs are stopped and recorded as such, waiting ones stay in
   * the database for the next start. The database is closed afterwards by its owner.
   */
  async stop(): Promise<void> {
    this.#scheduler.close();
    this.queue.close();
    const running = this.queue.list().filter((live) => live.state === "running");
    for (const live of running) {
      const { type, allowIncompleteJobs } = live.plan.job;
      const how = type === "Backup" && allowIncompleteJobs ? "stopped" : "canceled";
      this.#end(live.jobId, "The director was stopped.", how);
    }
    const ended = Promise.all(running.map((live) => this.queue.waitJob(live.jobId)));
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
    this.#shutdown.abort(new BackupError("SHUTDOWN", "the director ends"));
    await Promise.race([ended, sleep(CUT_MS, undefined, { ref: false })]);
    for (const live of this.queue.list()) {
      if (live.state === "running") this.#register.cutOff(live, "The director was stopped.");
    }
    this.messages.flush();
  }

  /** A plan whose client and storage are not switched off. */
  #settled(request: RunRequest): JobPlan {
    const plan = this.plan(request);
    this.#switches.check(plan);
    return plan;
  }

  /** Queues a recorded run, unless another one of its job keeps it out. */
  #add(live: LiveJob): JobId {
    const cancel = (jobId: JobId, reason: string) => this.#end(jobId, reason, "canceled");
    settleDuplicates(live, { queued: this.queue.list(), messages: this.messages, cancel });
    this.queue.add(live);
    return live.jobId;
  }

  async #carry(live: LiveJob): Promise<void> {
    const run = await runLiveJob(live, this.#services);
    if (this.#shutdown.signal.aborted) return;
    const source = run.source;
    try {
      const again = rescheduled(run);
      if (again === undefined) return;
      this.messages.emit(source, "info", again.text);
      if (again.sameJobId) {
        // Its mail tells of this attempt, while the record still does.
        this.messages.endJob(source);
        this.#add(this.#register.again(live, this.plan(again.request)));
      } else await this.runJob(again.request);
    } catch (error) {
      const text = `Job ${live.plan.job.name} was not rescheduled: ${describeError(error)}`;
      this.messages.emit(source, "error", text);
    }
  }
}
