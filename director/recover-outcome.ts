/** How a backup ended whose director did not see it: the storage daemon knows whether it is whole. */

import { setTimeout as sleep } from "node:timers/promises";
import type { CatalogJob__Output as CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import type { CatalogJobList__Output as CatalogJobList } from "../proto/generated/basalt/v1/CatalogJobList.js";
import type { JobRecord, StatusLetter } from "./db/records.js";
import type { JobRun } from "./job/job-run.js";

const CONNECT_MS = 60_000;
/** How often, and how far apart, a storage daemon is asked while the run still ends there. */
const LOOKS = 120;
const LOOK_MS = 500;

/**
 * True for a backup that the storage daemon had stored whole before the director ended: its record says so then. False for
 * every other run, and when the storage daemon cannot be asked.
 */
export async function endedWell(run: JobRun, record: JobRecord): Promise<boolean> {
  const { services, plan } = run;
  if (plan.job.type !== "Backup" || record.storage === "") return false;
  try {
    const kept = await keptRun(run, record);
    if (kept === undefined) return false;
    const { files, bytes, volumes, endMs, status } = kept;
    run.status = status as StatusLetter;
    services.db.jobs.update(record.jobId, {
      ...{ status: run.status, files, bytes, volumes: [...volumes], endMs },
      ...{ errors: record.errors, reason: "" },
    });
    run.info("The storage daemon had stored all of it before: the backup is good.");
    return true;
  } catch {
    return false;
  }
}

async function keptRun({ services }: JobRun, record: JobRecord): Promise<CatalogJob | undefined> {
  const { shutdown, daemons } = services;
  const channel = await daemons.storaged(record.storage, { timeoutMs: CONNECT_MS, signal: shutdown });
  for (let look = 0; look < LOOKS; look++) {
    const { jobs } = await channel.unary<CatalogJobList>("Storaged", "ListJobs", { jobIds: [record.jobId] });
    const mine = jobs.filter(({ uuid }) => uuid === record.uuid);
    const whole = mine.find(({ status, type }) => (status === "T" || status === "W") && type === "B");
    if (whole !== undefined || !mine.some(({ status }) => status === "R")) return whole;
    await sleep(LOOK_MS, undefined, { signal: shutdown });
  }
  return undefined;
}
