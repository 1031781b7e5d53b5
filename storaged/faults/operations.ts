/** Everything but backups that a storage daemon does to jobs and volumes, called as its service calls it. */

import { randomUUID } from "node:crypto";
import type { CatalogJob__Output } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import { openForReading } from "../catalog/schema.js";
import type { JobListing } from "../catalog/types.js";
import { CheckRun } from "../check/check.js";
import { checkMethods } from "../check/check-worker.js";
import type { Finding } from "../check/types.js";
import { LiveCount } from "../retention/live-count.js";
import { type LiveWorkerData, liveMethods } from "../retention/live-worker.js";
import { deleteMigrated } from "../retention/migrated.js";
import type { RetentionOutcome } from "../retention/orders.js";
import type { PruneRule } from "../retention/plan.js";
import { Retention } from "../retention/retention.js";
import { Vacuum, type VacuumOutcome } from "../retention/vacuum.js";
import { toJob } from "../service-convert.js";
import type { BackupSession } from "../session/backup-session.js";
import { copySession } from "../session/copy-session.js";
import { Reporter } from "../session/reporter.js";
import { virtualFullSession } from "../session/virtual-full-session.js";
import { near } from "./near-catalog.js";
import type { NearDaemon } from "./near-daemon.js";

/** Nobody listens, nobody interrupts. */
const silent = () => new Reporter(async () => undefined);
const never = () => new AbortController().signal;

const ANY = { client: "", jobName: "", volume: "" } as const;
const UTC = { timeZone: "UTC", utcOffsetMinutes: 0 };

export class Operations {
  readonly #daemon: NearDaemon;
  readonly retention: Retention;
  readonly vacuum: Vacuum;

  constructor(daemon: NearDaemon) {
    this.#daemon = daemon;
    const { catalog, desk, deleter, log, store, verifier, disk } = daemon;
    const storage = () => "sd";
    this.retention = new Retention({ catalog, desk, deleter, storage, log });
    const devices = () => daemon.devices;
    const workingDirectory = () => disk.workingDirectory;
    const { retention } = this;
    const places = { devices, workingDirectory, storage, count: countHere };
    this.vacuum = new Vacuum({ catalog, desk, store, verifier, retention, log, ...places });
    desk.setRetention(retention);
  }

  /** Deletes exactly these jobs, or none when another one needs one of them (`refused`). */
  purge(
    jobIds: readonly number[],
    more: { rebase?: boolean; dry?: boolean } = {},
  ): Promise<RetentionOutcome> {
    return this.retention.purgeJobs({ ...ANY, jobIds, rebase: false, dry: false, ...more }, never());
  }

  /** Deletes the jobs on a volume and purges it, or refuses. */
  purgeVolume(volume: string, more: { rebase?: boolean; dry?: boolean } = {}): Promise<RetentionOutcome> {
    return this.retention.purgeJobs(
      { ...ANY, volume, jobIds: [], rebase: false, dry: false, ...more },
      never(),
    );
  }

  /** Drops the lists of these jobs, as far as nothing stands against it. */
  purgeFiles(jobIds: readonly number[]): Promise<RetentionOutcome> {
    return this.retention.purgeFiles({ ...ANY, jobIds, rebase: false, dry: false }, never());
  }

  prune(rules: readonly PruneRule[], dry: boolean): Promise<RetentionOutcome> {
    return this.retention.prune({ ...ANY, kind: "jobs", rules, zone: UTC, pool: "", dry }, never());
  }

  rebase(jobIds: readonly number[]): Promise<number[]> {
    return this.retention.rebase(jobIds, silent(), never());
  }

  empty(belowPercent: number): Promise<VacuumOutcome> {
    const order = { pool: "", volume: "", device: "", belowPercent, bytesPerSec: 0, dry: false };
    return this.vacuum.run(order, silent(), never());
  }

  /** A Full out of the newest runs of the job that `of` is a run of. */
  async virtualFull(jobId: number, of: JobListing, pool: string): Promise<JobResult> {
    const { jobName, client, fileSet } = of;
    const facts = { ...ids(jobId), jobName, client, fileSet, pool, jobIds: [] };
    return this.#run((send) => virtualFullSession(this.#deps(), facts, send));
  }

  /** A copy in another pool, or a move to it. */
  async copy(jobId: number, original: JobListing, pool: string, migrate: boolean): Promise<JobResult> {
    const { catalog, deleter, log, store } = this.#daemon;
    const all = await this.#daemon.goodJobs();
    const below = original.chain.length > 0 ? original.chain : original.bases;
    const parents = below.map((number) => output(all.find((job) => job.jobId === number)!));
    const from = { fromName: "", fromAddress: "", fromPort: 0 };
    const request = {
      ...{ ...ids(jobId), ...from, jobName: original.jobName, pool, ticket: "", migrate, parents },
      ...{ original: original.jobId, originalUuid: original.uuid, originalJob: output(original) },
    };
    const source = { catalog, store, devices: () => this.#daemon.devices, thread: false };
    const dial = () => Promise.reject(new Error("there is no other storage daemon"));
    const deleteJobs = () => deleteMigrated(catalog, deleter, log);
    return this.#run((send) => copySession({ ...this.#deps(), source, dial, deleteJobs }, request, send));
  }

  async #run(make: (send: (event: JobEvent) => Promise<void>) => Promise<BackupSession>): Promise<JobResult> {
    const events: JobEvent[] = [];
    const session = await make(async (event) => void events.push(event));
    await session.run();
    return events.at(-1)?.result ?? {};
  }

  #deps() {
    const { catalog, desk, verifier, log, deleter } = this.#daemon;
    const settle = deleter.settle.bind(deleter);
    return { catalog, desk, verifier, log, storage: "sd", session: { id: 1, timeMs: 0 }, settle };
  }

  /** Catalog against volumes; gives what was found. */
  async check(repair: boolean): Promise<Finding[]> {
    const { catalog, store, verifier, devices, desk } = this.#daemon;
    const db = openForReading(catalog.file);
    const findings: Finding[] = [];
    const telling = {
      finding: async (finding: Finding) => void findings.push(finding),
      progress: async () => undefined,
    };
    try {
      const inUse = (id: number) => [...desk.openVolumes].some(({ record }) => record.id === id);
      const deps = { catalog, store, verifier, devices: () => devices, inUse };
      const options = { volume: "", pool: "", repair, quick: false, bytesPerSec: 0 };
      const thread = near<ReturnType<typeof checkMethods>>(checkMethods(db));
      await new CheckRun({ deps, options, telling, signal: never(), thread }).run();
    } finally {
      db.close();
    }
    return findings;
  }
}

function ids(jobId: number) {
  return { jobId, jobUuid: randomUUID(), job: `made.${jobId}`, scheduledMs: 0, device: "", comment: "" };
}

/** As it arrives from the wire. */
function output(job: JobListing): CatalogJob__Output {
  return toJob(job) as CatalogJob__Output;
}

function countHere({ countCatalog, scratch, volumes, counted }: LiveWorkerData) {
  const count = new LiveCount(openForReading(countCatalog), scratch, volumes, counted);
  const live = near<ReturnType<typeof liveMethods>>(liveMethods(count));
  return { live, close: async () => void (await live.close().catch(() => undefined)) };
}
