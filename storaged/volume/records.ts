/**
 * The JSON records about jobs on a volume. Writers may add keys; readers use the ones here and ignore the rest.
 * `jobBegin` stands on every volume that a job writes to, before its first frame there; `jobEnd` on the last of them,
 * after everything else of the job, and once more wherever it was moved to, be it the only record of the job there.
 */
import { GarbledInput } from "../../common/format/varint.js";
import { isUuid, type JsonObject, numberOf, parseObject, textOf } from "./json.js";

export interface JobBeginRecord extends JsonObject {
  jobUuid: string;
  /** The director's number: members are named `job<jobId>/…`. */
  jobId: number;
  /** Unique job name: NAME.YYYY-MM-DD_HH.MM.SS_NN. */
  job: string;
  jobName: string;
  client: string;
  fileSet: string;
  level: string;
  startMs: number;
}

/**
 * Written when a job is committed, and again (with a higher revision) whenever its list or its place changes: the
 * highest revision on any volume is in force.
 */
export interface JobEndRecord extends JobBeginRecord {
  /** From 1. */
  revision: number;
  /** Numbers (within the job) of the closing frames that belong to this revision: the first, and how many. */
  closing: [first: number, count: number];
  /**
   * Revision in the names of the manifest that belongs to this record, where that is an older one: the list was
   * moved, not written anew. (Default: revision)
   */
  manifest?: number;
  /** T: OK, W: OK with warnings. A job that ends otherwise has no such record. */
  status: string;
  endMs: number;
  /** Rows in the job's own list. */
  rows: number;
  files: number;
  bytes: number;
  /** UUIDs of the jobs that the list lies over, oldest first; the Bases of a Full stand in `bases`. */
  parents: string[];
  bases: string[];
  /** All volumes that hold frames of the job, in order of writing. */
  volumes: string[];
}

/** A change of what exists that moves no content (record kind 5). */
export type ChangeRecord =
  /** These jobs were deleted: end records of up to that revision count no more. Their content stays content. */
  | { op: "delete"; timeMs: number; jobs: { jobUuid: string; revision: number }[] }
  /** Frames of this job on this volume are content in use, although the job was deleted or never had an end record here. */
  | { op: "content"; timeMs: number; job: JobBeginRecord };

/** Checks what every reader needs: jobUuid, jobId, level and names. @throws GarbledInput */
export function decodeJobBegin(body: Buffer): JobBeginRecord {
  return jobFields(parseObject(body, "job record"));
}

/** @throws GarbledInput */
export function decodeJobEnd(body: Buffer): JobEndRecord {
  const fields = parseObject(body, "job end record");
  const texts = (key: string) => {
    const value = fields[key];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      throw new GarbledInput(`job end record without ${key}`);
    }
    return value as string[];
  };
  const { closing = [0, Number.MAX_SAFE_INTEGER], revision = 1 } = fields;
  if (!isRange(closing) || !Number.isSafeInteger(revision) || (revision as number) < 1) {
    throw new GarbledInput("job end record with an impossible revision");
  }
  const { manifest } = fields;
  if (manifest !== undefined && (!Number.isSafeInteger(manifest) || (manifest as number) < 1)) {
    throw new GarbledInput("job end record with an impossible manifest");
  }
  const status = textOf(fields, "status", "job end record");
  if (status !== "T" && status !== "W") throw new GarbledInput("job end record with an impossible status");
  return {
    ...jobFields(fields),
    revision: revision as number,
    closing,
    ...(manifest === undefined ? {} : { manifest: manifest as number }),
    status,
    endMs: numberOf(fields, "endMs", "job end record"),
    rows: numberOf(fields, "rows", "job end record"),
    files: numberOf(fields, "files", "job end record"),
    bytes: numberOf(fields, "bytes", "job end record"),
    parents: texts("parents"),
    bases: texts("bases"),
    volumes: texts("volumes"),
  };
}

/** The revision in the names of the manifest that belongs to an end record. */
export function manifestRevision({
  manifest,
  revision,
}: Pick<JobEndRecord, "manifest" | "revision">): number {
  return manifest ?? revision;
}

/** Most UUIDs that one record names; the oldest are left out. */
const MAX_PRIOR = 100;

/** The key of a job's records that `priorOf` reads; none when there are no such jobs. */
export function priorTo(prior: readonly string[]): { prior?: readonly string[] } {
  return prior.length === 0 ? {} : { prior: prior.slice(0, MAX_PRIOR) };
}

/** UUIDs of the jobs whose place the original of a copy had taken: what lies over them lies over the copy now. */
export function priorOf({ prior }: JsonObject): string[] {
  if (!Array.isArray(prior)) return [];
  return prior.slice(0, MAX_PRIOR).filter((uuid): uuid is string => typeof uuid === "string" && isUuid(uuid));
}

/** undefined: a change that this program does not know; it may be passed over. @throws GarbledInput */
export function decodeChange(body: Buffer): ChangeRecord | undefined {
  const what = "change record";
  const fields = parseObject(body, what);
  const timeMs = numberOf(fields, "timeMs", what);
  switch (textOf(fields, "op", what)) {
    case "delete": {
      const { jobs } = fields;
      if (!Array.isArray(jobs)) throw new GarbledInput("delete record without jobs");
      return { op: "delete", timeMs, jobs: jobs.map(deletedJob) };
    }
    case "content": {
      const { job } = fields;
      if (typeof job !== "object" || job === null) throw new GarbledInput("content record without its job");
      return { op: "content", timeMs, job: jobFields(job as JsonObject) };
    }
    default:
      return undefined;
  }
}

function deletedJob(item: unknown): { jobUuid: string; revision: number } {
  const { jobUuid, revision } = (item ?? {}) as Record<string, unknown>;
  if (typeof jobUuid !== "string" || !isUuid(jobUuid) || !Number.isSafeInteger(revision)) {
    throw new GarbledInput("delete record with an invalid job");
  }
  return { jobUuid, revision: revision as number };
}

function isRange(value: unknown): value is [number, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((item) => Number.isSafeInteger(item) && item >= 0)
  );
}

function jobFields(fields: JsonObject): JobBeginRecord {
  const what = "job record";
  const jobUuid = textOf(fields, "jobUuid", what);
  if (!isUuid(jobUuid)) throw new GarbledInput("job record with an invalid UUID");
  return {
    ...fields,
    jobUuid,
    jobId: numberOf(fields, "jobId", what),
    job: textOf(fields, "job", what),
    jobName: textOf(fields, "jobName", what),
    client: textOf(fields, "client", what),
    fileSet: textOf(fields, "fileSet", what),
    level: textOf(fields, "level", what),
    startMs: numberOf(fields, "startMs", what),
  };
}
