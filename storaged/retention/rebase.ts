/**
 * Rewrites the list of a finished job so that it no longer lies over jobs that are to go: their rows are folded into
 * it. No content moves. The new list is written to a volume (manifest and end record of the next revision) and
 * synced before the catalog puts it in force.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, codeOf } from "../../common/errors.js";
import { NO_TOTALS } from "../../proto/data/backup.js";
import type { Catalog } from "../catalog/catalog.js";
import type { JobListing, LocalJob } from "../catalog/types.js";
import { detached } from "../catalog/worker-rpc.js";
import type { BegunRewrite } from "../catalog/writer-rewrite.js";
import { closeJob } from "../session/backup-closing.js";
import { JobVolumes } from "../session/job-volumes.js";
import type { Reporter } from "../session/reporter.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import { type JobBeginRecord, priorTo } from "../volume/records.js";
import { type Lineage, planRebase, type Rebase } from "./rebase-plan.js";

export interface RebaseOptions {
  catalog: Catalog;
  desk: VolumeDesk;
  /** Name of this storage daemon. */
  storage: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** Frames of later revisions are numbered from here times the revision, so that no two of a job are alike. */
const REVISION_SEQUENCE = 2 ** 32;
const RETRY_MS = 200;

/**
 * Rewrites whatever kept lists lie over `going`, so that these can be deleted; gives the JobIds that were rewritten.
 * Stopped at any point, every tree is as it was. Callers run one rebase or deletion at a time.
 * @throws BackupError; the signal's reason
 */
export async function rebaseAway(options: RebaseOptions, going: readonly LocalJob[]): Promise<number[]> {
  const jobs = await finishedJobs(options.catalog);
  const rewritten: number[] = [];
  for (const rebase of planRebase(lineagesOf(jobs), new Set(going))) {
    const job = jobs.get(rebase.id)!;
    await rewrite(options, job, rebase);
    rewritten.push(job.jobId);
  }
  return rewritten;
}

/**
 * Rewrites the lists of these jobs so that they stand on their own; gives the JobIds that were rewritten.
 * @throws as rebaseAway
 */
export async function rebaseAlone(options: RebaseOptions, alone: readonly LocalJob[]): Promise<number[]> {
  const rewritten: number[] = [];
  for (const id of [...alone].sort((a, b) => a - b)) {
    // Each rewrite changes what later ones lie over.
    const jobs = await finishedJobs(options.catalog);
    const lineage = lineagesOf(jobs).find((one) => one.id === id);
    const below = new Set([...(lineage?.parents ?? []), ...(lineage?.bases ?? [])]);
    for (const rebase of lineage === undefined ? [] : planRebase([lineage], below)) {
      await rewrite(options, jobs.get(id)!, rebase);
      rewritten.push(jobs.get(id)!.jobId);
    }
  }
  return rewritten;
}

/** The rewrites that `rebaseAway` would do. */
export async function rebasesFor(catalog: Catalog, going: readonly LocalJob[]): Promise<Rebase[]> {
  return planRebase(lineagesOf(await finishedJobs(catalog)), new Set(going));
}

async function finishedJobs(catalog: Catalog): Promise<Map<LocalJob, JobListing>> {
  const none = { client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const all = await catalog.reader.listJobs({ ...none, jobIds: [] });
  return new Map(all.filter(({ status }) => status === "T" || status === "W").map((job) => [job.id, job]));
}

/** By local numbers. */
function lineagesOf(jobs: ReadonlyMap<LocalJob, JobListing>): Lineage[] {
  // Of several jobs with one JobId the newest counts, as everywhere.
  const byNumber = new Map([...jobs.values()].reverse().map((job) => [job.jobId, job.id]));
  const local = (numbers: readonly number[]): LocalJob[] =>
    numbers.flatMap((jobId) => byNumber.get(jobId) ?? []);
  return [...jobs.values()].map(({ id, chain, bases }) => ({
    id,
    parents: local(chain),
    bases: local(bases),
  }));
}

async function rewrite(options: RebaseOptions, job: JobListing, rebase: Rebase): Promise<void> {
  const { catalog, reporter, signal } = options;
  signal.throwIfAborted();
  const request = { job: job.id, parent: rebase.parent, bases: rebase.bases, folds: rebase.folds };
  await clearOldList(catalog, job.id);
  // From then on none of these lists can be dropped.
  const begun = await catalog.withListsOf([job.jobId], () => catalog.writer.beginRewrite(request), signal);
  const begin = beginRecordOf(job, begun.level);
  let volumes: JobVolumes | undefined;
  let done = false;
  try {
    volumes = await openVolumes(options, job, begun, begin);
    for await (const block of catalog.difference(begun.wanted, begun.lower)) {
      signal.throwIfAborted();
      await catalog.writer.addRows(begun.list, detached(block));
    }
    const counts = await catalog.writer.rewriteCounts(begun.list);
    const closing = {
      id: begun.list,
      selfContained: false,
      chainUuids: begun.parentUuids,
      baseUuids: begun.baseUuids,
    };
    const status = job.status === "W" ? "W" : "T";
    // Files and bytes are what the run backed up; only the number of rows changes.
    const shown = { rows: counts.rows, files: job.files, bytes: job.bytes };
    const ending = { status, endMs: job.endMs, counts: shown, totals: NO_TOTALS } as const;
    const { revision } = begun;
    await closeJob(
      { catalog, job: closing, begin, volumes, signal },
      { ...ending, revision, listOnly: true },
    );
    const progress = await volumes.sync();
    await commit(options, { ...request, extents: volumes.extents, volumes: progress });
    done = true;
    await reporter.message("info", rebasedText(job, rebase, counts.rows));
  } finally {
    if (!done) await catalog.writer.abandonRewrite(begun.list).catch(() => undefined);
    // Nothing of it counts: what cannot be removed now goes before the next rewrite, or at the next start.
    await clearOldList(catalog, job.id).catch(() => undefined);
    await volumes?.release(!done);
  }
}

/** Removes what a rewrite left beside a job's list, step by step. */
async function clearOldList({ writer }: Catalog, job: LocalJob): Promise<void> {
  while (!(await writer.clearOldList(job))) await new Promise(setImmediate);
}

/** Waits while a running job works with the old list. */
async function commit(
  { catalog, reporter, signal }: RebaseOptions,
  request: Parameters<Catalog["writer"]["commitRewrite"]>[0],
): Promise<void> {
  for (let told = false; ; ) {
    try {
      return await catalog.writer.commitRewrite(request);
    } catch (error) {
      if (codeOf(error) !== "JOB_IN_USE") throw error;
      if (!told) await reporter.message("info", `${(error as BackupError).message}; waiting`);
      told = true;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

function rebasedText(job: JobListing, { folds, parent, bases }: Rebase, rows: number): string {
  const folded =
    folds.length === 0 ? "Bases" : `${folds.length} older ${folds.length === 1 ? "run" : "runs"}`;
  const below = parent === undefined && bases.length === 0 ? "stands on its own" : "lies over what stays";
  return `JobId ${job.jobId} (${job.job}) was rebased: ${folded} folded in, ${rows} rows; it ${below} now.`;
}

/** What a job's records on volumes say of it. */
export function beginRecordOf(job: JobListing, level: string = job.level): JobBeginRecord {
  const {
    uuid: jobUuid,
    jobId,
    jobName,
    client,
    fileSet,
    startMs,
    fileSetDigest,
    comment,
    scheduledMs,
    pool,
  } = job;
  const copy = { type: job.type, copyOf: job.copyOf, ...priorTo(job.prior) };
  const more = { fileSetDigest, comment, scheduledMs, pool, ...copy };
  return { jobUuid, jobId, job: job.job, jobName, client, fileSet, level, startMs, ...more };
}

async function openVolumes(
  options: RebaseOptions,
  job: JobListing,
  begun: BegunRewrite,
  begin: JobBeginRecord,
): Promise<JobVolumes> {
  const { catalog, desk, storage, reporter, signal } = options;
  const [pool] = await catalog.reader.listPools(begun.pool);
  if (pool === undefined)
    throw new BackupError("POOL_UNKNOWN", `Pool "${begun.pool}" is not known to this storage`);
  const { jobId, jobName, client, type } = job;
  const facts = { job: job.job, jobName, jobId, level: begun.level, client, storage, type };
  const acquire = { job: begun.list, facts, pool, device: "", reporter, signal };
  const firstSequence = begun.revision * REVISION_SEQUENCE;
  return new JobVolumes({ desk, catalog, job: begun.list, begin, acquire, firstSequence });
}
