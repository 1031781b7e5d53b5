/** Snapshots of all disks of a machine, or of none. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { BackupError, describeError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import { formatBytes } from "../../common/units.js";
import { type Frozen, whileFrozen } from "../freeze/freeze.js";
import { mountSet } from "./around.js";
import { type FoundSet, lifeOf, ownSets, type SnapshotContext, settingsFor } from "./context.js";
import { checkVmName } from "./names.js";
import { ownProcess } from "./process-identity.js";
import { openProvider } from "./providers.js";
import { ownerText, removeSet } from "./remove.js";
import { roomText } from "./settings.js";
import type { Owner, Plan, SnapshotSet } from "./types.js";

export interface CreateOptions {
  /** The job whose hook this is; undefined: by hand. */
  readonly job?: { readonly uuid: string; readonly id: number } | undefined;
  /** Also mount the machine's file systems, where the resource says how. */
  readonly mount: boolean;
  /** Undoes everything and rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes them inside one freeze and mounts what is to be mounted. Leftovers of dead jobs are removed before.
 * @throws BackupError VM_NAME_INVALID, SNAPSHOT_NOT_CONFIGURED, SNAPSHOT_EXISTS, SNAPSHOT_NO_DISK, SNAPSHOT_NO_ROOM,
 *   SNAPSHOT_FAILED; what freezing and mounting throw; the signal's reason. Nothing is left then.
 */
export async function createSnapshots(
  vm: string,
  context: SnapshotContext,
  options: CreateOptions,
): Promise<SnapshotSet> {
  checkVmName(vm);
  const settings = settingsFor(vm, context);
  checkJob(options, context);
  await makeWay(vm, context);
  const provider = openProvider(settings, context);
  const plan = await provider.plan(vm);
  checkNumbers(vm, plan);
  const owner: Owner = {
    ...{
      host: hostname(),
      filed: context.filed,
      resource: settings.name,
      vm,
      set: randomBytes(8).toString("hex"),
    },
    ...{
      disks: plan.disks.length,
      process: ownProcess(),
      sinceSec: Math.floor(nowMs() / 1000),
      job: options.job,
    },
  };
  try {
    const frozen = await take(vm, { plan, owner, settings }, context, options);
    const set = (await provider.sets(vm)).find((each) => each.owner.set === owner.set);
    if (set === undefined || set.disks.length === 0 || set.disks.length !== set.owner.disks)
      throw new BackupError("SNAPSHOT_FAILED", `snapshots of ${vm} are gone that were made just now`);
    tell(set, { plan, frozen, room: roomText(settings) }, context);
    if (options.mount) await mountSet(set, settings, { ...context, ...options, confirmed: frozen.confirmed });
    options.signal?.throwIfAborted();
    // Its daemon may have died meanwhile; from now on somebody else removes the set.
    checkJob(options, context);
    if (options.job !== undefined) {
      context.jobs.noteSet(options.job.uuid, { resource: settings.name, vm, set: owner.set });
    }
    return set;
  } catch (error) {
    await undo(owner, context);
    throw error;
  }
}

/** A guest's first disk is one: `vm_web-disk1.raw` beside `vm_web-disk1.img` is perhaps an old copy. */
function checkNumbers(vm: string, { disks }: Plan): void {
  const [twin] = disks.filter(
    ({ number }, index) => disks.findIndex((each) => each.number === number) < index,
  );
  if (twin === undefined) return;
  const names = disks.filter(({ number }) => number === twin.number).map(({ origin }) => origin);
  const text = `several disks of ${vm} have the number ${twin.number}: ${names.join(", ")}; rename all but one`;
  throw new BackupError("SNAPSHOT_FAILED", text);
}

function checkJob({ job }: CreateOptions, { jobs }: SnapshotContext): void {
  if (job === undefined || jobs.lives(job.uuid)) return;
  const why =
    "does not run in this file daemon any more, or the daemon has not yet read its Snapshot resources";
  throw new BackupError("SNAPSHOT_FAILED", `JobId ${job.id} ${why}: no snapshot is made for it`);
}

/** What dead jobs left of this machine goes; what is in use refuses. */
async function makeWay(vm: string, context: SnapshotContext): Promise<void> {
  for (const set of await ownSets(context, vm)) {
    const { owner } = set;
    if (lifeOf(owner, context) === "dead") {
      context.report(`${vm}: removing snapshots that ${ownerText(owner)} has left`);
      await removeSet(set, context);
      continue;
    }
    const held =
      owner.job === undefined
        ? `made by hand (basalt snapshot remove ${vm} removes them)`
        : `held by ${ownerText(owner)}, which runs`;
    throw new BackupError("SNAPSHOT_EXISTS", `there are snapshots of ${vm} already, ${held}`);
  }
}

async function take(
  vm: string,
  { plan, owner, settings }: { plan: Plan; owner: Owner; settings: FoundSet["settings"] },
  context: SnapshotContext,
  { signal }: CreateOptions,
): Promise<Frozen<void>> {
  let making: Promise<void> | undefined;
  const during = (): Promise<void> => {
    making = plan.make(owner, signal);
    return making;
  };
  try {
    return await whileFrozen(vm, settings.freeze, { ...context, signal }, during);
  } finally {
    // A guest that is let go too early does not end what makes the snapshots.
    await making?.catch(() => undefined);
  }
}

function tell(
  set: SnapshotSet,
  { plan, frozen, room }: { plan: Plan; frozen: Frozen<void>; room: string },
  { report }: SnapshotContext,
): void {
  const { vm } = set.owner;
  for (const { origin, device, sizeBytes } of set.disks)
    report(`${vm}: snapshot of ${origin} (${formatBytes(sizeBytes)}) is ${device}${room}`);
  if (plan.instants > 1 && frozen.how !== "guest" && frozen.how !== "paused")
    report(
      `${vm}: disks not simultaneous: the machine wrote on while its ${set.disks.length} snapshots were made`,
    );
}

async function undo(owner: Owner, context: SnapshotContext): Promise<void> {
  try {
    const sets = await ownSets(context, owner.vm);
    for (const set of sets.filter((each) => each.owner.set === owner.set)) await removeSet(set, context);
  } catch (error) {
    const text = `what was made could not be removed: ${describeError(error)}`;
    context.report(`${owner.vm}: ${text}; basalt snapshot cleanup tries again`);
  }
}
