/** Removal of snapshots: of a machine on demand, of dead jobs always. */
import { BackupError, describeError } from "../../common/errors.js";
import { unmountSet } from "./around.js";
import { type FoundSet, lifeOf, ownSets, type SnapshotContext } from "./context.js";
import { checkVmName } from "./names.js";
import type { Owner } from "./types.js";

/** `JobId 12` or `hand`. */
export function ownerText({ job }: Owner): string {
  return job === undefined ? "hand" : `JobId ${job.id}`;
}

/** Unmounts and removes one set. Whether it is in use has been asked. @throws BackupError */
export async function removeSet(set: FoundSet, context: SnapshotContext): Promise<void> {
  const { owner, provider, settings, disks } = set;
  const configured = context.snapshots.find(({ name }) => name === owner.resource) ?? settings;
  await unmountSet(owner.vm, configured, context);
  await provider.remove(set);
  if (owner.job !== undefined) context.jobs.forgetSet(owner.job.uuid, owner.set);
  for (const { device } of disks) context.report(`${owner.vm}: ${device} removed`);
}

/**
 * Removes the snapshots of a machine: in a hook those of its own job and of dead ones, else also those made by hand. It is no
 * error when there are none, so that it may be done twice.
 * @throws BackupError SNAPSHOT_IN_USE when a running job has them and this is not its hook
 */
export async function removeSnapshots(
  vm: string,
  context: SnapshotContext,
  job: { readonly uuid: string } | undefined,
): Promise<void> {
  checkVmName(vm);
  const failures: string[] = [];
  for (const set of await ownSets(context, vm)) {
    const { owner } = set;
    const life = lifeOf(owner, context);
    const own = job !== undefined && owner.job?.uuid === job.uuid;
    if (!own && life === "alive") {
      const text = `the snapshots of ${vm} belong to ${ownerText(owner)}, which runs`;
      if (job === undefined) throw new BackupError("SNAPSHOT_IN_USE", `${text}; cancel it first`);
      context.report(`${text}: they stay`);
    } else if (!own && life === "by hand" && job !== undefined) {
      context.report(`the snapshots of ${vm} were made by hand: they stay`);
    } else {
      await removeSet(set, context).catch((error) => failures.push(describeError(error)));
    }
  }
  if (failures.length > 0) throw new BackupError("SNAPSHOT_FAILED", `${vm}: ${failures.join("; ")}`);
}

/**
 * Removes what dead jobs have left, mounts included; what lives, and what was made by hand, stays.
 * @returns how many sets, and resources to look at, were beyond it; each was reported
 */
export async function removeLeftovers(context: SnapshotContext, vm?: string): Promise<number> {
  let failed = 0;
  const noLook = (text: string): void => {
    failed++;
    context.report(text);
  };
  for (const set of await ownSets(context, vm, noLook)) {
    if (lifeOf(set.owner, context) !== "dead") continue;
    try {
      context.report(`${set.owner.vm}: removing snapshots that ${ownerText(set.owner)} has left`);
      await removeSet(set, context);
    } catch (error) {
      failed++;
      context.report(`${set.owner.vm}: ${describeError(error)}`);
    }
  }
  return failed;
}
