/**
 * Mounts one volume read-only. A journal that may not be empty is replayed into the device, which is a snapshot, or,
 * after a freeze, left alone; then the loop device is read-only, too.
 */
import { BackupError, describeError } from "../../common/errors.js";
import { closeFd } from "../../common/sys/files.js";
import { attachLoop } from "../sys/loop.js";
import { mountsWithin } from "./mount-table.js";
import { machineLabel } from "./mounted-machine.js";
import { openInside, pathOfOpen } from "./place.js";
import { type ProgramLimits, runMountProgram } from "./programs.js";
import { DRIVERS, type FileSystem, type FileSystemType } from "./superblock.js";
import type { Volume } from "./volumes.js";

/**
 * What may be done about journals. "replay": into the device, where it is writable. "frozen": the same where there is
 * something to replay, for then the freeze has not held that file system; else they are left alone. "skip": what is only
 * in the journal is given up.
 */
export type JournalRule = "replay" | "frozen" | "skip";

const SAFE = ["ro", "nodev", "nosuid", "noexec"];

interface Way {
  readonly options: readonly string[];
  /** Mount without a look at the journal. */
  readonly withoutJournal: readonly string[];
}

const WAYS: Readonly<Record<FileSystemType, Way>> = {
  // The superblock may ask for a panic of the kernel where something is damaged; what is given here outranks it.
  ext: { options: ["errors=remount-ro"], withoutJournal: ["noload"] },
  // Snapshots and clones share the UUID of what they were made of.
  xfs: { options: ["nouuid"], withoutJournal: ["norecovery"] },
  btrfs: { options: [], withoutJournal: ["rescue=nologreplay"] },
  fat: { options: ["errors=remount-ro", "utf8"], withoutJournal: [] },
};

export interface MountStep extends ProgramLimits {
  /** The machine's directory. */
  root: string;
  /** Components of the mount point in it. */
  place: readonly string[];
  journal: JournalRule;
}

/**
 * Returns when the volume is mounted where it should be; its loop device goes with the mount.
 * @throws BackupError MOUNT_FAILED, LOOP_FAILED, INTERRUPTED; SysError for a mount point that is none
 */
export async function mountVolume(volume: Volume, step: MountStep): Promise<void> {
  const fileSystem = mountable(volume);
  const isReplay = isReplayed(fileSystem, step.journal);
  if (isReplay && fileSystem.hasJournalToReplay === true && !volume.disk.writable) throw notWritable(volume);
  const target = openInside(step.root, step.place);
  try {
    const { disk, offset, size } = volume;
    const writable = isReplay && disk.writable;
    const loop = attachLoop({ file: disk.device, offset, size, writable, label: machineLabel(step.root) });
    try {
      const options = optionsOf(fileSystem, isReplay);
      const words = ["mount", "-n", "-i", "-c", "-t", DRIVERS[fileSystem.type], "-o", options.join(",")];
      await runMountProgram([...words, loop.path, pathOfOpen(target)], step);
      checkMounted(step.root, loop.path);
    } finally {
      loop.close();
    }
  } catch (cause) {
    if (!(cause instanceof BackupError) || cause.code === "INTERRUPTED") throw cause;
    const why = isReplay && !volume.disk.writable ? `; ${NOT_WRITABLE}` : "";
    throw new BackupError("MOUNT_FAILED", `${volume.name}: ${describeError(cause)}${why}`, { cause });
  } finally {
    closeFd(target);
  }
}

/** Whether the mount may find something to replay in the journal, and is to do so. */
export function isReplayed({ hasJournalToReplay }: FileSystem, rule: JournalRule): boolean {
  if (rule === "replay") return hasJournalToReplay !== false;
  return rule === "frozen" && hasJournalToReplay === true;
}

/** A frozen xfs has a log that Linux would clear, which it cannot on a device that is read-only. */
function optionsOf({ type, hasJournalToReplay }: FileSystem, isReplay: boolean): string[] {
  const { options, withoutJournal } = WAYS[type];
  const isLeftAlone = !isReplay && (hasJournalToReplay !== false || type === "xfs");
  return [...SAFE, ...options, ...(isLeftAlone ? withoutJournal : [])];
}

function mountable(volume: Volume): FileSystem {
  const { content } = volume;
  if (content.type === "other") throw new BackupError("MOUNT_FAILED", `${volume.name}: ${content.name}`);
  if (content.refused !== undefined)
    throw new BackupError("MOUNT_FAILED", `${volume.name}, ${DRIVERS[content.type]}: ${content.refused}`);
  return content;
}

const NOT_WRITABLE =
  "if its journal holds changes they can only be replayed into a writable snapshot; make one, or freeze the machine";

function notWritable({ name }: Volume): BackupError {
  const text = `${name}: its journal holds changes, and the snapshot cannot be written; make a writable one, or freeze the machine`;
  return new BackupError("MOUNT_FAILED", text);
}

/** A file system may show another device with the same identity than the one that was asked for, as btrfs does. */
function checkMounted(root: string, device: string): void {
  const row = mountsWithin(root).find(({ source }) => source === device);
  if (row !== undefined && SAFE.every((option) => row.options.includes(option))) return;
  const text = "it was not mounted as asked for; is a copy of it mounted already?";
  throw new BackupError("MOUNT_FAILED", text);
}
