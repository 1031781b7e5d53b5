/**
 * By which names a file system goes, and whether its journal has something to replay, from its superblock. Sources:
 * Linux, Documentation/filesystems/ext4 ("Super Block"); "XFS Algorithms & Data Structures" ("Superblocks"); the btrfs
 * wiki's "On-disk Format" ("Superblock"); Microsoft's "FAT: General Overview of On-Disk Format".
 */

import { signaturesOf } from "../image/maps/signatures.js";
import { type Area, NoMap } from "../image/maps/source.js";
import { isXfsLogSettled } from "../image/maps/xfs-log.js";
import { readXfsSuper } from "../image/maps/xfs-super.js";

export type FileSystemType = "ext" | "xfs" | "btrfs" | "fat";

/** What Linux calls its drivers; ext4 is that of ext2 and ext3, too. */
export const DRIVERS: Readonly<Record<FileSystemType, string>> = {
  ext: "ext4",
  xfs: "xfs",
  btrfs: "btrfs",
  fat: "vfat",
};

/** A file system of a kind that is mounted here. */
export interface FileSystem {
  readonly type: FileSystemType;
  /** As fstab writes it, in lower case. */
  readonly uuid: string;
  /** Latin1 carrier; may be empty. */
  readonly label: string;
  /** Undefined: it can only be told by mounting it. After a freeze there is nothing to replay. */
  readonly hasJournalToReplay: boolean | undefined;
  /** Why it must not be mounted although it is of such a kind. */
  readonly refused?: string;
}

/** What is not mounted. */
export interface Other {
  readonly type: "other";
  /** `LUKS`, `overlaps partition 2`: for messages. */
  readonly name: string;
  /** It is a file system, or the like, of a kind that is never mounted here; else something is wrong with it. */
  readonly isKnown: boolean;
}

export function other(name: string, isKnown: boolean): Other {
  return { type: "other", name, isKnown };
}

const MOUNTABLE: ReadonlySet<string> = new Set(["ext", "xfs", "btrfs", "fat"]);

/** What a partition holds. Never throws for what is on the disk. */
export function contentOf(area: Area): FileSystem | Other {
  try {
    const names = signaturesOf(area);
    const [only] = names;
    if (only === undefined) return other("nothing known", false);
    if (names.length > 1) return other(names.join(" and "), false);
    return MOUNTABLE.has(only) ? READERS[only as FileSystemType](area) : other(only, true);
  } catch (error) {
    if (error instanceof NoMap) return other(error.message, false);
    throw error;
  }
}

const READERS: Readonly<Record<FileSystemType, (area: Area) => FileSystem>> = {
  ext: readExt,
  xfs: readXfs,
  btrfs: readBtrfs,
  fat: readFat,
};

const EXT_NEEDS_RECOVERY = 0x4;
const EXT_JOURNAL_DEVICE = 0x8;
const EXT_HAS_JOURNAL = 0x4;

function readExt(area: Area): FileSystem {
  const block = area.read(1024, 1024);
  const incompat = block.readUInt32LE(0x60);
  const hasJournal = (block.readUInt32LE(0x5c) & EXT_HAS_JOURNAL) !== 0;
  const refused = extProblem(block, incompat, hasJournal);
  return {
    type: "ext",
    uuid: uuidText(block.subarray(0x68, 0x78)),
    label: upToNul(block.subarray(0x78, 0x88)),
    hasJournalToReplay: hasJournal && (incompat & EXT_NEEDS_RECOVERY) !== 0,
    ...(refused === undefined ? {} : { refused }),
  };
}

/** The superblock may name a device of the host by number or path as its journal, which replaying would write to. */
function extProblem(block: Buffer, incompat: number, hasJournal: boolean): string | undefined {
  if ((incompat & EXT_JOURNAL_DEVICE) !== 0) return "is the journal of another file system";
  const [inode, device] = [block.readUInt32LE(0xe0), block.readUInt32LE(0xe4)];
  if (hasJournal && (inode === 0 || device !== 0)) return "its journal is on another device";
  if (/journal_(dev|path)/.test(upToNul(block.subarray(0x200, 0x240))))
    return "its journal is on another device";
  return undefined;
}

function readXfs(area: Area): FileSystem {
  const block = area.read(0, 512);
  return {
    type: "xfs",
    uuid: uuidText(block.subarray(32, 48)),
    label: upToNul(block.subarray(108, 120)),
    hasJournalToReplay: xfsHasChanges(area),
  };
}

function xfsHasChanges(area: Area): boolean | undefined {
  try {
    const found = readXfsSuper(area);
    return !isXfsLogSettled(area, found);
  } catch (error) {
    if (error instanceof NoMap) return undefined;
    throw error;
  }
}

function readBtrfs(area: Area): FileSystem {
  const block = area.read(0x10000, 4096);
  return {
    type: "btrfs",
    uuid: uuidText(block.subarray(0x20, 0x30)),
    label: upToNul(block.subarray(0x12b, 0x22b)),
    hasJournalToReplay: block.readBigUInt64LE(0x60) !== 0n,
    ...(block.readBigUInt64LE(0x88) > 1n ? { refused: "is spread over several devices" } : {}),
  };
}

function readFat(area: Area): FileSystem {
  const block = area.read(0, 512);
  const at = block.toString("latin1", 82, 87) === "FAT32" ? 67 : 39;
  const serial = block.readUInt32LE(at).toString(16).padStart(8, "0");
  const label = block.toString("latin1", at + 4, at + 15).trimEnd();
  return {
    type: "fat",
    uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`,
    label: label === "NO NAME" ? "" : label,
    hasJournalToReplay: false,
  };
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function upToNul(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end < 0 ? field.length : end);
}
