/** A plan of disks that exist: what tables and file systems they have, and where the guest mounts them. Only reads. */
import { statSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";
import { fstabOf, readGuestFile } from "./fstab.js";
import { numberOf, readTable, type SfdiskPartition } from "./layout.js";
import type { DiskPlan } from "./plan.js";
import type { Filesystem, PartitionSpec } from "./plan-partition.js";
import { runTool } from "./tool.js";

export interface Described {
  readonly disks: DiskPlan[];
  /** What a plan cannot say. */
  readonly remarks: string[];
}

const FILESYSTEMS: readonly string[] = ["ext2", "ext3", "ext4", "xfs", "vfat", "swap"] satisfies Filesystem[];
/** Features that mkfs.ext4 takes by name; the others are states of a file system. */
const EXT_FEATURES = new Set(
  (
    "64bit bigalloc casefold dir_index dir_nlink ea_inode encrypt ext_attr extent extra_isize filetype flex_bg has_journal " +
    "huge_file inline_data large_dir large_file meta_bg metadata_csum metadata_csum_seed project quota resize_inode " +
    "sparse_super sparse_super2 stable_inodes uninit_bg verity"
  ).split(" "),
);

/**
 * `root`: where the guest's files can be read, for its /etc/fstab; without it no partition has a Mount.
 * @throws BackupError RESTORE_VM: a device cannot be read
 */
export async function describeDisks(devices: readonly string[], root?: string): Promise<Described> {
  const remarks: string[] = [];
  const disks: DiskPlan[] = [];
  for (const device of devices) disks.push(await describeDisk(device, remarks));
  if (root === undefined) {
    remarks.push("without --root it is not known where the guest mounts them: give each its Mount");
    return { disks, remarks };
  }
  const text = readGuestFile(root, "/etc/fstab");
  if (text === undefined) throw new BackupError("RESTORE_VM", `there is no /etc/fstab below ${root}`);
  return { disks: withMounts(disks, text, remarks), remarks };
}

async function describeDisk(device: string, remarks: string[]): Promise<DiskPlan> {
  const sizeBytes = await sizeOf(device);
  const whole = await probe(device);
  const common = { device, sizeBytes, overwrite: false };
  const kind = whole.get("PTTYPE");
  if (kind === undefined) {
    const spec = await describePartition(device, { startBytes: 0, sizeBytes, isWhole: true }, remarks);
    return { ...common, table: "none", partitions: [spec] };
  }
  if (kind !== "gpt" && kind !== "dos")
    throw new BackupError(
      "RESTORE_VM",
      `${device} has a partition table of kind ${kind}: take it as an image`,
    );
  const table = await readTable(device);
  const sector = table.sectorsize ?? 512;
  const partitions: PartitionSpec[] = [];
  for (const part of table.partitions ?? []) {
    const place = { startBytes: part.start * sector, sizeBytes: part.size * sector, isWhole: false };
    const found = await describePartition(device, place, remarks, numberOf(device, part.node));
    partitions.push({ ...found, ...fromTable(device, part, kind) });
  }
  return { ...common, table: kind === "gpt" ? "gpt" : "mbr", diskId: table.id, partitions };
}

function fromTable(device: string, part: SfdiskPartition, kind: string): Partial<PartitionSpec> {
  return {
    number: numberOf(device, part.node),
    type: part.type,
    // In an MBR it is made of the table's identifier.
    partUuid: kind === "gpt" ? part.uuid : undefined,
    name: part.name,
    bootable: part.bootable ?? false,
  };
}

interface Stretch {
  readonly startBytes: number;
  readonly sizeBytes: number;
  readonly isWhole: boolean;
}

async function describePartition(
  device: string,
  { startBytes, sizeBytes, isWhole }: Stretch,
  remarks: string[],
  number = 0,
): Promise<PartitionSpec> {
  const found = await probe(device, startBytes, sizeBytes);
  const place = isWhole ? {} : { startBytes, sizeBytes };
  const type = found.get("TYPE");
  if (type === undefined || !FILESYSTEMS.includes(type)) {
    const what = isWhole ? device : `partition ${number} of ${device}`;
    if (type !== undefined) remarks.push(`${what} is ${type}, which only an image brings back`);
    return { ...place, bootable: false, filesystem: "none", options: [] };
  }
  const options = type.startsWith("ext") ? await extOptions(device, startBytes) : [];
  const [uuid, label] = [found.get("UUID"), found.get("LABEL")];
  return { ...place, bootable: false, filesystem: type as Filesystem, uuid, label, options };
}

/** Values of blkid(8) for a stretch of a device or file, all of it without one. */
async function probe(device: string, startBytes?: number, sizeBytes?: number): Promise<Map<string, string>> {
  const range = startBytes === undefined ? [] : ["--offset", String(startBytes), "--size", String(sizeBytes)];
  const words = ["blkid", "--probe", "--output", "export", ...range, device];
  const output = await runTool(words, { statuses: [0, 2, 8] });
  const pairs = output.split("\n").flatMap((line) => {
    const at = line.indexOf("=");
    // Blanks and the like come with a backslash in front.
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).replace(/\\(.)/g, "$1")] as const];
  });
  return new Map(pairs);
}

async function sizeOf(device: string): Promise<number> {
  try {
    const stat = statSync(device);
    if (stat.isFile()) return stat.size;
  } catch (error) {
    throw new BackupError("RESTORE_VM", describeError(error), { cause: error });
  }
  return Number((await runTool(["blockdev", "--getsize64", device])).trim());
}

/** So that the guest's kernel, which may be older than this machine's programs, can mount what they make. */
async function extOptions(device: string, startBytes: number): Promise<string[]> {
  const output = await runTool(["dumpe2fs", "-h", `${device}?offset=${startBytes}`]);
  const value = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(output)?.[1] ?? "";
  const features = value("Filesystem features")
    .split(/\s+/)
    .filter((name) => EXT_FEATURES.has(name));
  const inode = /^\d+$/.exec(value("Inode size"))?.[0];
  return [
    ...(features.length > 0 ? ["-O", `none,${features.join(",")}`] : []),
    ...(inode ? ["-I", inode] : []),
  ];
}

function withMounts(disks: readonly DiskPlan[], fstab: string, remarks: string[]): DiskPlan[] {
  const { entries } = fstabOf(fstab);
  const mountOf = ({ uuid, label, partUuid, name }: PartitionSpec): string | undefined => {
    const names = [`UUID=${uuid}`, `LABEL=${label}`, `PARTUUID=${partUuid}`, `PARTLABEL=${name}`];
    const isNamed = (device: string): boolean =>
      names.some((each) => each.toLowerCase() === device.toLowerCase());
    const place = entries.find(({ device }) => isNamed(device))?.place;
    return place === undefined ? undefined : `/${place.join("/")}`;
  };
  const done = disks.map((disk) => ({
    ...disk,
    partitions: disk.partitions.map((each) =>
      each.filesystem === "none" || each.filesystem === "swap" ? each : { ...each, mount: mountOf(each) },
    ),
  }));
  for (const { device, place } of entries) {
    const at = `/${place.join("/")}`;
    const isPlaced = done.some(({ partitions }) => partitions.some(({ mount }) => mount === at));
    if (!isPlaced)
      remarks.push(
        `the guest's /etc/fstab mounts ${device} at ${at}: say which partition that is by its Mount`,
      );
  }
  return done;
}
