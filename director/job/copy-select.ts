/** Which jobs a Copy or Migrate job works on: Bacula's selection types over the catalog of the read storage. */

import { BackupError } from "../../common/errors.js";
import { LinearPattern, PatternError } from "../../common/pattern/linear.js";
import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { Volume__Output as Volume } from "../../proto/generated/basalt/v1/Volume.js";
import type { JobResource, PoolResource } from "../config/types.js";

export interface CopyCandidates {
  /** All jobs of the read storage's catalog. */
  jobs: readonly CatalogJob[];
  volumes: readonly Volume[];
  /** UUIDs of jobs that have copies, on whatever storage. */
  copied: ReadonlySet<string>;
  nowMs: number;
  /** What the Selection Pattern of SQLQuery has found. */
  listed?: readonly number[];
}

type Wanted = Pick<JobResource, "name" | "type" | "selectionType" | "selectionPattern">;

/**
 * JobIds in the order of their starts, so that whatever a job lies over comes before it.
 * @throws BackupError USAGE for a selection that cannot be made
 */
export function selectJobs(job: Wanted, pool: PoolResource, from: CopyCandidates): number[] {
  const good = from.jobs
    .filter(({ status, type }) => (status === "T" || status === "W") && type === "B")
    .sort(byStart);
  // Whoever writes SQL says which pools as well.
  if (job.selectionType === "SqlQuery") {
    const listed = new Set(from.listed);
    return good.map(({ jobId }) => jobId).filter((jobId) => listed.has(jobId));
  }
  const inPool = good.filter((each) => each.pool === pool.name);
  const volumes = from.volumes.filter((volume) => volume.pool === pool.name && volume.jobs > 0);
  const chosen = choose(job, pool, { ...from, jobs: inPool, volumes });
  return chosen.map(({ jobId }) => jobId);
}

const byStart = (a: CatalogJob, b: CatalogJob): number => a.startMs - b.startMs || a.jobId - b.jobId;

function choose(job: Wanted, pool: PoolResource, from: CopyCandidates): CatalogJob[] {
  const { jobs, volumes, copied, nowMs } = from;
  const onVolumes = (names: readonly string[]): CatalogJob[] =>
    jobs.filter((each) => [...each.volumes, ...each.needs].some((name) => names.includes(name)));
  switch (job.selectionType) {
    case "Job":
      return jobs.filter(({ jobName }) => patternOf(job).test(jobName));
    case "Client":
      return jobs.filter(({ client }) => patternOf(job).test(client));
    case "Volume":
      return onVolumes(volumes.filter(({ name }) => patternOf(job).test(name)).map(({ name }) => name));
    case "SmallestVolume":
      return onVolumes(first(volumes, (a, b) => a.bytes - b.bytes));
    case "OldestVolume":
      return onVolumes(first(volumes, (a, b) => a.lastWrittenMs - b.lastWrittenMs));
    case "PoolOccupancy":
      return overOccupancy(job, pool, from);
    case "PoolTime":
      needLimit(job, pool, "MigrationTime", pool.migrationTimeSec);
      return jobs.filter(({ endMs }) => endMs < nowMs - pool.migrationTimeSec * 1000);
    case "PoolUncopiedJobs":
      if (job.type !== "Copy") throw unusable(job, "PoolUncopiedJobs is for Copy jobs");
      return jobs.filter(({ uuid }) => !copied.has(uuid));
    default:
      throw unusable(job, "it has no Selection Type, and no jobid= was given");
  }
}

/** Name of the first volume in an order, of those that are not written to any more when there are such. */
function first(volumes: readonly Volume[], order: (a: Volume, b: Volume) => number): string[] {
  const ended = volumes.filter(({ status }) => status !== "Append");
  const sorted = [...(ended.length > 0 ? ended : volumes)].sort(
    (a, b) => order(a, b) || a.mediaId - b.mediaId,
  );
  return sorted.slice(0, 1).map(({ name }) => name);
}

/** Oldest first, until the pool would hold no more than its low mark. */
function overOccupancy(job: Wanted, pool: PoolResource, { jobs, volumes }: CopyCandidates): CatalogJob[] {
  needLimit(job, pool, "MigrationHighBytes", pool.migrationHighBytes);
  let held = volumes.reduce((sum, { bytes }) => sum + bytes, 0);
  if (held <= pool.migrationHighBytes) return [];
  const chosen: CatalogJob[] = [];
  for (const each of jobs) {
    if (held <= pool.migrationLowBytes) break;
    chosen.push(each);
    held -= each.bytes;
  }
  return chosen;
}

function needLimit(job: Wanted, pool: PoolResource, directive: string, value: number): void {
  if (value <= 0) throw unusable(job, `Pool "${pool.name}" has no ${directive}`);
}

function patternOf(job: Wanted): LinearPattern {
  const text = job.selectionPattern ?? "";
  if (text === "") throw unusable(job, `Selection Type ${job.selectionType} needs a Selection Pattern`);
  try {
    return LinearPattern.parse(text, false);
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    throw unusable(job, `Selection Pattern "${text}" is not a regular expression (${cause.message})`);
  }
}

function unusable(job: Wanted, why: string): BackupError {
  return new BackupError("USAGE", `Job "${job.name}" cannot choose what to work on: ${why}.`);
}
