/** The look at a job's snapshots before it counts as complete. */
import { BackupError } from "../../common/errors.js";
import type { SnapshotContext } from "./context.js";
import { openProvider } from "./providers.js";
import type { MadeSet } from "./running-jobs.js";

/**
 * Whether the snapshots that a job's hooks made, and did not remove since, were good all the time.
 * @throws BackupError SNAPSHOT_INVALID when one is not, SNAPSHOT_FAILED when that cannot be told
 */
export async function checkJobSnapshots(context: SnapshotContext, uuid: string): Promise<void> {
  for (const made of context.jobs.madeSets(uuid)) await checkSet(made, context);
}

async function checkSet({ resource, set: name, vm }: MadeSet, context: SnapshotContext): Promise<void> {
  const settings = context.snapshots.find((each) => each.name === resource);
  if (settings === undefined)
    throw new BackupError("SNAPSHOT_FAILED", `Snapshot "${resource}" is gone from filed.yaml`);
  const set = (await openProvider(settings, context).sets(vm)).find(({ owner }) => owner.set === name);
  const invalid = (why: string): BackupError =>
    new BackupError("SNAPSHOT_INVALID", `${why}: the backup is no good`);
  if (set === undefined || set.disks.length < set.owner.disks)
    throw invalid(`snapshots of ${vm} have been removed while the job ran`);
  const faults = set.disks.filter(({ fault }) => fault !== undefined);
  if (faults.length > 0) {
    const list = faults.map(({ device, fault }) => `${device} ${fault}`).join("; ");
    throw invalid(`the snapshot ${list} (Size in Snapshot "${resource}")`);
  }
  const used = set.disks.flatMap(({ usedPercent }) => usedPercent ?? []);
  if (used.length > 0)
    context.report(`${vm}: snapshots are good; ${Math.max(...used)}% of their room was used at most`);
}
