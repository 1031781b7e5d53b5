/** Settles every value of a run: what was asked for, what the schedule's line sets, what the resources say. */

import { BackupError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import type {
  DirectorConfig,
  JobLevel,
  JobResource,
  PoolResource,
  StorageResource,
} from "../config/types.js";
import type { DirectorDb } from "../db/database.js";
import type { JobPlan, OriginKey, RunRequest } from "./request.js";

/** A value and where it comes from, as shown behind "From". */
interface Chosen {
  name: string;
  origin: string;
}

const PER_LEVEL_POOLS: Partial<
  Record<JobLevel, readonly ["fullPool" | "incrementalPool" | "differentialPool" | "virtualFullPool", string]>
> = {
  Base: ["fullPool", "FullPool"],
  Full: ["fullPool", "FullPool"],
  Incremental: ["incrementalPool", "IncPool"],
  Differential: ["differentialPool", "DiffPool"],
  VirtualFull: ["virtualFullPool", "VFullPool"],
};

/** @throws BackupError NOT_FOUND when a name is not in the configuration. */
export function makePlan(config: DirectorConfig, request: RunRequest): JobPlan {
  const job = named(config.jobs, request.job, "Job");
  const overrides = request.overrides ?? {};
  const origins: Record<OriginKey, string> = {
    level: origin(request, "level", request.level, overrides.level),
    client: origin(request, "client", request.client),
    fileSet: origin(request, "fileSet", request.fileSet),
    priority: origin(request, "priority", request.priority, overrides.priority),
    nextPool: "Job resource",
    pool: "",
    storage: "",
  };
  const level = request.level ?? overrides.level ?? job.level;
  const plan = { config, request, job, level, origins };
  const clientName = request.restore?.restoreClient ?? request.client ?? job.client;
  const fileSetName = request.fileSet ?? job.fileSet;
  const pool = poolAt(config, request, job, level);
  const storage = chooseStorage(config, request, job, pool?.resource);
  origins.pool = pool?.origin ?? "";
  origins.storage = storage?.origin ?? "";
  const messages = request.messages ?? overrides.messages ?? job.messages ?? config.director.messages;
  return {
    ...plan,
    client: clientName === "" ? undefined : named(config.clients, clientName, "Client"),
    fileSet: fileSetName === "" ? undefined : named(config.fileSets, fileSetName, "FileSet"),
    pool: pool?.resource,
    storage: storage?.resource,
    messages: messages === undefined ? undefined : named(config.messages, messages, "Messages"),
    whenMs: request.whenMs ?? nowMs(),
    priority: request.priority ?? overrides.priority ?? job.priority,
    accurate: request.accurate ?? overrides.accurate ?? job.accurate,
    maxRunTimeSec: request.maxRunTimeSec ?? overrides.maxRunTimeSec ?? job.maxRunTimeSec,
    maxRunSchedTimeSec: request.maxRunSchedTimeSec ?? overrides.maxRunSchedTimeSec ?? job.maxRunSchedTimeSec,
    comment: request.comment ?? "",
  };
}

/** A restore without a storage takes the one that its jobs were written to. */
export function placed(
  request: RunRequest,
  { storages }: Pick<DirectorConfig, "storages">,
  jobs: Pick<DirectorDb["jobs"], "get">,
): RunRequest {
  const newest = request.restore?.selection.jobIds.at(-1);
  if (request.storage !== undefined || newest === undefined) return request;
  const storage = jobs.get(newest)?.storage ?? "";
  if (!storages.has(storage)) return request;
  const origins = { ...request.origins, storage: "Job record" };
  return { ...request, storage, origins };
}

/** The pool that a run writes to when it ends up with this level; undefined for jobs without one. */
export function poolAt(
  config: DirectorConfig,
  request: RunRequest,
  job: JobResource,
  level: JobLevel,
): { resource: PoolResource; origin: string } | undefined {
  const chosen = choosePool(request, job, level);
  if (chosen === undefined) return undefined;
  return { resource: named(config.pools, chosen.name, "Pool"), origin: chosen.origin };
}

function choosePool(request: RunRequest, job: JobResource, level: JobLevel): Chosen | undefined {
  if (request.pool !== undefined)
    return { name: request.pool, origin: origin(request, "pool", request.pool) };
  const overrides = request.overrides ?? {};
  const perLevel = PER_LEVEL_POOLS[level];
  const scheduled = perLevel === undefined ? undefined : overrides[perLevel[0]];
  if (scheduled !== undefined) return { name: scheduled, origin: `Run ${perLevel![1]} override` };
  if (overrides.pool !== undefined) return { name: overrides.pool, origin: "Run Pool override" };
  const own = perLevel === undefined ? undefined : job[perLevel[0]];
  if (own !== undefined) return { name: own, origin: `Job ${perLevel![1]} override` };
  return job.pool === "" ? undefined : { name: job.pool, origin: "Job resource" };
}

/** The pool that a Copy, Migrate or VirtualFull run writes to. @throws BackupError NOT_FOUND */
export function nextPoolOf(
  plan: Pick<JobPlan, "config" | "request" | "job" | "pool" | "origins">,
): { resource: PoolResource; origin: string } | undefined {
  const { request, job, pool, config } = plan;
  let chosen: Chosen | undefined;
  if (request.nextPool !== undefined)
    chosen = { name: request.nextPool, origin: request.origins?.nextPool ?? "Command input" };
  else if (request.overrides?.nextPool !== undefined)
    chosen = { name: request.overrides.nextPool, origin: "Run NextPool override" };
  else if (job.nextPool !== undefined) chosen = { name: job.nextPool, origin: "Job's NextPool resource" };
  else if (pool?.nextPool !== undefined)
    chosen = { name: pool.nextPool, origin: "Job Pool's NextPool resource" };
  if (chosen === undefined) return undefined;
  return { resource: named(config.pools, chosen.name, "Pool"), origin: chosen.origin };
}

/** As in Bacula the pool's storage outranks the job's. */
function chooseStorage(
  config: DirectorConfig,
  request: RunRequest,
  job: JobResource,
  pool: PoolResource | undefined,
): { resource: StorageResource; origin: string } | undefined {
  let chosen: Chosen | undefined;
  if (request.storage !== undefined)
    chosen = { name: request.storage, origin: origin(request, "storage", request.storage) };
  else if (request.overrides?.storage !== undefined)
    chosen = { name: request.overrides.storage, origin: "Run Storage override" };
  else if (pool?.storage !== undefined) chosen = { name: pool.storage, origin: "Pool resource" };
  else if (job.storage !== undefined) chosen = { name: job.storage, origin: "Job resource" };
  else if (config.storages.size === 1 && job.type !== "Admin")
    chosen = { name: [...config.storages.keys()][0]!, origin: "only Storage resource" };
  if (chosen === undefined) return undefined;
  return { resource: named(config.storages, chosen.name, "Storage"), origin: chosen.origin };
}

function origin(request: RunRequest, key: OriginKey, asked: unknown, scheduled?: unknown): string {
  if (asked !== undefined) return request.origins?.[key] ?? "Command input";
  return scheduled !== undefined ? "Run override" : "Job resource";
}

function named<T>(map: ReadonlyMap<string, T>, name: string, kind: string): T {
  const found = map.get(name);
  if (found === undefined) throw new BackupError("NOT_FOUND", `${kind} "${name}" not found`);
  return found;
}
