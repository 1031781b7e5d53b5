/**
 * The list that a job had before: a rewritten one that was given up, or is damaged, may stand behind it on the volumes.
 * All revisions of a list make the same tree, as long as what they lie over is there.
 */
import { GarbledInput } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import type { JobEndRecord } from "../volume/records.js";
import type { JobLoader } from "./load-jobs.js";
import type { ListLoader, ListResult } from "./load-list.js";
import type { ManifestFrames } from "./manifest-frames.js";

export interface OlderParts {
  scratch: Db;
  db: Db;
  jobs: JobLoader;
  lists: ListLoader;
  manifests: ManifestFrames;
}

interface Ending {
  revision: number;
  volume: number;
  body: string;
}

/** Loads the newest older list that can be read, which is the job's from then on; undefined when there is none. */
export async function loadOlder(
  { scratch, db, jobs, lists, manifests }: OlderParts,
  job: number,
  local: number,
  inForce: JobEndRecord,
): Promise<{ record: JobEndRecord; found: ListResult } | undefined> {
  const older = scratch
    .prepare<[number, number], Ending>(
      `SELECT e.revision, e.volume, e.body FROM ending e JOIN volume v ON v.id = e.volume
       JOIN segment s ON s.volume = e.volume AND s.segment = e.segment AND s.trusted = 1
       WHERE e.job = ? AND e.revision < ? ORDER BY e.revision DESC, v.created_ms DESC, v.name`,
    )
    .all(job, inForce.revision);
  for (const { volume, revision, body } of older) {
    const record = JSON.parse(body) as JobEndRecord;
    lists.drop(local);
    jobs.addFrames(job, local, record.closing);
    try {
      const found = await lists.load(local, record, manifests.pieces(job, record));
      // The highest revision stays the job's: a delete record must name that one.
      scratch
        .prepare("UPDATE plan SET body = ?, volume = ?, revision = ? WHERE job = ?")
        .run(body, volume, revision, job);
      db.prepare("UPDATE job SET level = ?, rows = ? WHERE id = ?").run(record.level, record.rows, local);
      return { record, found };
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
    }
  }
  return undefined;
}

export function olderText(inForce: JobEndRecord, used: JobEndRecord, why: string): string {
  const { jobId, job, revision } = inForce;
  return `JobId ${jobId} (${job}): list ${revision} cannot be read (${why}); list ${used.revision} is used, which makes the same tree`;
}
