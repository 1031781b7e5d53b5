/** What a plan would do, found out without touching anything: devices, sizes, who uses them, whether it all fits. */
import { accessSync, closeSync, constants, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { endOf } from "../../common/sys/files.js";
import { formatBytes, withCommas } from "../../common/units.js";
import { attached } from "./attach.js";
import { deviceNumbers, usesOf } from "./device-use.js";
import { mkfsCommand, programsFor } from "./filesystems.js";
import { type Placed, tryTable } from "./layout.js";
import { type DiskPlan, isOfImages, type RestorePlan, rootOf } from "./plan.js";
import { runTool } from "./tool.js";
import { type NewVolume, planVolume, volumeName } from "./volume.js";

export interface ExaminedDisk {
  readonly disk: DiskPlan;
  /** It has to be made: a volume by its command, else a file. */
  readonly isMissing: boolean;
  readonly volume?: NewVolume | undefined;
  readonly isBlockDevice: boolean;
  /** What it has, or will have. */
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  /** Partitions as they would be; none for an image. */
  readonly placed: readonly Placed[];
  /** Sentences for the operator. */
  readonly notes: readonly string[];
}

const SECTOR_BYTES = 512;
const PROGRAM_DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** @throws BackupError RESTORE_VM with everything that stands against the plan */
export async function examine(plan: RestorePlan): Promise<ExaminedDisk[]> {
  const problems: string[] = [];
  const found: ExaminedDisk[] = [];
  const claimed = new Map<string, number>();
  checkPrograms(plan, problems);
  problems.push(...(await unknownFilesystems(plan)));
  const { mounts, loops } = attached(plan);
  if (mounts.length + loops.length > 0) {
    const what = [...mounts, ...loops].join(", ");
    problems.push(`left by a run that was killed, or in use by one: ${what}; see basalt restore-vm cleanup`);
  } else {
    for (const disk of plan.disks) {
      try {
        found.push(await examineDisk(disk, claimed));
      } catch (error) {
        problems.push(describeError(error));
      }
    }
    problems.push(...sameDevices(plan));
  }
  if (problems.length === 0) return found;
  throw new BackupError("RESTORE_VM", `nothing was touched: ${problems.join("; ")}`);
}

function checkPrograms(plan: RestorePlan, problems: string[]): void {
  const isThere = (name: string): boolean =>
    PROGRAM_DIRECTORIES.some((directory) => {
      try {
        accessSync(`${directory}/${name}`, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  const partitions = plan.disks.flatMap((disk) => disk.partitions);
  const needed = isOfImages(plan)
    ? ["blkid"]
    : ["blkid", "sfdisk", "losetup", "mount", "umount", ...programsFor(partitions)];
  const missing = needed.filter((name) => !isThere(name));
  if (missing.length > 0) problems.push(`programs are missing on this machine: ${missing.join(", ")}`);
}

/** What the kernel of this machine cannot mount, although a program makes it. */
async function unknownFilesystems(plan: RestorePlan): Promise<string[]> {
  const partitions = plan.disks.flatMap((disk) => disk.partitions);
  const types = new Set(
    partitions.flatMap(({ filesystem, mount }) => (mount === undefined ? [] : [filesystem])),
  );
  const known = new Set(readFileSync("/proc/filesystems", "utf8").split(/\s+/));
  const problems: string[] = [];
  for (const type of types) {
    if (known.has(type)) continue;
    const loads = runTool(["modprobe", "--dry-run", "--quiet", type]);
    await loads.catch(() => problems.push(`the kernel of this machine cannot mount ${type}`));
  }
  return problems;
}

/** Two names of one device would be written twice. */
function sameDevices(plan: RestorePlan): string[] {
  const seen = new Map<string, string>();
  return plan.disks.flatMap(({ device }) => {
    const stat = statIfThere(device);
    if (stat === undefined) return [];
    const id = stat.isBlockDevice() ? deviceNumbers(stat.rdev) : `${stat.dev}/${stat.ino}`;
    const other = seen.get(id);
    seen.set(id, device);
    return other === undefined ? [] : [`${device} is the same as ${other}`];
  });
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new BackupError("RESTORE_VM", describeError(error), { cause: error });
  }
}

async function examineDisk(disk: DiskPlan, claimed: Map<string, number>): Promise<ExaminedDisk> {
  const stat = statIfThere(disk.device);
  const state = stat === undefined ? await missing(disk, claimed) : await present(disk, stat);
  const placed = disk.image === undefined ? await tryTable(disk, state.sizeBytes, state.sectorBytes) : [];
  return { disk, placed, ...state };
}

type State = Omit<ExaminedDisk, "disk" | "placed">;

async function missing(disk: DiskPlan, claimed: Map<string, number>): Promise<State> {
  const { device } = disk;
  const name = volumeName(device);
  if (name === undefined && device.startsWith("/dev/"))
    throw new BackupError(
      "RESTORE_VM",
      `${device} is missing, and no name of a logical volume (/dev/GROUP/VOLUME)`,
    );
  if (name === undefined) {
    const parent = statIfThere(dirname(device));
    if (parent?.isDirectory() !== true)
      throw new BackupError("RESTORE_VM", `${device} is missing, and so is its directory`);
    const made = disk.image === undefined ? "made as a file of holes" : "made by the restore";
    const notes = [`missing: ${made}, ${formatBytes(disk.sizeBytes)}`];
    return {
      isMissing: true,
      isBlockDevice: false,
      sizeBytes: disk.sizeBytes,
      sectorBytes: SECTOR_BYTES,
      notes,
    };
  }
  const volume = await planVolume(disk, name, claimed.get(name.group) ?? 0);
  if (disk.thinPool === undefined) claimed.set(name.group, (claimed.get(name.group) ?? 0) + volume.sizeBytes);
  const notes = [`missing: made by ${volume.command.join(" ")}`, ...larger(disk, volume.sizeBytes)];
  const { sizeBytes } = volume;
  return { isMissing: true, volume, isBlockDevice: true, sizeBytes, sectorBytes: SECTOR_BYTES, notes };
}

/** @throws BackupError RESTORE_VM: of another kind, in use, too small, not empty */
async function present(disk: DiskPlan, stat: Stats): Promise<State> {
  const { device } = disk;
  const isBlockDevice = stat.isBlockDevice();
  if (!isBlockDevice && (!stat.isFile() || device.startsWith("/dev/")))
    throw new BackupError(
      "RESTORE_VM",
      `${device} is no block device${device.startsWith("/dev/") ? "" : " and no file"}`,
    );
  const uses = usesOf(device);
  if (uses.length > 0) throw new BackupError("RESTORE_VM", `${device} is in use: ${uses.join(", ")}`);
  const sizeBytes = isBlockDevice ? sizeOfDevice(device) : stat.size;
  const isReplaced = disk.image !== undefined && !isBlockDevice;
  if (sizeBytes < disk.sizeBytes && !isReplaced) {
    const room = `it has ${withCommas(sizeBytes)} bytes, ${withCommas(disk.sizeBytes)} are needed`;
    throw new BackupError("RESTORE_VM", `${device} is too small: ${room}`);
  }
  const content = isReplaced ? "a file" : await contentOf(device);
  if (content !== "" && !disk.overwrite)
    throw new BackupError(
      "RESTORE_VM",
      `${device} holds ${content}: if that may go, say Overwrite: yes for this Disk`,
    );
  const notes = [
    content === "" ? "there, and empty as far as can be told" : `there; ${content} on it will be overwritten`,
    ...(isReplaced ? [] : larger(disk, sizeBytes)),
  ];
  const sectorBytes = isBlockDevice ? await sectorsOf(device) : SECTOR_BYTES;
  return { isMissing: false, isBlockDevice, sizeBytes, sectorBytes, notes };
}

function larger(disk: DiskPlan, sizeBytes: number): string[] {
  const more = sizeBytes - disk.sizeBytes;
  if (more <= 0) return [];
  const rest = disk.image === undefined ? "" : "; what lies behind the image's end stays as it is";
  return [`larger than the plan's Size by ${withCommas(more)} bytes${rest}`];
}

/** @throws BackupError RESTORE_VM: somebody has claimed it */
function sizeOfDevice(device: string): number {
  let fd: number;
  try {
    fd = openSync(device, constants.O_RDONLY | constants.O_EXCL);
  } catch (cause) {
    const why =
      codeOf(cause) === "EBUSY" ? "mounted, or part of another one (LVM, RAID, swap)" : describeError(cause);
    throw new BackupError("RESTORE_VM", `${device} is in use or cannot be opened: ${why}`, { cause });
  }
  try {
    return endOf(fd);
  } finally {
    closeSync(fd);
  }
}

async function sectorsOf(device: string): Promise<number> {
  const bytes = Number((await runTool(["blockdev", "--getss", device])).trim());
  return bytes > 0 ? bytes : SECTOR_BYTES;
}

/** What blkid(8) sees on it, in words; "" for nothing. */
async function contentOf(device: string): Promise<string> {
  const words = ["blkid", "--probe", "--output", "export", device];
  // 2: nothing found; 8: several things at once.
  const output = await runTool(words, { statuses: [0, 2, 8] });
  if (output.trim() === "") return "";
  const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, "m").exec(output)?.[1];
  const table = value("PTTYPE");
  return (
    value("TYPE") ??
    (table === undefined ? "something that blkid cannot name" : `a partition table (${table})`)
  );
}

/** The plan in lines, with all that would be done. */
export function describePlan(plan: RestorePlan, disks: readonly ExaminedDisk[]): string[] {
  const what = isOfImages(plan) ? "images" : `files, mounted at ${rootOf(plan)}`;
  const lines = [`${plan.vm}: state after JobId ${plan.jobId}, as ${what}, through ${plan.client}`];
  for (const { disk, notes, placed } of disks) {
    lines.push(`${disk.device}${disk.image === undefined ? "" : ` from ${disk.image}`}`);
    for (const note of notes) lines.push(`  ${note}`);
    for (const each of placed) {
      const { spec, number, sizeBytes, startBytes } = each;
      const part = number === 0 ? "whole disk" : `partition ${number} at ${withCommas(startBytes)}`;
      const command = mkfsCommand(spec, "DEVICE")?.join(" ") ?? "left as it is";
      const at = spec.mount === undefined ? "" : `, mounted at ${spec.mount}`;
      lines.push(`  ${part}, ${formatBytes(sizeBytes)}: ${command}${at}`);
    }
  }
  return lines;
}
