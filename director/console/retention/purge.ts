/** Removes runs or their lists whatever their age, at every storage daemon that has some, and then their records. */
import type { PurgeRequest } from "../../../proto/generated/basalt/v1/PurgeRequest.js";
import type { RetentionReply__Output } from "../../../proto/generated/basalt/v1/RetentionReply.js";
import { followReply, notHeld } from "../../retention/records.js";
import { catalogJobs, storageDaemons, wholeStorage } from "../catalog.js";
import { visible } from "../commands/list-jobs.js";
import type { CommandContext } from "../context.js";
import type { JobFilter, JobRecord } from "../port.js";
import { printEffects, type RefusalWords, refuse } from "./outcome.js";
import { ownClient, requireScope } from "./scope.js";

export interface PurgeOptions {
  /** The lists go, the runs stay. */
  filesOnly?: boolean;
  /** Tells what would be done. */
  dry?: boolean;
  /** Runs that need these first get lists of their own, instead of standing against it. */
  rebase?: boolean;
  words: RefusalWords;
}

/** What a purge has done. */
export interface Purged {
  /** Runs (with `filesOnly`: whose lists) that a storage daemon let go of. */
  jobIds: number[];
  /** Runs that were only recorded here. */
  records: JobRecord[];
  replies: RetentionReply__Output[];
}

/** Runs by number. Those that are neither in a catalog nor recorded are told of. */
export async function purgeJobIds(
  context: CommandContext,
  jobIds: readonly number[],
  options: PurgeOptions,
): Promise<Purged> {
  const jobs = await catalogJobs(context, { jobIds: [...jobIds] });
  const stored = new Set(jobs.map((job) => job.jobId));
  const recorded = context.director.db.jobs.list({ jobIds: [...jobIds] });
  const mayBe = visible(context, recorded);
  for (const jobId of jobIds) {
    if (stored.has(jobId) || mayBe.some((record) => record.jobId === jobId)) continue;
    await context.say(`JobId=${jobId} is not in the catalog.`);
  }
  const byStorage = new Map<string, number[]>();
  for (const job of jobs) byStorage.set(job.storage, [...(byStorage.get(job.storage) ?? []), job.jobId]);
  const purged: Purged = { jobIds: [], records: [], replies: [] };
  for (const [storage, ids] of byStorage)
    await purgeAt(context, { storage, request: { jobIds: ids }, options, purged });
  if (options.filesOnly !== true) await forgetOwn(context, mayBe, { purged, options });
  return purged;
}

/** All runs of a client, or of a job. */
export async function purgeMatching(
  context: CommandContext,
  limits: { client?: string; jobName?: string },
  options: PurgeOptions,
): Promise<Purged> {
  requireScope(context, limits);
  const purged: Purged = { jobIds: [], records: [], replies: [] };
  const request = { ...limits, ...ownClient(context, limits) };
  for (const storage of storageDaemons(context))
    await purgeAt(context, { storage, request, options, purged });
  if (options.filesOnly === true) return purged;
  const filter: JobFilter = {
    ...(limits.client === undefined ? {} : { client: limits.client }),
    ...(limits.jobName === undefined ? {} : { name: limits.jobName }),
  };
  await forgetOwn(context, context.director.db.jobs.list(filter), { purged, options });
  return purged;
}

/** All runs with something on a volume. What else came of it is for the caller to print: the count comes first. */
export async function purgeVolume(
  context: CommandContext,
  volume: { name: string; storage: string },
  options: PurgeOptions,
): Promise<Purged> {
  requireScope(context, {});
  const purged: Purged = { jobIds: [], records: [], replies: [] };
  await purgeAt(context, {
    storage: volume.storage,
    request: { volume: volume.name },
    options,
    purged,
    quiet: true,
  });
  return purged;
}

interface Part {
  storage: string;
  request: PurgeRequest;
  options: PurgeOptions;
  purged: Purged;
  /** Prints nothing of what came of it. (Default: false) */
  quiet?: boolean;
}

/** Purges at one daemon. A refusal ends the command; what others did before stays done. */
async function purgeAt(
  context: CommandContext,
  { storage, request, options, purged, quiet }: Part,
): Promise<void> {
  const caller = await wholeStorage(context, storage);
  const { filesOnly = false, dry = false, rebase = false, words } = options;
  const full = { ...request, filesOnly, dry, rebase };
  const { signal, whole } = context;
  const reply = await caller.unary<RetentionReply__Output>("Storaged", "Purge", full, { signal });
  if (reply.refused) return await refuse(context, reply, words);
  purged.replies.push(reply);
  const action = filesOnly ? "files" : "delete";
  for (const item of reply.items) if (item.action === action) purged.jobIds.push(item.jobId);
  if (dry) return;
  await followReply(whole.db.jobs, caller, reply);
  if (quiet !== true) await printEffects(context, reply);
}

/** Records of runs that no storage daemon holds: failed ones, restores, admin jobs. Those that still run stay. */
async function forgetOwn(
  context: CommandContext,
  records: readonly JobRecord[],
  { purged, options }: { purged: Purged; options: PurgeOptions },
): Promise<void> {
  const done = new Set(purged.jobIds);
  const ended = records.filter(({ status, jobId }) => status !== "C" && status !== "R" && !done.has(jobId));
  const storaged = (storage: string) => wholeStorage(context, storage);
  const gone = await notHeld(ended, { config: context.whole.config, storaged });
  purged.records.push(...gone);
  if (options.dry !== true) context.director.db.jobs.remove(gone.map((record) => record.jobId));
}

/** Ends the command when one of the runs waits or runs. */
export async function refuseLive(context: CommandContext, jobIds: readonly number[]): Promise<void> {
  const live = jobIds.filter((jobId) => context.director.queue.get(jobId) !== undefined);
  if (live.length === 0) return;
  const hint = `cancel jobid=${live.join(",")}`;
  await context.fail(`JobId ${live.join(", ")} waits or runs; end it first:  ${hint}`);
}
