/**
 * Disk images mounted: the guest's tree as its fstab says, or one partition. Journals are replayed into what lies over the
 * images; where that fails, they are skipped.
 */
import { join } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { type MountSettings, toMountSettings } from "../mount/config.js";
import { mountVm } from "../mount/mount-vm.js";
import { mountVolume } from "../mount/mount-volume.js";
import { makeMachineDirectory } from "../mount/place.js";
import { runMountProgram } from "../mount/programs.js";
import { unmountVm } from "../mount/unmount-vm.js";
import { volumesOf } from "../mount/volumes.js";
import type { TreeWork } from "./tree-protocol.js";

type JournalRule = "replay" | "skip";

interface Tools {
  report: (line: string) => void;
  signal: AbortSignal;
}

const UNMOUNT_LIMIT_SEC = 20;

function settingsFor(mounts: string): MountSettings {
  return { ...toMountSettings(), directory: mounts, incomplete: true, unmountLimitSec: UNMOUNT_LIMIT_SEC };
}

/** Mounts below `mounts`/`vm`; all of it or nothing. @throws BackupError MOUNT_FAILED, LOOP_FAILED, INTERRUPTED */
export async function mountSelected(
  { vm, disks, mounts, partition }: Pick<TreeWork, "vm" | "disks" | "mounts" | "partition">,
  tools: Tools,
): Promise<void> {
  const all = disks.map((device, number) => ({ number, device, writable: true }));
  const settings = settingsFor(mounts);
  const limitMs = settings.timeLimitSec * 1000;
  const mount = (journal: JournalRule): Promise<void> =>
    partition === undefined
      ? mountVm(vm, all, settings, { ...tools, confirmedFreeze: false, journal })
      : mountPartition(join(mounts, vm), all, partition, { ...tools, limitMs, journal });
  try {
    await mount("replay").catch(async (error) => {
      if (codeOf(error) !== "MOUNT_FAILED") throw error;
      await unmountSelected({ vm, mounts }, tools);
      await mount("skip");
      tools.report(`Warning: with the journals replayed it was not possible: ${describeError(error)}`);
    });
  } catch (cause) {
    if (codeOf(cause) !== "MOUNT_FAILED" || partition !== undefined) throw cause;
    const hint =
      "files of one partition can be restored with image=PATH and partition=NUMBER, or restore the image";
    throw new BackupError("MOUNT_FAILED", `${describeError(cause)} (${hint})`, { cause });
  }
}

async function mountPartition(
  root: string,
  disks: { number: number; device: string; writable: boolean }[],
  partition: number,
  { report, signal, limitMs: timeLimitMs, journal }: Tools & { limitMs: number; journal: JournalRule },
): Promise<void> {
  const volumes = volumesOf(disks);
  const volume = volumes.find((each) => each.partition === partition);
  if (volume === undefined) {
    const there = volumes.map((each) => each.partition).join(", ");
    throw new BackupError(
      "MOUNT_FAILED",
      `the disk image has no partition ${partition}; it has ${there || "none"}`,
    );
  }
  makeMachineDirectory(root);
  const limits = { timeLimitMs, signal };
  // As for a whole machine: no other mount namespace gets a copy.
  await runMountProgram(["mount", "-n", "-i", "-c", "--bind", root, root], limits);
  await runMountProgram(["mount", "-n", "-i", "-c", "--make-private", root], limits);
  await mountVolume(volume, { root, place: [], journal, ...limits });
  report(`/ is ${volume.name}${journal === "skip" ? "; its journal is not replayed" : ""}`);
}

/** Releases what is mounted there; nothing is no error. @throws BackupError UNMOUNT_FAILED */
export async function unmountSelected(
  { vm, mounts }: Pick<TreeWork, "vm" | "mounts">,
  tools: { report: (line: string) => void },
): Promise<void> {
  await unmountVm(vm, settingsFor(mounts), tools);
}
