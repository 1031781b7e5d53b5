/**
 * Questions to the catalogs, which live in the storage daemons. Several Storage resources may name one daemon;
 * each daemon is asked once.
 */
import { BackupError, describeError } from "../../common/errors.js";
import type { CatalogJob__Output } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { CatalogJobList__Output } from "../../proto/generated/basalt/v1/CatalogJobList.js";
import type { ListJobsRequest } from "../../proto/generated/basalt/v1/ListJobsRequest.js";
import type { Pool__Output } from "../../proto/generated/basalt/v1/Pool.js";
import type { PoolList__Output } from "../../proto/generated/basalt/v1/PoolList.js";
import type { Volume__Output } from "../../proto/generated/basalt/v1/Volume.js";
import type { VolumeList__Output } from "../../proto/generated/basalt/v1/VolumeList.js";
import type { CommandContext } from "./context.js";
import { levelLetter } from "./format.js";
import type { DaemonCaller } from "./port.js";

/** A job of a catalog and the Storage resource it was found through. */
export type StoredJob = CatalogJob__Output & { storage: string };
export type StoredVolume = Volume__Output & { storage: string };
export type StoredPool = Pool__Output & { storage: string };

/** Storage resources this console may use, one per daemon. */
export function storageDaemons(context: CommandContext): string[] {
  const seen = new Set<string>();
  const names: string[] = [];
  for (const storage of context.config.storages.values()) {
    const at = `${storage.address}:${storage.port}`;
    if (seen.has(at) || !context.acl.allows("storage", storage.name)) continue;
    seen.add(at);
    names.push(storage.name);
  }
  return names;
}

/** Storage resources this console may use that name the daemon of this one, itself included. */
export function sameDaemon(context: CommandContext, storage: string): string[] {
  const { storages } = context.config;
  const own = storages.get(storage)!;
  return [...storages.values()]
    .filter(
      ({ name, address, port }) =>
        address === own.address && port === own.port && context.acl.allows("storage", name),
    )
    .map(({ name }) => name);
}

/** Place of a storage's daemon among all that the configuration names, from 0. */
function daemonNumber(context: CommandContext, storage: string): number {
  const places = [...context.whole.config.storages.values()].map(({ address, port }) => `${address}:${port}`);
  const own = context.whole.config.storages.get(storage);
  return Math.max(0, [...new Set(places)].indexOf(`${own?.address}:${own?.port}`));
}

/** Every daemon counts its volumes and pools from 1: the second one's appear as 1,000,001 and so on. */
const NUMBERS_PER_DAEMON = 1_000_000;

/** A number of a daemon's own as it is shown, so that no two are the same. */
export function shownNumber(context: CommandContext, storage: string, number: number): number {
  return number + daemonNumber(context, storage) * NUMBERS_PER_DAEMON;
}

export function callStorage(context: CommandContext, storage: string): Promise<DaemonCaller> {
  return context.director.daemons.storaged(storage, { signal: context.signal });
}

/** The same without regard to what this console may see: for steps whose rights were checked, and whose answers are not shown. */
export function wholeStorage(context: CommandContext, storage: string): Promise<DaemonCaller> {
  return context.whole.daemons.storaged(storage, { signal: context.signal });
}

/**
 * Asks every daemon. One that does not answer is told of in a line, and the others' answers are given.
 * @throws BackupError when none answers
 */
export async function askAll<T>(
  context: CommandContext,
  ask: (caller: DaemonCaller, storage: string) => Promise<T[]>,
): Promise<T[]> {
  const storages = storageDaemons(context);
  const errors: unknown[] = [];
  const all: T[] = [];
  for (const storage of storages) {
    try {
      all.push(...(await ask(await callStorage(context, storage), storage)));
    } catch (error) {
      if (context.signal.aborted) throw error;
      errors.push(error);
    }
  }
  if (errors.length > 0 && errors.length === storages.length) throw errors[0];
  for (const error of errors) await context.say(`Warning: ${describeError(error)}`);
  return all;
}

/** Jobs that this console may see, by start time. */
export async function catalogJobs(context: CommandContext, request: ListJobsRequest): Promise<StoredJob[]> {
  const jobs = await askAll(context, async (caller, storage) => {
    const reply = await caller.unary<CatalogJobList__Output>("Storaged", "ListJobs", request);
    return reply.jobs.map((job) => ({ ...job, storage }));
  });
  return jobs
    .filter((job) => context.acl.allows("job", job.jobName) && context.acl.allowsClient(job.client))
    .sort((a, b) => a.startMs - b.startMs || a.jobId - b.jobId);
}

export async function catalogVolumes(
  context: CommandContext,
  filter: { pool?: string; volume?: string },
): Promise<StoredVolume[]> {
  const volumes = await askAll(context, async (caller, storage) => {
    const reply = await caller.unary<VolumeList__Output>("Storaged", "ListVolumes", filter);
    return reply.volumes.map((volume) => ({
      ...volume,
      mediaId: shownNumber(context, storage, volume.mediaId),
      storage,
    }));
  });
  return volumes.filter((volume) => context.acl.allows("pool", volume.pool));
}

/** Pools of all catalogs by name; volumes of pools that several daemons have are added up. */
export async function catalogPools(context: CommandContext, name = ""): Promise<StoredPool[]> {
  const found = await askAll(context, async (caller, storage) => {
    const reply = await caller.unary<PoolList__Output>("Storaged", "ListPools", { name });
    return reply.pools.map((pool) => ({
      ...pool,
      poolId: shownNumber(context, storage, pool.poolId),
      storage,
    }));
  });
  const byName = new Map<string, StoredPool>();
  for (const pool of found) {
    const before = byName.get(pool.name);
    byName.set(
      pool.name,
      before === undefined ? pool : { ...before, volumes: before.volumes + pool.volumes },
    );
  }
  const pools = context.acl.filter("pool", [...byName.values()], (pool) => pool.name);
  return pools.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** True for a run whose files can be restored. */
export function isRestorable(job: StoredJob): boolean {
  return (job.status === "T" || job.status === "W") && job.type !== "M";
}

/** Letter of a job's level, whichever way the catalog says it. */
export function levelOf(job: { level: string }): string {
  return job.level.length === 1 ? job.level : levelLetter(job.level);
}

/** Catalog record of one run. @throws BackupError NOT_FOUND */
export async function catalogJob(context: CommandContext, jobId: number): Promise<StoredJob> {
  const jobs = await catalogJobs(context, { jobIds: [jobId] });
  const job = jobs.find((each) => each.jobId === jobId);
  if (job === undefined) throw new BackupError("NOT_FOUND", `JobId ${jobId} is not in the catalog`);
  return job;
}
