/**
 * A new database of a director learns what storage daemons know: every run in their catalogs becomes a run in the
 * director's history, so that lists, restores and retention work with it as before.
 */

import type { CatalogJob__Output as CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import type { CatalogJobList__Output as CatalogJobList } from "../proto/generated/basalt/v1/CatalogJobList.js";
import type { RpcChannel } from "../proto/rpc.js";
import type { DirectorDb } from "./db/database.js";
import type { JobRecord, LevelLetter, StatusLetter } from "./db/records.js";

const LEVELS: Readonly<Record<string, LevelLetter>> = {
  Full: "F",
  Differential: "D",
  Incremental: "I",
  Base: "B",
  VirtualFull: "f",
};
const ENDED: ReadonlySet<string> = new Set(["T", "W", "E", "f", "A", "I"]);

/** Asks one storage daemon for all runs; adds those whose JobId is not known. Resolves to how many. */
export async function learnHistory(
  db: DirectorDb,
  channel: Pick<RpcChannel, "unary">,
  storage: string,
): Promise<number> {
  const { jobs } = await channel.unary<CatalogJobList>("Storaged", "ListJobs", {});
  let learnt = 0;
  for (const job of jobs) {
    if (!ENDED.has(job.status) || db.jobs.get(job.jobId) !== undefined) continue;
    db.jobs.restore(recordOf(job, storage));
    learnt++;
  }
  return learnt;
}

function recordOf(job: CatalogJob, storage: string): JobRecord {
  const level = LEVELS[job.level] ?? " ";
  return {
    ...{ jobId: job.jobId, uuid: job.uuid, job: job.job, name: job.jobName },
    type: job.type === "C" ? "c" : "B",
    ...{ level, client: job.client, fileSet: job.fileSet, pool: job.pool, storage },
    status: job.status as StatusLetter,
    ...{ priority: 10, schedMs: job.scheduledMs || job.startMs, startMs: job.startMs, endMs: job.endMs },
    ...{ files: job.files, bytes: job.bytes, readBytes: 0, sentBytes: 0, storedBytes: 0 },
    ...{ errors: job.status === "E" || job.status === "f" ? 1 : 0, warnings: job.status === "W" ? 1 : 0 },
    ...{ priorJobId: job.chain.at(-1) ?? 0, baseJobIds: [...job.bases] },
    ...{ baseFiles: job.baseFiles, baseBytes: 0, usedFiles: 0, purgedFiles: 0, volumes: [...job.volumes] },
    ...{
      volSessionId: 0,
      volSessionTime: 0,
      comment: job.comment,
      report: "",
      reason: job.reason,
      request: "",
    },
  };
}
