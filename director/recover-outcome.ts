/** How a backup ended whose director did not see it: the storage daemon knows what it has of it. */

import { setTimeout as sleep } from "node:timers/promises";
import type { CatalogJob__Output as CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import type { DirectorDb } from "./db/database.js";
import type { JobRecord, StatusLetter } from "./db/records.js";
import type { JobServices } from "./job/job-run.js";
import { committedRun, runsOf } from "./job/take-over.js";

/** How often, and how far apart, a storage daemon is asked while the run still ends there. */
const LOOKS = 120;
const LOOK_MS = 500;

/** Statuses of a run that nobody has begun again meanwhile. */
const FAILED: ReadonlySet<string | undefined> = new Set(["f", "E"]);

/**
 * Asks the storage daemon about a run that is recorded as failed, and records what it says: a run that it had committed has
 * ended well (T, W), and only nobody was told; one of which it has kept what it got is an incomplete one (I).
 * `connectMs`: how long it may be away.
 * @returns the new status; undefined when it has nothing of it
 * @throws BackupError when it cannot be asked
 */
export async function learnOutcome(
  services: JobServices,
  record: JobRecord,
  connectMs: number,
): Promise<StatusLetter | undefined> {
  const { shutdown, daemons, db, messages } = services;
  const { jobId, storage, name, errors } = record;
  if (storage === "") return undefined;
  const channel = await daemons.storaged(storage, { timeoutMs: connectMs, signal: shutdown });
  for (let look = 0; look < LOOKS; look++) {
    const runs = await runsOf(channel, record, { signal: shutdown });
    const done = committedRun(runs);
    const kept = done ?? runs.find(({ status }) => status === "I");
    if (kept !== undefined) {
      if (!FAILED.has(db.jobs.get(jobId)?.status)) return undefined;
      const { files, bytes, volumes, endMs } = kept;
      const status = kept.status as StatusLetter;
      const ended = done === undefined ? {} : { endMs, errors, reason: "" };
      db.jobs.update(jobId, { status, files, bytes, volumes: [...volumes], ...ended });
      if (done === undefined) {
        const text = `Storage ${storage} has kept ${files} files of JobId ${jobId}: "restart jobid=${jobId}" goes on from there.`;
        messages.emit({ jobId, name }, "info", text);
      } else {
        const text = `Storage ${storage} had finished JobId ${jobId} before: the ${record.type === "C" ? "copy" : "backup"} is good.`;
        messages.emit({ jobId, name }, "info", text);
        if (record.type === "B") markMigrated(db, done);
      }
      return status;
    }
    if (!runs.some(({ status }) => status === "R")) return undefined;
    await sleep(LOOK_MS, undefined, { signal: shutdown });
  }
  return undefined;
}

/** What a migration made replaces its original. */
function markMigrated(db: DirectorDb, { copyOf }: CatalogJob): void {
  const original = copyOf === "" ? undefined : db.jobs.byUuid(copyOf);
  if (original?.type === "B") db.jobs.update(original.jobId, { type: "M" });
}
