/** What lies on the disks of a virtual machine: one volume for each partition, or for a disk without partitions. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";
import { endOf } from "../../common/sys/files.js";
import { type Partition, usablePartitions } from "../image/maps/partitions.js";
import { Area, type BlockSource, FdSource } from "../image/maps/source.js";
import { type LogicalVolume, logicalVolumes, readPhysicalVolume } from "./lvm.js";
import { contentOf, DRIVERS, type FileSystem, type Other, other } from "./superblock.js";

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
  /** As Linux numbers it; 0 for a disk without partitions; undefined for a logical volume. */
  readonly partition: number | undefined;
  /** Of a logical volume: names of its group and of itself. */
  readonly logical?: readonly [group: string, name: string];
  /** Where it lies on the disk, in bytes. */
  readonly offset: number;
  readonly size: number;
  readonly content: FileSystem | Other;
  readonly partUuid?: string | undefined;
  readonly partLabel?: string | undefined;
}

/** More on one machine are a mistake or an attack. */
const MAX_VOLUMES = 256;
const LVM = "LVM physical volume";

export interface SurveyOptions {
  /** Logical volumes are looked for. (Default: false) */
  lvm: boolean;
}

/** Disks in the order of their numbers, logical volumes behind them. @throws BackupError MOUNT_FAILED when a disk cannot be read */
export function volumesOf(disks: readonly Disk[], { lvm }: SurveyOptions = { lvm: false }): Volume[] {
  const sorted = [...disks].sort((a, b) => a.number - b.number);
  const opened: number[] = [];
  try {
    const sources = sorted.map((disk) => ({ disk, source: openDisk(disk, opened) }));
    const found = sources.flatMap(({ disk, source }) =>
      usablePartitions(source).map((partition) => volumeOf(disk, source, partition)),
    );
    const all = lvm ? withLogical(found, new Map(sources.map(({ disk, source }) => [disk, source]))) : found;
    if (all.length <= MAX_VOLUMES) return all;
    const text = `its disks have ${all.length} partitions and logical volumes, at most ${MAX_VOLUMES} are taken`;
    throw new BackupError("MOUNT_FAILED", text);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function openDisk(disk: Disk, opened: number[]): BlockSource {
  let fd: number;
  try {
    fd = openSync(disk.device, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new BackupError("MOUNT_FAILED", `cannot open disk ${disk.number}: ${describeError(cause)}`, {
      cause,
    });
  }
  opened.push(fd);
  const stat = fstatSync(fd);
  if (!stat.isBlockDevice() && !stat.isFile())
    throw new BackupError("MOUNT_FAILED", `${disk.device} is neither a block device nor a file`);
  return new FdSource(fd, endOf(fd));
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
    content: doubt === undefined ? contentOf(new Area(source, start, size)) : other(doubt, false),
    partUuid: uuid,
    partLabel: label,
  };
}

function withLogical(volumes: readonly Volume[], sources: ReadonlyMap<Disk, BlockSource>): Volume[] {
  const physical = volumes
    .filter(({ content }) => content.type === "other" && content.name === LVM)
    .map((volume) => {
      const area = new Area(sources.get(volume.disk)!, volume.offset, volume.size);
      return readPhysicalVolume(area, volume);
    })
    .filter((found) => found !== undefined);
  const groups = new Map(physical.map(({ place, group }) => [place, group]));
  const named = volumes.map((volume) => {
    const group = groups.get(volume);
    return group === undefined ? volume : { ...volume, content: other(`${LVM} of ${group}`, true) };
  });
  return [...named, ...logicalVolumes(physical).map((one) => logicalVolume(one, physical[0]!.place))];
}

/** `some`: stands for the disk of a volume that cannot be used. */
function logicalVolume({ group, name, where }: LogicalVolume<Volume>, some: Volume): Volume {
  const common = {
    name: `logical volume ${group}/${name}`,
    partition: undefined,
    logical: [group, name] as const,
  };
  if (typeof where === "string")
    return { ...common, disk: some.disk, offset: 0, size: 0, content: other(where, false) };
  const offset = where.place.offset + where.offset;
  return { ...common, disk: where.place.disk, offset, size: where.size, content: contentOf(where.area) };
}

/** `ext4`, `LUKS`, `overlaps partition 2`: what a volume holds, in words. */
export function contentName({ content }: Volume): string {
  return content.type === "other" ? content.name : DRIVERS[content.type];
}
