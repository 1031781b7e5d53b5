/**
 * A backup that ended early is kept up to the last mark of its client: a finished run of type I, with a manifest and an
 * end record of its own. No run builds on it but the one that goes on with it and takes its place.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../../common/time.js";
import { NO_TOTALS } from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { BegunJob, JobCounts } from "../catalog/types.js";
import type { JobBeginRecord } from "../volume/records.js";
import { type ClosingJob, closeJob } from "./backup-closing.js";
import type { Ingest } from "./backup-ingest.js";
import { firstRevision } from "./backup-records.js";
import type { JobVolumes } from "./job-volumes.js";

/**
 * Ends after which what was stored can be trusted: the operator stopped the job, a daemon ended, a connection broke.
 * Nobody said that anything was wrong with the data.
 */
export const KEPT_AFTER: ReadonlySet<string> = new Set([
  ...["JOB_STOPPED", "JOB_FAILED", "PEER_UNAVAILABLE", "PEER_TIMEOUT", "CONNECTION_LOST"],
]);

/** What was received may take so long to be written. */
const DRAIN_MS = 30_000;

export interface KeptParts {
  job: BegunJob;
  volumes: JobVolumes;
  begin: JobBeginRecord;
  ingest: Ingest;
  stream: DataStream;
}

/** True when everything that was received is in volume and catalog. */
async function isDrained(ingest: Ingest): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(DRAIN_MS, false, { signal: timer.signal, ref: false }).catch(() => false);
  const drained = ingest.drain().then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([drained, late]);
  } finally {
    timer.abort();
  }
}

/** Is there anything, and more than in the run that it went on with? */
function isFurther({ ingest, job }: Pick<KeptParts, "ingest" | "job">): boolean {
  if (ingest.marked === undefined) return false;
  return job.resumed === undefined || ingest.marked > job.resumed.last;
}

/**
 * Closes and commits the run; `closing` hears when an end record may lie on a volume. Undefined when there is nothing
 * that would be worth it.
 */
export async function keepIncomplete(
  { job, volumes, begin, ingest, catalog, signal }: KeptParts & { catalog: Catalog; signal: AbortSignal },
  closing: () => void,
): Promise<JobCounts | undefined> {
  if (!(await isDrained(ingest)) || !isFurther({ ingest, job })) return undefined;
  const { marked = "", rawBytes } = ingest;
  return closeKept({ job, volumes, begin, catalog, signal, marked, rawBytes }, closing);
}

export interface KeptRun extends Omit<ClosingJob, "job"> {
  job: ClosingJob["job"] & Pick<BegunJob, "revision">;
  /** Key. */
  marked: string;
  rawBytes: number;
}

/** Ends a run whose content and rows are in volumes and catalog; `closing` hears when an end record may lie on a volume. */
export async function closeKept(
  { job, volumes, begin, catalog, signal, marked, rawBytes }: KeptRun,
  closing: () => void,
): Promise<JobCounts> {
  volumes.overrun();
  const counts = await catalog.writer.finishRows(job.id);
  const { files, deleted, bytes } = counts;
  const keptTo = Buffer.from(marked, "latin1").toString("base64");
  const totals = { ...NO_TOTALS, files, deleted, bytes, keptTo, ...firstRevision(job) };
  const endMs = nowMs();
  closing();
  const record = { ...begin, type: "I" };
  const { revision } = job;
  const ending = { status: "T", endMs, counts, totals, revision } as const;
  await closeJob({ catalog, job, begin: record, volumes, signal }, ending);
  const progress = await volumes.sync();
  signal.throwIfAborted();
  const { extents, bytesStored } = volumes;
  await catalog.writer.commit({
    ...{ job: job.id, status: "T", endMs, extents, volumes: progress, keptTo: marked },
    totals: { ...totals, bytesStored, rawBytes },
  });
  return counts;
}
