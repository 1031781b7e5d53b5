/** Partition tables by sfdisk(8): what a plan becomes on a disk of some size, tried out on a file before. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BackupError } from "../../common/errors.js";
import { formatBytes } from "../../common/units.js";
import type { DiskPlan } from "./plan.js";
import type { PartitionSpec } from "./plan-partition.js";
import { runTool } from "./tool.js";

/** A partition as it is on the disk. */
export interface Placed {
  readonly spec: PartitionSpec;
  readonly number: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** Types by what is in a partition, as sfdisk's aliases; L is Linux, S swap, U the EFI system partition. */
function typeOf({ type, filesystem, mount }: PartitionSpec): string {
  if (type !== undefined) return type;
  if (filesystem === "swap") return "S";
  return filesystem === "vfat" && /^\/(boot\/)?efi$/.test(mount ?? "") ? "U" : "L";
}

/** The numbers that the partitions get. @throws BackupError RESTORE_VM when one is given twice */
export function numbered(partitions: readonly PartitionSpec[]): (readonly [number, PartitionSpec])[] {
  const numbers = partitions.map((spec, index) => [spec.number ?? index + 1, spec] as const);
  const seen = new Set(numbers.map(([number]) => number));
  if (seen.size === numbers.length) return numbers;
  throw new BackupError("RESTORE_VM", "two partitions of one disk have the same Number");
}

/** What sfdisk is to read. `sectorBytes`: of the disk. @throws BackupError RESTORE_VM */
export function sfdiskScript(disk: DiskPlan, sectorBytes: number): string {
  const sectors = (bytes: number): number => Math.ceil(bytes / sectorBytes);
  const lines = [`label: ${disk.table === "mbr" ? "dos" : "gpt"}`];
  if (disk.diskId !== undefined) lines.push(`label-id: ${disk.diskId}`);
  lines.push("");
  for (const [number, spec] of numbered(disk.partitions)) {
    const { startBytes, sizeBytes, partUuid, name, bootable } = spec;
    if (startBytes !== undefined && startBytes % sectorBytes !== 0) {
      const text = `Start ${startBytes} of partition ${number} is no whole number of sectors of ${sectorBytes} bytes`;
      throw new BackupError("RESTORE_VM", `${disk.device}: ${text}`);
    }
    const fields = [
      ...(startBytes === undefined ? [] : [`start=${sectors(startBytes)}`]),
      ...(sizeBytes === undefined ? [] : [`size=${sectors(sizeBytes)}`]),
      `type=${typeOf(spec)}`,
      ...(partUuid === undefined ? [] : [`uuid=${partUuid}`]),
      ...(name === undefined ? [] : [`name="${name}"`]),
      ...(bootable ? ["bootable"] : []),
    ];
    lines.push(`${number} : ${fields.join(", ")}`);
  }
  return `${lines.join("\n")}\n`;
}

interface SfdiskTable {
  readonly partitiontable: {
    readonly label: string;
    readonly id: string;
    readonly sectorsize?: number;
    readonly partitions?: readonly SfdiskPartition[];
  };
}

/** What `sfdisk --json` tells of a partition, in sectors. */
export interface SfdiskPartition {
  readonly node: string;
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly uuid?: string;
  readonly name?: string;
  readonly bootable?: boolean;
}

/** The table of a disk. @throws BackupError RESTORE_VM: it has none */
export async function readTable(device: string): Promise<SfdiskTable["partitiontable"]> {
  return (JSON.parse(await runTool(["sfdisk", "--json", device])) as SfdiskTable).partitiontable;
}

/** Number of a partition by its node, which is the disk's with it at the end: `/dev/loop0p1`, `/tmp/disk1`. */
export function numberOf(device: string, node: string): number {
  const rest = node.startsWith(device) ? node.slice(device.length) : node;
  return Number(/(\d+)$/.exec(rest)?.[1] ?? 0);
}

/** Writes the table of a disk that nobody uses, and tells where its partitions are. @throws BackupError RESTORE_VM */
export async function writeTable(
  disk: DiskPlan,
  device: string,
  { sectorBytes, signal }: { sectorBytes: number; signal?: AbortSignal | undefined },
): Promise<Placed[]> {
  const flags = [
    "--quiet",
    "--no-reread",
    "--no-tell-kernel",
    "--wipe",
    "always",
    "--wipe-partitions",
    "always",
  ];
  await runTool(["sfdisk", ...flags, device], { input: sfdiskScript(disk, sectorBytes), signal });
  const { partitions = [], sectorsize = sectorBytes } = await readTable(device);
  return numbered(disk.partitions).map(([number, spec]) => {
    const found = partitions.find(({ node }) => numberOf(device, node) === number);
    if (found === undefined)
      throw new BackupError("RESTORE_VM", `${disk.device}: sfdisk has not made partition ${number}`);
    return { spec, number, startBytes: found.start * sectorsize, sizeBytes: found.size * sectorsize };
  });
}

/** The same on a file of holes: whether the plan fits a disk of this size, and what it becomes. */
export async function tryTable(disk: DiskPlan, sizeBytes: number, sectorBytes: number): Promise<Placed[]> {
  if (disk.table === "none")
    return disk.partitions.map((spec) => ({ spec, number: 0, startBytes: 0, sizeBytes }));
  sfdiskScript(disk, sectorBytes);
  // A file has sectors of 512 bytes. What a plan says in bytes is the same on both.
  const directory = mkdtempSync(join(tmpdir(), "basalt-restore-vm-"));
  const file = join(directory, "disk");
  try {
    writeFileSync(file, "");
    truncateSync(file, sizeBytes);
    return await writeTable(disk, file, { sectorBytes: 512 });
  } catch (cause) {
    const what = `${disk.device}: its partitions do not fit ${formatBytes(sizeBytes)}, or are none that sfdisk knows`;
    throw new BackupError("RESTORE_VM", what, { cause });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
