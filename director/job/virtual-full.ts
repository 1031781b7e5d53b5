/** Level VirtualFull of backup jobs: the storage daemon makes a Full out of the runs it has; no client takes part. */

import { BackupError } from "../../common/errors.js";
import type { ResolvedParents__Output as ResolvedParents } from "../../proto/generated/basalt/v1/ResolvedParents.js";
import type { StorageVirtualFull } from "../../proto/generated/basalt/v1/StorageVirtualFull.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { PoolResource } from "../config/types.js";
import { runBeforeHooks } from "./hooks.js";
import { type JobRun, NO_RESULT } from "./job-run.js";
import { Pair } from "./pair.js";
import { nextPoolOf } from "./plan.js";
import { connectStoraged, daemonName, need } from "./resources.js";
import { Side } from "./side.js";

/** Carries the run up to its end at the storage daemon. @throws BackupError for what fails before that */
export async function runVirtualFull(run: JobRun): Promise<void> {
  const { live } = run;
  run.info(`Start Virtual Backup JobId ${live.jobId}, Job=${live.job}`);
  const pool = usePool(run);
  await runBeforeHooks(run);
  const storaged = await connectStoraged(run);
  const jobIds = run.plan.request.jobIds ?? (await newestChain(run, storaged));
  if (jobIds.length === 0) throw new BackupError("NOT_FOUND", "No previous Jobs found.");
  run.info(`Consolidating JobIds=${jobIds.join(",")}`);
  const pair = new Pair(run);
  pair.add(
    new Side({
      ...{ run, role: "storaged", name: daemonName(storaged), channel: storaged, method: "StartVirtualFull" },
      request: requestOf(run, pool, jobIds),
      onState: pair.onState.bind(pair),
    }),
  );
  await pair.finish();
  // No client: its figures are those of the storage daemon.
  const { result, status } = run.storaged;
  const { files, bytes, baseFiles } = result;
  if (result.ok) run.filed = { result: { ...NO_RESULT, ok: true, files, bytes, baseFiles }, status };
}

/**
 * As in Bacula the new Full goes to the Next Pool, unless a pool for this level was named. Nothing is moved: only
 * what ends a job is written there, so it must lie on the same storage.
 */
function usePool(run: JobRun): PoolResource {
  const { plan } = run.live;
  const pool = need(plan.pool, "Pool");
  const named = /VFullPool|Command input|User input/.test(plan.origins.pool);
  const next = named ? undefined : nextPoolOf(plan);
  if (next === undefined) return pool;
  const other = next.resource.storage;
  const { storages } = plan.config;
  const at = (name: string | undefined): string => {
    const storage = name === undefined ? undefined : storages.get(name);
    return `${storage?.address}:${storage?.port}`;
  };
  if (other !== undefined && at(other) !== at(plan.storage?.name)) {
    const text = `Next Pool "${next.resource.name}" lies on Storage "${other}": a VirtualFull stays where its runs are. Copy it there`;
    throw new BackupError("USAGE", text);
  }
  const origins = { ...plan.origins, pool: next.origin };
  const written = plan.request.storage === undefined && other !== undefined ? storages.get(other) : undefined;
  if (written !== undefined) origins.storage = "Next Pool resource";
  run.live.plan = { ...plan, pool: next.resource, storage: written ?? plan.storage, origins };
  return next.resource;
}

async function newestChain(run: JobRun, storaged: RpcChannel): Promise<number[]> {
  const { plan } = run;
  const request = {
    jobName: plan.job.name,
    client: need(plan.client, "Client").name,
    fileSet: need(plan.fileSet, "FileSet").name,
    ...{ level: "Incremental", ignoreFileSetChanges: true, pool: need(plan.pool, "Pool").name },
  };
  const options = { signal: run.live.signal };
  const { chain } = await storaged.unary<ResolvedParents>("Storaged", "ResolveParents", request, options);
  return chain;
}

function requestOf(run: JobRun, pool: PoolResource, jobIds: readonly number[]): StorageVirtualFull {
  const { live, plan } = run;
  return {
    ...{ jobId: live.jobId, jobUuid: live.uuid, jobName: plan.job.name, job: live.job },
    client: need(plan.client, "Client").name,
    fileSet: need(plan.fileSet, "FileSet").name,
    ...{ pool: pool.name, scheduledMs: plan.whenMs, comment: plan.comment, jobIds: [...jobIds] },
    device: need(plan.storage, "Storage").device,
  };
}
