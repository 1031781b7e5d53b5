/** Lists of volumes, pools and clients. Volumes and pools come from the catalogs in the storage daemons. */
import { nowMs } from "../../../common/time.js";
import {
  catalogJobs,
  catalogPools,
  catalogVolumes,
  isRestorable,
  type StoredJob,
  type StoredPool,
  type StoredVolume,
} from "../catalog.js";
import type { CommandContext } from "../context.js";
import { listTime } from "../format.js";
import { parseIdList } from "../grammar.js";
import { NO_RESULTS, type Row } from "../table.js";
import { visible } from "./list-jobs.js";

const VOLUME_COLUMNS = [
  ...[
    "MediaId",
    "VolumeName",
    "VolStatus",
    "Enabled",
    "VolBytes",
    "VolFiles",
    "VolRetention",
    "Recycle",
    "Slot",
  ],
  ...["InChanger", "MediaType", "VolType", "VolParts", "LastWritten", "ExpiresIn"],
];
const LONG_VOLUME_COLUMNS = [
  ...["MediaId", "VolumeName", "Slot", "PoolId", "MediaType", "MediaTypeId", "FirstWritten", "LastWritten"],
  ...[
    "LabelDate",
    "VolJobs",
    "VolFiles",
    "VolBlocks",
    "VolParts",
    "VolMounts",
    "VolBytes",
    "VolErrors",
    "VolWrites",
  ],
  ...["VolCapacityBytes", "VolStatus", "Enabled", "Recycle", "VolRetention", "VolUseDuration", "MaxVolJobs"],
  ...["MaxVolFiles", "MaxVolBytes", "InChanger", "EndFile", "EndBlock", "LabelType", "StorageId", "DeviceId"],
  ...["LocationId", "RecycleCount", "InitialWrite", "RecyclePoolId", "ScratchPoolId", "ActionOnPurge"],
  ...["CacheRetention", "ExpiresIn", "Comment", "PoolName", "Storage", "Device"],
  ...["RecyclePool", "LiveBytes", "LiveCounted"],
];

/** A volume with every column of Bacula's table Media, then Basalt's own. `pools`: for their numbers. */
export function volumeRow(context: CommandContext, volume: StoredVolume, pools: readonly StoredPool[]): Row {
  const written = volume.lastWrittenMs;
  const expires = written > 0 ? Math.max(0, Math.round(volume.retention - (nowMs() - written) / 1000)) : 0;
  const idOf = (pool?: string) => pools.find((each) => each.name === pool)?.poolId ?? 0;
  return {
    MediaId: volume.mediaId,
    VolumeName: volume.name,
    VolStatus: volume.status,
    Enabled: volume.enabled,
    VolBytes: volume.bytes,
    VolFiles: volume.files,
    VolRetention: volume.retention,
    Recycle: volume.recycle,
    Slot: volume.slot,
    InChanger: volume.inChanger,
    MediaType: volume.mediaType,
    VolType: 1,
    VolParts: 0,
    LastWritten: listTime(written),
    ExpiresIn: expires,
    PoolId: idOf(volume.pool),
    MediaTypeId: 1,
    FirstWritten: listTime(volume.firstWrittenMs),
    LabelDate: listTime(volume.labelMs),
    VolJobs: volume.jobs,
    VolBlocks: volume.blocks,
    VolMounts: 0,
    VolErrors: volume.errors,
    VolWrites: volume.blocks,
    VolCapacityBytes: 0,
    VolUseDuration: volume.useDuration,
    MaxVolJobs: volume.maxJobs,
    MaxVolFiles: 0,
    MaxVolBytes: volume.maxBytes,
    // The address of its end, as JobMedia has those of jobs.
    EndFile: Math.floor(volume.bytes / 2 ** 32),
    EndBlock: volume.bytes % 2 ** 32,
    LabelType: 0,
    StorageId: [...context.config.storages.keys()].indexOf(volume.storage) + 1,
    DeviceId: 0,
    LocationId: 0,
    RecycleCount: volume.recycles,
    InitialWrite: "",
    ScratchPoolId: idOf(pools.find((pool) => pool.name === volume.pool)?.scratchPool),
    RecyclePoolId: idOf(volume.recyclePool),
    ActionOnPurge: volume.truncateOnPurge ? 1 : 0,
    CacheRetention: 0,
    Comment: "",
    PoolName: volume.pool,
    Storage: volume.storage,
    Device: volume.device,
    RecyclePool: volume.recyclePool,
    LiveBytes: volume.liveBytes < 0 ? null : volume.liveBytes,
    LiveCounted: listTime(volume.measuredMs),
  };
}

/** `list volumes`: a table per pool; one volume or one pool without a heading. */
export async function listVolumes(context: CommandContext, long: boolean, value?: string): Promise<void> {
  const name = value ?? context.args.value("volume");
  const pool = context.args.value("pool");
  if (name === undefined && pool === undefined && context.args.value("jobid", "ujobid") !== undefined)
    return await volumesOfJobs(context);
  const columns = long ? LONG_VOLUME_COLUMNS : VOLUME_COLUMNS;
  const pools = await catalogPools(context);
  const print = async (volumes: readonly StoredVolume[]) => {
    const rows = volumes.map((volume) => volumeRow(context, volume, pools));
    await context.records("volumes", columns, rows, long);
  };
  if (pool !== undefined && !pools.some((each) => each.name === pool)) {
    return void (await context.fail(`Pool "${pool}" not found`));
  }
  const volumes = await catalogVolumes(context, { volume: name ?? "", pool: pool ?? "" });
  if (name !== undefined || pool !== undefined) return await print(volumes);
  if (pools.length === 0) return await print(volumes);
  for (const each of pools) {
    await context.say(`Pool: ${each.name}`);
    await print(volumes.filter((volume) => volume.pool === each.name));
  }
}

/** `list volumes jobid=`: a line for each run. */
async function volumesOfJobs(context: CommandContext): Promise<void> {
  const text = context.args.value("jobid");
  const jobIds = text === undefined ? undefined : parseIdList(text);
  if (text !== undefined && jobIds === undefined)
    return void (await context.fail(`Expected a positive integer, got: ${text}`));
  const unique = context.args.value("ujobid") ?? "";
  const { jobs } = context.director.db;
  const records = visible(context, jobs.list(jobIds === undefined ? { job: unique } : { jobIds }));
  if (records.length === 0) return void (await context.print(NO_RESULTS));
  for (const { jobId, volumes } of records) {
    context.append("volumesOfJobs", { JobId: jobId, Volumes: [...volumes] });
    await context.say(`Jobid ${jobId} used ${volumes.length} Volume(s): ${volumes.join("|")}`);
  }
}

const POOL_COLUMNS = [
  ...[
    "PoolId",
    "Name",
    "NumVols",
    "MaxVols",
    "MaxVolBytes",
    "VolRetention",
    "Enabled",
    "PoolType",
    "LabelFormat",
  ],
];
const LONG_POOL_COLUMNS = [
  ...["PoolId", "Name", "NumVols", "MaxVols", "UseOnce", "UseCatalog", "AcceptAnyVolume", "VolRetention"],
  ...[
    "VolUseDuration",
    "MaxVolJobs",
    "MaxVolBytes",
    "AutoPrune",
    "Recycle",
    "PoolType",
    "LabelFormat",
    "Enabled",
  ],
  ...["ScratchPoolId", "RecyclePoolId", "LabelType", "ActionOnPurge", "CacheRetention", "ScratchPool"],
  ...["RecyclePool", "NextPool", "Deduplicate", "DedupScope"],
  ...["RecycleOldestVolume", "RecycleCurrentVolume", "PurgeOldestVolume"],
];

/** A pool with every column of Bacula's table Pool, then Basalt's own. `pools`: for their numbers. */
export function poolRow(pool: StoredPool, pools: readonly StoredPool[]) {
  const idOf = (name: string) => pools.find((each) => each.name === name)?.poolId ?? 0;
  return {
    PoolId: pool.poolId,
    Name: pool.name,
    NumVols: pool.volumes,
    MaxVols: pool.maximumVolumes,
    MaxVolBytes: pool.maximumVolumeBytes,
    VolRetention: pool.volumeRetention,
    Enabled: 1,
    PoolType: pool.poolType,
    // Scripts cut this table at blanks, where an empty cell would shift the columns.
    LabelFormat: pool.labelFormat === "" ? "*" : pool.labelFormat,
    UseOnce: 0,
    UseCatalog: 1,
    AcceptAnyVolume: 0,
    VolUseDuration: pool.volumeUseDuration,
    MaxVolJobs: pool.maximumVolumeJobs,
    MaxVolFiles: 0,
    AutoPrune: pool.autoPrune,
    Recycle: pool.recycle,
    ScratchPoolId: idOf(pool.scratchPool),
    RecyclePoolId: idOf(pool.recyclePool),
    NextPoolId: idOf(pool.nextPool),
    CacheRetention: 0,
    ScratchPool: pool.scratchPool,
    RecyclePool: pool.recyclePool,
    NextPool: pool.nextPool,
    LabelType: 0,
    Deduplicate: pool.deduplicate,
    DedupScope: pool.dedupScope,
    ActionOnPurge: pool.truncateOnPurge ? 1 : 0,
    RecycleOldestVolume: pool.recycleOldestVolume,
    RecycleCurrentVolume: pool.recycleCurrentVolume,
    PurgeOldestVolume: pool.purgeOldestVolume,
  };
}

export async function listPools(context: CommandContext, long: boolean, value?: string): Promise<void> {
  const pools = await catalogPools(context);
  const rows = pools
    .filter(({ name }) => value === undefined || name === value)
    .map((pool) => poolRow(pool, pools));
  rows.sort((a, b) => a.PoolId - b.PoolId);
  await context.records("pools", long ? LONG_POOL_COLUMNS : POOL_COLUMNS, rows, long);
}

export async function listClients(context: CommandContext, long: boolean, value?: string): Promise<void> {
  const rows = [...context.config.clients.values()]
    .map((client, index) => ({
      ClientId: index + 1,
      Name: client.name,
      FileRetention: client.fileRetentionSec,
      JobRetention: client.jobRetentionSec,
      AutoPrune: client.autoPrune,
      Address: client.address,
      Port: client.port,
    }))
    .filter((row) => context.acl.allowsClient(row.Name) && (value === undefined || row.Name === value));
  const columns = [
    "ClientId",
    "Name",
    "FileRetention",
    "JobRetention",
    ...(long ? ["AutoPrune", "Address", "Port"] : []),
  ];
  await context.records("clients", columns, rows, long);
}

/** `list nextvol job=`: the volume that the job would go on with. */
export async function listNextVolume(context: CommandContext): Promise<void> {
  const name = context.args.value("job", "jobname") ?? (await context.ask("Enter Job name: "));
  context.require("job", name, "Job");
  const plan = context.director.plan({ job: name });
  const pool = plan.pool?.name ?? "";
  context.require("pool", pool, "Pool");
  const volumes = (await catalogVolumes(context, { pool }))
    .filter((volume) => volume.status === "Append" && volume.enabled)
    .sort((a, b) => a.mediaId - b.mediaId);
  const next = volumes[0];
  context.data.volume = next?.name ?? null;
  if (next !== undefined)
    await context.say(`The next Volume to be used by Job "${name}" will be ${next.name}`);
  else await context.say(`Could not find next Volume for Job "${name}" (Pool: "${pool}").`);
}

/** Copies and what they are copies of; nothing is printed when there are none, as in Bacula. */
export async function listCopies(context: CommandContext, long: boolean): Promise<void> {
  const jobs = await catalogJobs(context, {});
  const originals = new Map(jobs.map((job) => [job.uuid, job]));
  const copies = jobs.filter((job) => job.type === "C" && isRestorable(job));
  context.data.copies = [];
  if (copies.length === 0) return;
  const volumes = await catalogVolumes(context, {});
  const mediaOf = (job: StoredJob): string =>
    volumes.find(({ name, storage }) => name === job.volumes[0] && storage === job.storage)?.mediaType ?? "";
  const wanted = parseIdList(context.args.value("jobid") ?? "");
  const rows = copies.flatMap((copy) => {
    const { jobId = 0, job = "" } = originals.get(copy.copyOf) ?? {};
    if (wanted !== undefined && !wanted.includes(jobId)) return [];
    return [{ JobId: jobId, Job: job, CopyJobId: copy.jobId, MediaType: mediaOf(copy) }];
  });
  if (rows.length === 0) return;
  await context.say("The catalog contains copies as follows:");
  await context.records("copies", ["JobId", "Job", "CopyJobId", "MediaType"], rows, long);
}
