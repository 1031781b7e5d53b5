/**
 * A new database of a director learns what storage daemons know: every run in their catalogs becomes a run in the
 * director's history, so that lists, restores and retention work with it as before.
 */

import type { CatalogJob__Output as CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import type { CatalogJobList__Output as CatalogJobList } from "../proto/generated/basalt/v1/CatalogJobList.js";
import type { RpcChannel } from "../proto/rpc.js";
import type { DirectorDb } from "./db/database.js";
import type { JobRecord, StatusLetter, TypeLetter } from "./db/records.js";
import { levelLetter } from "./job/register.js";

/** What counts of several runs with one JobId, which an incomplete one that went on leaves: the first of these. */
const ENDED: readonly string[] = ["T", "W", "I", "E", "f", "A"];
const TYPES: Readonly<Record<string, TypeLetter>> = { C: "C", M: "M" };

/** What was learnt of one storage daemon. */
export interface Learnt {
  runs: number;
  /** Copies among them, and the UUIDs of what they are copies of, which another daemon may have. */
  copies: { jobId: number; of: string }[];
}

/** Asks one storage daemon for all runs; adds those whose JobId is not known. */
export async function learnHistory(
  db: DirectorDb,
  channel: Pick<RpcChannel, "unary">,
  storage: string,
): Promise<Learnt> {
  const { jobs } = await channel.unary<CatalogJobList>("Storaged", "ListJobs", {});
  const learnt: Learnt = { runs: 0, copies: [] };
  const rank = ({ status }: CatalogJob): number => ENDED.indexOf(status);
  const ended = jobs.filter((job) => rank(job) >= 0).sort((a, b) => rank(a) - rank(b));
  db.transaction(() => {
    for (const job of ended) {
      const known = db.jobs.get(job.jobId);
      if (known === undefined) {
        db.jobs.restore(recordOf(job, storage));
        learnt.runs++;
      }
      // Also one that an earlier attempt has added, which ended before all daemons had answered.
      if (job.copyOf !== "" && (known?.uuid ?? job.uuid) === job.uuid)
        learnt.copies.push({ jobId: job.jobId, of: job.copyOf });
    }
  });
  return learnt;
}

/** Says of copies what they are copies of, once all storage daemons were asked. */
export function linkCopies(db: DirectorDb, { copies }: Pick<Learnt, "copies">): void {
  for (const { jobId, of } of copies) {
    const original = db.jobs.byUuid(of);
    if (original !== undefined) db.jobs.update(jobId, { priorJobId: original.jobId });
  }
}

function recordOf(job: CatalogJob, storage: string): JobRecord {
  return {
    ...{ jobId: job.jobId, uuid: job.uuid, job: job.job, name: job.jobName },
    type: TYPES[job.type] ?? "B",
    ...{ level: levelLetter(job.level), client: job.client, fileSet: job.fileSet, pool: job.pool, storage },
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
