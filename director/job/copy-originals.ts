/** Originals of a migration to another storage daemon: whether they may go, and when. */

import { BackupError, describeError } from "../../common/errors.js";
import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { RetentionReply__Output as RetentionReply } from "../../proto/generated/basalt/v1/RetentionReply.js";
import { type CopyEnds, isOriginal, jobsAt } from "./copy-ends.js";
import type { JobRun } from "./job-run.js";

const needs = (job: CatalogJob, jobId: number): boolean =>
  job.chain.includes(jobId) || job.bases.includes(jobId);

/**
 * What lies over a job that moves to another storage must move too.
 * @throws BackupError JOBS_NEEDED, naming who needs it
 */
export async function checkDependants(
  { source, read }: CopyEnds,
  original: CatalogJob,
  set: readonly number[],
): Promise<void> {
  const all = (await jobsAt(source)).filter(isOriginal);
  const [first, ...more] = all.filter((job) => needs(job, original.jobId) && !set.includes(job.jobId));
  if (first === undefined) return;
  const others = more.length === 0 ? "" : `, and ${more.length} more`;
  const text = `JobId ${original.jobId} is needed on Storage "${read.name}" by JobId ${first.jobId} (${first.job}, ${first.level})${others}`;
  throw new BackupError("JOBS_NEEDED", `${text}: migrate them together, or rebase them first`);
}

/** Deletes those originals of this migration that have arrived and that nothing needs any more. */
export async function dropMigrated(run: JobRun, ends: CopyEnds, set: readonly number[]): Promise<void> {
  try {
    const arrived = new Set((await jobsAt(ends.target)).filter(isOriginal).map(({ copyOf }) => copyOf));
    const all = (await jobsAt(ends.source)).filter(isOriginal);
    let going = all.filter((job) => set.includes(job.jobId) && arrived.has(job.uuid));
    for (let before = -1; before !== going.length; ) {
      before = going.length;
      going = going.filter(({ jobId }) => all.every((job) => going.includes(job) || !needs(job, jobId)));
    }
    if (going.length === 0) return;
    const request = { jobIds: going.map(({ jobId }) => jobId) };
    const reply = await ends.source.unary<RetentionReply>("Storaged", "Purge", request, {
      timeoutMs: 600_000,
    });
    for (const text of reply.messages) run.info(text);
    const refused = reply.items.filter(({ action }) => action === "refused");
    for (const { jobId, reason } of refused) run.say("warning", `JobId ${jobId} was not deleted: ${reason}`);
  } catch (error) {
    run.say("warning", `originals could not be deleted after their migration: ${describeError(error)}`);
  }
}
