/** A small configuration for tests of the console language. */
import type { DirectorConfig } from "../../config/types.js";

function byName<T extends { name: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.name, item]));
}

const JOB = {
  enabled: true,
  type: "Backup",
  level: "Incremental",
  client: "vm1-fd",
  fileSet: "Full Set",
  pool: "Default",
  storage: "File1",
  base: [],
  accurate: true,
  priority: 10,
  maximumConcurrentJobs: 1,
  replace: "always",
  maxRunTimeSec: 0,
};

const CLIENT = {
  address: "127.0.0.1",
  port: 9102,
  enabled: true,
  maximumConcurrentJobs: 1,
  jobRetentionSec: 15_552_000,
  fileRetentionSec: 5_184_000,
  autoPrune: true,
  dial: "storage",
};

const POOL = {
  poolType: "Backup",
  deduplicate: true,
  dedupScope: "pool",
  maximumVolumes: 0,
  maximumVolumeBytes: 0,
  maximumVolumeJobs: 0,
  volumeUseDurationSec: 0,
  volumeRetentionSec: 31_536_000,
  autoPrune: true,
  recycle: true,
};

const ACL = [
  ...[
    "commandAcl",
    "jobAcl",
    "clientAcl",
    "storageAcl",
    "scheduleAcl",
    "poolAcl",
    "fileSetAcl",
    "catalogAcl",
  ],
  ...["whereAcl", "directoryAcl", "restoreClientAcl", "backupClientAcl", "pluginOptionsAcl", "userIdAcl"],
];

/** One restore job, two backup jobs and clients, two pools, one storage daemon, one restricted console. */
export function fixtureConfig(): DirectorConfig {
  const limited = Object.fromEntries(ACL.map((acl) => [acl, [] as string[]]));
  return {
    file: "/etc/basalt/director.yaml",
    director: {
      name: "test-dir",
      address: "127.0.0.1",
      port: 9101,
      maximumConcurrentJobs: 20,
      workingDirectory: "/tmp",
    },
    jobs: byName([
      { ...JOB, name: "vm1" },
      { ...JOB, name: "vm2", client: "vm2-fd", fileSet: "Small Set" },
      { ...JOB, name: "RestoreFiles", type: "Restore", where: "/tmp/restores", level: "Full" },
    ]),
    clients: byName([
      { ...CLIENT, name: "vm1-fd" },
      { ...CLIENT, name: "vm2-fd", port: 9202 },
    ]),
    fileSets: byName(
      ["Full Set", "Small Set"].map((name) => ({
        name,
        include: [{ files: ["/"], options: [], excludeDirContaining: [] }],
        excludeFiles: [],
        ignoreChanges: false,
        digest: "0123456789abcdef0123",
      })),
    ),
    schedules: byName([
      {
        name: "Nightly",
        enabled: true,
        runs: [{ overrides: {}, spec: { kind: "bacula", text: "at 23:05" } }],
      },
    ]),
    storages: byName([
      {
        name: "File1",
        address: "127.0.0.1",
        port: 9103,
        device: "FileStorage",
        mediaType: "File",
        enabled: true,
        maximumConcurrentJobs: 10,
      },
    ]),
    pools: byName([
      { ...POOL, name: "Default" },
      { ...POOL, name: "Archive" },
    ]),
    messages: byName([{ name: "Standard", destinations: [{ kind: "console", types: ["all"] }] }]),
    consoles: byName([
      {
        name: "limited",
        ...limited,
        commandAcl: ["list", "status", "messages", "run"],
        jobAcl: ["vm1"],
        clientAcl: ["vm1-fd"],
        catalogAcl: ["MyCatalog"],
      },
    ]),
    files: [],
    warnings: [],
  } as unknown as DirectorConfig;
}
