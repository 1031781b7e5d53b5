/** What filed is told of a job that reads a client's files. */
import { leastLimit } from "../../common/units.js";
import type { FiledBackup } from "../../proto/generated/basalt/v1/FiledBackup.js";
import type { RpcChannel } from "../../proto/rpc.js";
import { hookWords } from "./codes.js";
import { toSentFileSet } from "./file-set.js";
import { clientHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import type { JobPlan } from "./request.js";
import { need } from "./resources.js";
import { sendLists } from "./send-lists.js";

/** Bytes per second over the network; 0: no limit. */
function bandwidthOf({ job, client, config }: JobPlan): number {
  const { maximumBandwidthPerJob } = config.director;
  return leastLimit(job.maximumBandwidth, client?.maximumBandwidth ?? 0, maximumBandwidthPerJob);
}

/**
 * The request, after the lists of files that belong to it were sent. `level`: what it is called at filed; `storage`: the
 * storage daemon's name.
 * @throws BackupError FILESET_LIST; what filed answered to a list
 */
export async function filedRequest(
  run: JobRun,
  filed: RpcChannel,
  { level, ticket, storage }: { level: string; ticket: string; storage: string },
): Promise<FiledBackup> {
  const { live, plan } = run;
  const context = {
    words: (command: string) => hookWords(command, run.codes()),
    onLine: (line: string) => run.info(`FileSet: ${line}`),
    signal: live.signal,
  };
  const { fileSet, lists } = await toSentFileSet(need(plan.fileSet, "FileSet"), context);
  await sendLists(filed, live.uuid, lists, context);
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
    fileSet,
    hooks: clientHooks(run),
    readLimit,
    bandwidth: bandwidthOf(plan),
    nice,
    ioNice: ioNice === "none" ? "" : ioNice,
    waitForStorageSec: plan.config.director.sdConnectTimeoutSec,
  };
}
