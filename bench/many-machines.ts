/** The resources of a large site: a file for each machine, as `basalt client add --write` leaves them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Resources } from "../test/helpers/installation.js";

export interface SiteSize {
  clients: number;
  jobsPerClient: number;
  /** Storage resources besides the installation's own; one daemon each. */
  storagePorts: readonly number[];
}

const SCHEDULES = 20;
const POOLS = 12;
const FILE_SETS = 40;

const padded = (number: number): string => String(number).padStart(4, "0");

/** What all machines share: storages, pools, schedules, file sets. */
function shared({ storagePorts }: SiteSize): Resources {
  const range = (count: number) => Array.from({ length: count }, (_, index) => index);
  return {
    Storage: storagePorts.map((Port, index) => ({
      ...{ Name: `Store-${index + 2}`, Address: "127.0.0.1", Port, Device: "FileStorage", MediaType: "File" },
    })),
    Pool: range(POOLS).map((index) => ({
      ...{ Name: `Pool-${index}`, PoolType: "Backup", LabelFormat: `p${index}-`, VolumeRetention: "1 year" },
      ...{ MaximumVolumeBytes: "50 GB", AutoPrune: "yes", Recycle: "yes" },
    })),
    Schedule: range(SCHEDULES).map((index) => ({
      Name: `Cycle-${index}`,
      Run: [
        `Level=Full 1st sun at 22:${padded(index).slice(2)}`,
        `Level=Differential 2nd-5th sun at 22:${padded(index).slice(2)}`,
        `Level=Incremental mon-sat at 22:${padded(index).slice(2)}`,
      ],
    })),
    FileSet: range(FILE_SETS).map((index) => ({
      Name: `Files-${index}`,
      Include: {
        File: ["/etc", "/home", `/srv/${index}`],
        Options: [
          { Exclude: "yes", WildFile: ["*.swp", "*~"] },
          { Compression: "auto", OneFS: "yes" },
        ],
      },
      Exclude: { File: ["/proc", "/sys", "/tmp"] },
    })),
  };
}

/** One machine with its jobs; nothing listens at its address. */
function machine(number: number, { jobsPerClient, storagePorts }: SiteSize): Resources {
  const client = `vm-${padded(number)}-fd`;
  const storages = ["File", ...storagePorts.map((_, index) => `Store-${index + 2}`)];
  return {
    Client: [
      {
        ...{
          Name: client,
          Address: "127.0.0.1",
          Port: 9,
          FileRetention: "60 days",
          JobRetention: "6 months",
        },
        ...{ AutoPrune: "yes", MaximumConcurrentJobs: 2 },
      },
    ],
    Job: Array.from({ length: jobsPerClient }, (_, index) => ({
      ...{ Name: `vm-${padded(number)}-${index}`, JobDefs: "DefaultJob", Client: client },
      ...{ FileSet: `Files-${(number + index) % FILE_SETS}`, Schedule: `Cycle-${number % SCHEDULES}` },
      ...{ Pool: `Pool-${number % POOLS}`, Storage: storages[number % storages.length] },
      ...{
        ClientRunBeforeJob: "snapshot-create",
        ClientRunAfterJob: "snapshot-remove",
        Priority: 10 + index,
      },
    })),
  };
}

/** Writes everything below `conf.d` of an installation, whose director reads it at its next start. */
export function writeSite(installation: string, size: SiteSize): void {
  const dir = join(installation, "conf.d");
  mkdirSync(dir, { recursive: true });
  const write = (name: string, resources: Resources): void =>
    writeFileSync(join(dir, `${name}.yaml`), stringify(resources));
  write("shared", shared(size));
  for (let number = 1; number <= size.clients; number++) write(`vm-${padded(number)}`, machine(number, size));
}
