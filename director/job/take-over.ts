/** Backups that their storage daemon committed while no director listened: they are finished, not done again. */

import { BackupError } from "../../common/errors.js";
import { reportTime } from "../../common/time.js";
import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { CatalogJobList__Output as CatalogJobList } from "../../proto/generated/basalt/v1/CatalogJobList.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { JobLevel } from "../config/types.js";
import { type JobRun, NO_RESULT } from "./job-run.js";
import { levelLetter } from "./register.js";
import { daemonName } from "./resources.js";

/** Everything that a storage daemon has of the runs under a JobId and its unique name. */
export async function runsOf(
  storaged: RpcChannel,
  { jobId, job }: { jobId: number; job: string },
  options: { signal: AbortSignal; timeoutMs?: number },
): Promise<CatalogJob[]> {
  const request = { jobIds: [jobId] };
  const { jobs } = await storaged.unary<CatalogJobList>("Storaged", "ListJobs", request, options);
  return jobs.filter((run) => run.job === job);
}

/** The finished one among them: a backup, or a copy that was made. */
export function committedRun(runs: readonly CatalogJob[]): CatalogJob | undefined {
  return runs.find(
    ({ type, status }) => (type === "B" || type === "C") && (status === "T" || status === "W"),
  );
}

/** What the storage daemon has becomes the result of `run`. @throws BackupError NOT_FOUND when it is gone by now */
export async function takeOver(run: JobRun, storaged: RpcChannel): Promise<void> {
  const { live } = run;
  const done = committedRun(await runsOf(storaged, live, { signal: live.signal }));
  if (done === undefined)
    throw new BackupError("NOT_FOUND", `the finished backup of JobId ${live.jobId} is gone: run it anew`);
  const { files, bytes, rows, volumes, endMs, status } = done;
  live.level = done.level as JobLevel;
  run.services.db.jobs.update(live.jobId, { level: levelLetter(live.level) });
  run.info(
    `Storage ${daemonName(storaged)} had finished JobId ${live.jobId} at ${reportTime(endMs)} already: nothing is done again.`,
  );
  const warnings = status === "W" ? 1 : 0;
  const result = { ...NO_RESULT, ok: true, files, bytes, rows, volumes: [...volumes] };
  run.filed = { result: { ...result, warnings }, status: "OK" };
  run.storaged = { result, status: "OK" };
}
