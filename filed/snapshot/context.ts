/** What making and removing snapshots need of the daemon around them. */
import { hostname } from "node:os";
import { BackupError, describeError } from "../../common/errors.js";
import type { FiledConfig } from "../config.js";
import { processLives } from "./process-identity.js";
import { openProvider } from "./providers.js";
import { RunningJobs } from "./running-jobs.js";
import type { SnapshotSettings } from "./settings.js";
import type { Owner, Provider, SnapshotSet } from "./types.js";

export interface SnapshotContext {
  /** Name of the file daemon. */
  readonly filed: string;
  readonly snapshots: readonly SnapshotSettings[];
  readonly workingDirectory: string;
  readonly hookDirectories: readonly string[];
  readonly jobs: RunningJobs;
  readonly report: (line: string) => void;
}

/** `report` takes lines for the job's report, the terminal or the log. */
export function snapshotContext(
  config: Pick<FiledConfig, "name" | "snapshots" | "workingDirectory" | "hookDirectories">,
  report: (line: string) => void,
): SnapshotContext {
  const { name: filed, snapshots, workingDirectory, hookDirectories } = config;
  const jobs = new RunningJobs(workingDirectory);
  return { filed, snapshots, workingDirectory, hookDirectories, jobs, report };
}

/** A set, and who can remove it. */
export interface FoundSet extends SnapshotSet {
  readonly settings: SnapshotSettings;
  readonly provider: Provider;
}

/** The resource for a machine: the first that its name fits. @throws BackupError SNAPSHOT_NOT_CONFIGURED */
export function settingsFor(vm: string, { snapshots }: SnapshotContext): SnapshotSettings {
  const found = snapshots.find((each) => isFor(each, vm));
  if (found !== undefined) return found;
  const what =
    snapshots.length === 0
      ? "filed.yaml has no Snapshot resource; add Snapshot: {Name: disks, Provider: lvm}"
      : `no Snapshot resource of filed.yaml is for ${vm} (VM)`;
  throw new BackupError("SNAPSHOT_NOT_CONFIGURED", what);
}

const isFor = ({ vms }: SnapshotSettings, vm: string): boolean => vms.some((pattern) => fits(pattern, vm));

function fits(pattern: string, vm: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(vm);
}

/**
 * Sets of this daemon on this host, of one machine or of all, wherever a Snapshot resource looks. Of a machine, the resource
 * that is for it must be able to look; of the others `failed` hears, and the rest counts.
 * @throws BackupError SNAPSHOT_FAILED
 */
export async function ownSets(
  context: SnapshotContext,
  vm: string | undefined,
  failed: (text: string) => void = context.report,
): Promise<FoundSet[]> {
  const found = new Map<string, FoundSet>();
  const needed = vm === undefined ? undefined : context.snapshots.find((each) => isFor(each, vm));
  for (const settings of context.snapshots) {
    const provider = openProvider(settings, context);
    const sets = await provider.sets(vm).catch((error: unknown) => {
      if (settings === needed) throw error;
      failed(`Snapshot "${settings.name}": ${describeError(error)}`);
      return [];
    });
    for (const set of sets) {
      const { owner } = set;
      if (owner.host !== hostname() || owner.filed !== context.filed) continue;
      // Two resources may look at the same volume group: that which made it counts.
      if (found.has(owner.set) && owner.resource !== settings.name) continue;
      found.set(owner.set, { ...set, settings, provider });
    }
  }
  return [...found.values()];
}

/** "dead": its job has ended; what was made by hand stays until somebody removes it by hand. */
export type Life = "alive" | "dead" | "by hand";

export function lifeOf({ job, process }: Owner, { jobs }: SnapshotContext): Life {
  if (job === undefined) return "by hand";
  // The process that makes a set may outlive its daemon: it sees that itself and undoes what it did.
  return jobs.lives(job.uuid) || processLives(process) ? "alive" : "dead";
}
