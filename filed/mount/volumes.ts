/** What lies on the disks of a virtual machine: one volume for each partition, or for a disk without partitions. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";
import { endOf } from "../../common/sys/files.js";
import { type Partition, usablePartitions } from "../image/maps/partitions.js";
import { Area, type BlockSource, FdSource } from "../image/maps/source.js";
import { contentOf, type FileSystem } from "./superblock.js";

/** A snapshot of a disk, or another copy that nobody else writes. */
export interface Disk {
  /** The n of `disk<n>`; disks in the order of these numbers are vda, vdb, … */
  readonly number: number;
  /** A block device or a regular file; absolute. */
  readonly device: string;
  /** Its journals may be replayed into it. */
  readonly writable: boolean;
}

export interface Volume {
  /** `disk 1 partition 2`, `disk 2`, for messages */
  readonly name: string;
  readonly disk: Disk;
  /** As Linux numbers it; 0 for a disk without partitions. */
  readonly partition: number;
  /** Where it lies on the disk, in bytes. */
  readonly offset: number;
  readonly size: number;
  /** What else it holds, in words. */
  readonly content: FileSystem | string;
  readonly partUuid?: string | undefined;
  readonly partLabel?: string | undefined;
}

/** More on one machine are a mistake or an attack. */
const MAX_VOLUMES = 256;

/** Disks in the order of their numbers. @throws BackupError MOUNT_FAILED when a disk cannot be read */
export function volumesOf(disks: readonly Disk[]): Volume[] {
  const sorted = [...disks].sort((a, b) => a.number - b.number);
  const found = sorted.flatMap(volumesOfDisk);
  if (found.length <= MAX_VOLUMES) return found;
  throw new BackupError(
    "MOUNT_FAILED",
    `its disks have ${found.length} partitions, at most ${MAX_VOLUMES} are taken`,
  );
}

function volumesOfDisk(disk: Disk): Volume[] {
  let fd: number;
  try {
    fd = openSync(disk.device, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new BackupError("MOUNT_FAILED", `cannot open disk ${disk.number}: ${describeError(cause)}`, {
      cause,
    });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isBlockDevice() && !stat.isFile())
      throw new BackupError("MOUNT_FAILED", `${disk.device} is neither a block device nor a file`);
    const source = new FdSource(fd, endOf(fd));
    return usablePartitions(source).map((partition) => volumeOf(disk, source, partition));
  } finally {
    closeSync(fd);
  }
}

function volumeOf(disk: Disk, source: BlockSource, partition: Partition): Volume {
  const { number, start, end, doubt, uuid, label } = partition;
  const size = end - start;
  return {
    name: number === 0 ? `disk ${disk.number}` : `disk ${disk.number} partition ${number}`,
    disk,
    partition: number,
    offset: start,
    size,
    content: doubt ?? contentOf(new Area(source, start, size)),
    partUuid: uuid,
    partLabel: label,
  };
}

/** `ext`, `LUKS`, `overlaps partition 2`: what a volume holds, in words. */
export function contentName({ content }: Volume): string {
  return typeof content === "string" ? content : content.type;
}
