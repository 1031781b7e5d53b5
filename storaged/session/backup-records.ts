/** What a backup session tells filed, the volumes and the director about its job. */

import type { BackupStart, BackupTotals } from "../../proto/data/backup.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import { PROTOCOL } from "../../proto/rpc.js";
import type { BegunJob, JobCounts, NewJob, StoredLevel } from "../catalog/types.js";
import { type JobBeginRecord, priorTo } from "../volume/records.js";
import type { ListPlan } from "./backup-lists.js";
import type { JobOrigin } from "./job-origin.js";
import { goApart } from "./list-line.js";
import type { Reporter } from "./reporter.js";
import type { AcquireRequest } from "./volume-messages.js";

/** First message to filed. */
export function startOf(
  { jobUuid, jobId, ticket, parents, ...request }: StorageBackup__Output,
  storage: string,
  { selfContained }: BegunJob,
  plan: ListPlan,
): BackupStart {
  const { lists, ownIsParent } = plan;
  const { allowIncomplete: marks } = request;
  const listsApart = goApart(request, plan);
  const level = (parents?.level ?? "Full") as BackupStart["level"];
  const protocol = { ...PROTOCOL };
  const job = { jobUuid, jobId, level, ticket };
  return { protocol, storage, ...job, lists, listsApart, ownIsParent, selfContained, marks };
}

/** What the catalog is told of a job that begins. */
export function newJobOf(
  request: StorageBackup__Output,
  facts: { level: StoredLevel; startMs: number },
  { type = "B", copyOf = "", prior = [], draws = [], holds = [] }: Partial<JobOrigin> = {},
): NewJob {
  const { jobId, jobName, job, client, fileSet, fileSetDigest, pool, scheduledMs, comment } = request;
  const { chain = [], bases = [], ownNewest = 0 } = request.parents ?? {};
  const compared = comparedOf(request);
  return {
    ...{
      uuid: request.jobUuid,
      jobId,
      jobName,
      job,
      client,
      fileSet,
      fileSetDigest,
      pool,
      scheduledMs,
      comment,
    },
    ...{ ...facts, chain, bases, ownNewest, compared, type, copyOf, prior, draws, resume: request.resume },
    holds: compared > 0 ? [...holds, compared] : holds,
  };
}

/** JobId of the Base that a new one is compared with; 0: none. */
export function comparedOf({ compared, parents }: StorageBackup__Output): number {
  return compared ? (parents?.baseInForce ?? 0) : 0;
}

/** The record that stands before a job's frames on every volume. A copy names its original. */
export function beginRecordOf(
  request: StorageBackup__Output,
  startMs: number,
  { type = "B", copyOf = "", prior = [] }: Partial<Pick<JobOrigin, "type" | "copyOf" | "prior">> = {},
  revision = 1,
): JobBeginRecord {
  const { jobUuid, jobId, job, jobName, client, fileSet, fileSetDigest, comment, scheduledMs, pool } =
    request;
  const level = request.parents?.level ?? "Full";
  const facts = { jobUuid, jobId, job, jobName, client, fileSet, level, startMs };
  const more = { fileSetDigest, comment, scheduledMs, pool, ...(revision === 1 ? {} : { revision }) };
  return { ...facts, ...more, ...(copyOf === "" ? {} : { type, copyOf }), ...priorTo(prior) };
}

/** What the job asks of the desk for a volume. */
export function acquireOf(
  { jobId, job: name, jobName, client, device, spread, parents }: StorageBackup__Output,
  storage: string,
  { id, pool }: BegunJob,
  reporter: Reporter,
  signal: AbortSignal,
): Omit<AcquireRequest, "next"> {
  const facts = { job: name, jobName, jobId, level: parents?.level ?? "Full", client, storage };
  return { job: id, facts, pool, device, spread, reporter, signal };
}

/** For a job's totals: that its list began at another revision than 1, which is no sign that it was written anew. */
export function firstRevision({ revision }: Pick<BegunJob, "revision">): { firstRevision?: number } {
  return revision === 1 ? {} : { firstRevision: revision };
}

/** The director's figures. Errors and warnings are filed's own; it reports them itself. */
export function resultOf(
  session: { id: number; timeMs: number },
  counts: JobCounts,
  totals: BackupTotals,
  stored: { bytesStored: number; rawBytes: number },
): JobResult {
  const { examined, bytesRead, bytesSent, baseFiles, baseBytes, usedFiles } = totals;
  const { files, deleted, bytes, rows, newContent } = counts;
  const sent = { examined, bytesRead, bytesSent, baseFiles, baseBytes, usedFiles };
  const numbers = { volSessionId: session.id, volSessionTime: Math.floor(session.timeMs / 1000) };
  return { ok: true, ...sent, files, deleted, bytes, rows, newContent, ...stored, ...numbers };
}
