/**
 * What is to become of a machine's disks: written by `basalt restore-vm describe` or `images`, read and changed by whoever
 * restores. Nothing is touched that it does not name.
 */
import path from "node:path";
import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import { type Loaded, loadConfig } from "../../common/config/load.js";
import { absolutePath } from "../../common/config/parts.js";
import {
  type ResourceOf,
  readResources,
  requireDirectives,
  resourceName,
  single,
} from "../../common/config/resources.js";
import type { ConfigSource } from "../../common/config/source.js";
import {
  type Block,
  type BlockSpec,
  block,
  integer,
  listOf,
  scalar,
  size,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import { matching, type PartitionSpec, partitionDirectives, toPartition } from "./plan-partition.js";

export type Table = "gpt" | "mbr" | "none";

export interface DiskPlan {
  /** Block device, or a file outside of /dev; absolute, without `.` and `..`. */
  readonly device: string;
  /** What it is made with when it is missing; the image's length. */
  readonly sizeBytes: number;
  /** Name of the image in the backup; undefined: the disk is partitioned and gets files. */
  readonly image?: string | undefined;
  /** A missing `/dev/GROUP/VOLUME` is made in this thin pool of the group. (Default: thick) */
  readonly thinPool?: string | undefined;
  /** What lies on the disk may be lost. (Default: no) */
  readonly overwrite: boolean;
  readonly table: Table;
  /** Identifier of the table: a UUID, or eight hexadecimal digits with 0x in front. (Default: a new one) */
  readonly diskId?: string | undefined;
  readonly partitions: readonly PartitionSpec[];
}

export interface RestorePlan extends Loaded {
  /** Name of the machine. */
  readonly vm: string;
  /** Name of the Client resource of the hypervisor that is restored to. */
  readonly client: string;
  /** Run whose state is wanted; what it builds on comes by itself. */
  readonly jobId: number;
  /** File systems are mounted below `DIRECTORY/VM`. (Default: /run/basalt/restore) */
  readonly directory: string;
  readonly disks: readonly DiskPlan[];
}

/** All disks are images, or all get files. */
export function isOfImages(plan: RestorePlan): boolean {
  return plan.disks[0]!.image !== undefined;
}

/** Where the machine's root is mounted while files are restored. */
export function rootOf(plan: RestorePlan): string {
  return path.join(plan.directory, plan.vm);
}

const MAX_DISKS = 64;
const DISK_ID = /^(0x[0-9a-f]{1,8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const VM_NAME = /^[A-Za-z0-9][A-Za-z0-9._@+-]*$/;

/** Of a device or file that is written to: what it is called is what it is. */
const devicePath = () =>
  scalar((value) => {
    const isPlain = value.startsWith("/") && path.normalize(value) === value && !value.endsWith("/");
    if (isPlain && !/[\x00-\x1f]/.test(value)) return value;
    throw new Error(`${quoted(value)} is not an absolute path of a device or file without "." and ".."`);
  });

const diskDirectives = {
  device: devicePath(),
  size: size(),
  image: absolutePath(),
  thinPool: matching(/^[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$/, "the name of a logical volume"),
  overwrite: yesNo(),
  table: words("gpt", "mbr", "none"),
  diskId: matching(DISK_ID, "a UUID, or 0x and eight hexadecimal digits"),
  partition: listOf(block({ directives: partitionDirectives })),
};

const vmDirectives = {
  name: resourceName(),
  client: text(),
  jobId: integer(1, 1e12),
  directory: absolutePath(),
  disk: listOf(block({ directives: diskDirectives })),
};
const VM_SPEC: BlockSpec<typeof vmDirectives> = { directives: vmDirectives };

/** Reads a plan. @throws ConfigError with every finding, BackupError CONFIG_NOT_FOUND */
export function loadPlan(file: string): RestorePlan {
  return loadConfig(file, buildPlan);
}

function buildPlan(
  source: ConfigSource,
  diagnostics: Diagnostics,
): Omit<RestorePlan, keyof Loaded> | undefined {
  const raw = readResources(source, { VM: VM_SPEC }, diagnostics);
  const vm = single("VM", raw.VM, { file: source.file, diagnostics });
  if (vm === undefined || !requireDirectives(vm, ["client", "jobId", "disk"], diagnostics)) return undefined;
  if (!VM_NAME.test(vm.name)) diagnostics.error(vm.at, `${vm.place}: its name cannot be that of a directory`);
  const disks = (vm.values.disk ?? []).map((disk) => toDisk(disk, diagnostics));
  checkTogether(vm, disks, diagnostics);
  return {
    vm: vm.name,
    client: vm.values.client ?? "",
    jobId: vm.values.jobId ?? 0,
    directory: path.normalize(vm.values.directory ?? "/run/basalt/restore"),
    disks,
  };
}

function toDisk(
  { values, positions, place, at }: Block<typeof diskDirectives>,
  diagnostics: Diagnostics,
): DiskPlan {
  const named = values.device === undefined ? place : `Disk ${quoted(values.device)}`;
  for (const name of ["device", "size"] as const)
    if (!positions.has(name)) diagnostics.error(at, `${named} has no ${name === "size" ? "Size" : "Device"}`);
  const partitions = (values.partition ?? []).map((each) => toPartition(each, diagnostics));
  const table = values.table ?? "gpt";
  if (values.image !== undefined && positions.has("partition"))
    diagnostics.error(at, `${named} has an Image and Partitions: an image brings its own partitions`);
  if (values.image === undefined && partitions.length === 0)
    diagnostics.error(at, `${named} has neither an Image nor a Partition`);
  if (table === "none" && partitions.length > 1)
    diagnostics.error(at, `${named} has Table: none, and so one Partition at most: the whole disk`);
  if (values.thinPool !== undefined && !/^\/dev\/[^/]+\/[^/]+$/.test(values.device ?? ""))
    diagnostics.error(at, `${named} has a ThinPool, and so must be /dev/GROUP/VOLUME`);
  return {
    device: values.device ?? "/",
    sizeBytes: values.size ?? 0,
    image: values.image,
    thinPool: values.thinPool,
    overwrite: values.overwrite ?? false,
    table,
    diskId: values.diskId,
    partitions,
  };
}

function checkTogether(
  { at, place }: ResourceOf<typeof VM_SPEC>,
  disks: readonly DiskPlan[],
  diagnostics: Diagnostics,
): void {
  const wrong = (text: string): void => diagnostics.error(at, `${place}: ${text}`);
  if (disks.length === 0 || disks.length > MAX_DISKS) wrong(`1 to ${MAX_DISKS} Disks are needed`);
  const repeated = (values: readonly (string | undefined)[]): string | undefined =>
    values.find((value, index) => value !== undefined && values.indexOf(value) !== index);
  const device = repeated(disks.map((disk) => disk.device));
  if (device !== undefined) wrong(`${quoted(device)} is given twice`);
  const image = repeated(disks.map((disk) => disk.image));
  if (image !== undefined) wrong(`the image ${quoted(image)} is given twice`);
  const crossed = disks.find((disk) => disks.some((other) => other !== disk && other.device === disk.image));
  if (crossed !== undefined)
    wrong(
      `the image ${quoted(crossed.image)} has the name of another Disk's Device: write a plan for each of the two`,
    );
  const images = disks.filter((disk) => disk.image !== undefined).length;
  if (images > 0 && images < disks.length)
    wrong("disks of images and disks of files come from different jobs: write a plan for each");
  const mounts = disks.flatMap((disk) => disk.partitions.map(({ mount }) => mount));
  const twice = repeated(mounts);
  if (twice !== undefined) wrong(`two partitions have Mount: ${twice}`);
  if (images === 0 && !mounts.includes("/")) wrong("no partition has Mount: /");
}
