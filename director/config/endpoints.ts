/** Director, Client, Storage and Pool: who there is, and where volumes belong. */

import path from "node:path";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import {
  address,
  DAEMON_NO_EFFECT,
  fingerprint,
  pathText,
  tls,
  toTlsFiles,
} from "../../common/config/parts.js";
import {
  checkReference,
  type ResourceOf,
  requireDirectives,
  resourceName,
} from "../../common/config/resources.js";
import {
  type BlockSpec,
  duration,
  integer,
  oneOf,
  port,
  reference,
  size,
  speed,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import { retentionDirectives, toPolicy } from "./retention.js";
import type { ClientResource, DirectorResource, PoolResource, StorageResource } from "./types.js";

const DAY_SEC = 86400;

const directorDirectives = {
  name: resourceName(),
  address: address(),
  port: port(),
  workingDirectory: pathText(),
  maximumConcurrentJobs: integer(1, 10000),
  tls: tls(),
  heartbeatInterval: duration(),
  fdConnectTimeout: duration(),
  sdConnectTimeout: duration(),
  messages: reference(),
  ticketKeyFile: pathText(),
  revokedFile: pathText(),
  statisticsRetention: duration(),
  queryFile: pathText(),
  maximumBandwidthPerJob: speed(),
};

export const DIRECTOR_SPEC: BlockSpec<typeof directorDirectives> = {
  directives: directorDirectives,
  aliases: { DirPort: "port", DirAddress: "address", MaximumBandwidth: "maximumBandwidthPerJob" },
  noEffect: DAEMON_NO_EFFECT,
};

/** The typed Director; paths are resolved against the file's directory. */
export function toDirector(
  raw: ResourceOf<typeof DIRECTOR_SPEC>,
  messages: ReadonlyMap<string, unknown>,
  diagnostics: Diagnostics,
): DirectorResource {
  const { values } = raw;
  requireDirectives(raw, ["workingDirectory"], diagnostics);
  const file = (name: string): string => path.resolve(raw.directory, name);
  return {
    name: raw.name,
    address: values.address ?? "127.0.0.1",
    port: values.port ?? 9101,
    workingDirectory: file(values.workingDirectory ?? "."),
    maximumConcurrentJobs: values.maximumConcurrentJobs ?? 20,
    tls: toTlsFiles(raw, values.tls, diagnostics),
    heartbeatIntervalSec: values.heartbeatInterval ?? 60,
    fdConnectTimeoutSec: values.fdConnectTimeout ?? 180,
    sdConnectTimeoutSec: values.sdConnectTimeout ?? 1800,
    messages: checkReference(values.messages, "Messages", messages, diagnostics),
    ticketKeyFile: file(values.ticketKeyFile ?? "pki/ticket.key"),
    revokedFile: file(values.revokedFile ?? "pki/revoked.yaml"),
    maximumBandwidthPerJob: values.maximumBandwidthPerJob ?? 0,
    statisticsRetentionSec: values.statisticsRetention ?? 180 * DAY_SEC,
    queryFile: values.queryFile === undefined ? undefined : file(values.queryFile),
  };
}

const CERTIFICATES = "peers prove who they are with certificates; take it out of the file";

const clientDirectives = {
  name: resourceName(),
  address: address(),
  port: port(),
  catalog: text(),
  fileRetention: duration(),
  jobRetention: duration(),
  autoPrune: yesNo(),
  maximumConcurrentJobs: integer(1, 10000),
  maximumConcurrentImageJobs: integer(0, 10000),
  enabled: yesNo(),
  dial: oneOf({ storage: "storage", client: "client" } as const),
  sdCallsClient: yesNo(),
  fingerprint: fingerprint(),
  maximumBandwidth: speed(),
};

export const CLIENT_SPEC: BlockSpec<typeof clientDirectives> = {
  directives: clientDirectives,
  aliases: { FdPort: "port", FdAddress: "address", MaximumBandwidthPerJob: "maximumBandwidth" },
  noEffect: { ...DAEMON_NO_EFFECT, Password: CERTIFICATES },
};

/** The typed Client. */
export function toClient(raw: ResourceOf<typeof CLIENT_SPEC>, diagnostics: Diagnostics): ClientResource {
  const { values } = raw;
  requireDirectives(raw, ["address"], diagnostics);
  return {
    name: raw.name,
    address: values.address ?? "",
    port: values.port ?? 9102,
    catalog: values.catalog,
    fileRetentionSec: values.fileRetention ?? 60 * DAY_SEC,
    jobRetentionSec: values.jobRetention ?? 180 * DAY_SEC,
    autoPrune: values.autoPrune ?? true,
    maximumConcurrentJobs: values.maximumConcurrentJobs ?? 1,
    maximumConcurrentImageJobs: values.maximumConcurrentImageJobs ?? 0,
    enabled: values.enabled ?? true,
    dial: values.dial ?? (values.sdCallsClient === false ? "client" : "storage"),
    fingerprint: values.fingerprint,
    maximumBandwidth: values.maximumBandwidth ?? 0,
  };
}

const storageDirectives = {
  name: resourceName(),
  address: address(),
  port: port(),
  device: text(),
  mediaType: text(),
  autochanger: text(),
  maximumConcurrentJobs: integer(1, 10000),
  enabled: yesNo(),
  fingerprint: fingerprint(),
};

export const STORAGE_SPEC: BlockSpec<typeof storageDirectives> = {
  directives: storageDirectives,
  aliases: { SdPort: "port", SdAddress: "address" },
  noEffect: {
    ...DAEMON_NO_EFFECT,
    HeartbeatInterval: "set it in the Director resource",
    AllowCompression: "compression is set in the FileSet",
  },
};

/** The typed Storage. */
export function toStorage(raw: ResourceOf<typeof STORAGE_SPEC>, diagnostics: Diagnostics): StorageResource {
  const { values } = raw;
  requireDirectives(raw, ["address", "device"], diagnostics);
  return {
    name: raw.name,
    address: values.address ?? "",
    port: values.port ?? 9103,
    device: values.device ?? "",
    mediaType: values.mediaType ?? "File",
    // Yes, or in newer versions of Bacula the name of the Storage that stands for the changer.
    autochanger: !/^(no|false|off|0|)$/i.test((values.autochanger ?? "").trim()),
    maximumConcurrentJobs: values.maximumConcurrentJobs ?? 10,
    enabled: values.enabled ?? true,
    fingerprint: values.fingerprint,
  };
}

const poolDirectives = {
  name: resourceName(),
  poolType: words("Backup", "Scratch"),
  deduplicate: yesNo(),
  dedupScope: oneOf({ pool: "pool", client: "client" } as const),
  maximumVolumes: integer(0, 1_000_000),
  maximumVolumeBytes: size(),
  maximumVolumeJobs: integer(0, 1_000_000),
  volumeUseDuration: duration(),
  volumeRetention: duration(),
  ...retentionDirectives,
  autoPrune: yesNo(),
  recycle: yesNo(),
  recycleOldestVolume: yesNo(),
  recycleCurrentVolume: yesNo(),
  purgeOldestVolume: yesNo(),
  actionOnPurge: words("None", "Truncate"),
  labelFormat: text(),
  storage: reference(),
  scratchPool: reference(),
  recyclePool: reference(),
  nextPool: reference(),
  migrationHighBytes: size(),
  migrationLowBytes: size(),
  migrationTime: duration(),
};

export const POOL_SPEC: BlockSpec<typeof poolDirectives> = {
  directives: poolDirectives,
  noEffect: {
    Catalog: "the catalog lives in the storage daemon",
    CacheRetention: "volumes are local files",
    UseVolumeOnce: "use MaximumVolumeJobs: 1",
    CatalogFiles: "file lists are always kept",
    CleaningPrefix: "there are no tapes",
    MaximumVolumeFiles: "volumes have no file marks",
  },
};

/** What pools refer to. */
interface PoolTargets {
  readonly pools: ReadonlyMap<string, unknown>;
  readonly storages: ReadonlyMap<string, unknown>;
}

/** The typed Pool; dangling references are reported. */
export function toPool(
  { name, values }: ResourceOf<typeof POOL_SPEC>,
  { pools, storages }: PoolTargets,
  diagnostics: Diagnostics,
): PoolResource {
  return {
    name,
    poolType: values.poolType ?? "Backup",
    deduplicate: values.deduplicate ?? true,
    dedupScope: values.dedupScope ?? "pool",
    maximumVolumes: values.maximumVolumes ?? 0,
    maximumVolumeBytes: values.maximumVolumeBytes ?? 0,
    maximumVolumeJobs: values.maximumVolumeJobs ?? 0,
    volumeUseDurationSec: values.volumeUseDuration ?? 0,
    volumeRetentionSec: values.volumeRetention ?? 365 * DAY_SEC,
    ...toPolicy(values),
    autoPrune: values.autoPrune ?? true,
    recycle: values.recycle ?? true,
    recycleOldestVolume: values.recycleOldestVolume ?? false,
    recycleCurrentVolume: values.recycleCurrentVolume ?? false,
    purgeOldestVolume: values.purgeOldestVolume ?? false,
    truncateOnPurge: values.actionOnPurge === "Truncate",
    labelFormat: values.labelFormat,
    storage: checkReference(values.storage, "Storage", storages, diagnostics),
    scratchPool: checkReference(values.scratchPool, "Pool", pools, diagnostics),
    recyclePool: checkReference(values.recyclePool, "Pool", pools, diagnostics),
    nextPool: checkReference(values.nextPool, "Pool", pools, diagnostics),
    migrationHighBytes: values.migrationHighBytes ?? 0,
    migrationLowBytes: values.migrationLowBytes ?? 0,
    migrationTimeSec: values.migrationTime ?? 0,
  };
}
