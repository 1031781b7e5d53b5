/** What filed is told of a job that reads a client's files. */
import { leastLimit } from "../../common/units.js";
import type { FiledBackup } from "../../proto/generated/basalt/v1/FiledBackup.js";
import { toSentFileSet } from "./file-set.js";
import { clientHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import type { JobPlan } from "./request.js";
import { need } from "./resources.js";

/** Bytes per second over the network; 0: no limit. */
function bandwidthOf({ job, client, config }: JobPlan): number {
  const { maximumBandwidthPerJob } = config.director;
  return leastLimit(job.maximumBandwidth, client?.maximumBandwidth ?? 0, maximumBandwidthPerJob);
}

/** `level`: what it is called at filed; `storage`: the storage daemon's name. */
export function filedRequest(
  run: JobRun,
  { level, ticket, storage }: { level: string; ticket: string; storage: string },
): FiledBackup {
  const { live, plan } = run;
  const { readLimit, nice, ioNice } = plan.job;
  return {
    ...{
      jobId: live.jobId,
      jobUuid: live.uuid,
      jobName: plan.job.name,
      job: live.job,
      level,
      ticket,
      storage,
    },
    fileSet: toSentFileSet(need(plan.fileSet, "FileSet")),
    hooks: clientHooks(run),
    readLimit,
    bandwidth: bandwidthOf(plan),
    nice,
    ioNice: ioNice === "none" ? "" : ioNice,
    waitForStorageSec: plan.config.director.sdConnectTimeoutSec,
  };
}
