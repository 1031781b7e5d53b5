/** Logical volumes that a plan names and that are missing. */
import { BackupError } from "../../common/errors.js";
import { formatBytes, withCommas } from "../../common/units.js";
import type { DiskPlan } from "./plan.js";
import { runTool } from "./tool.js";

export interface VolumeName {
  readonly group: string;
  readonly volume: string;
}

const NAME = /^[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$/;
/** Directories of /dev that are no volume groups. */
const NO_GROUPS = ["mapper", "disk", "block", "shm", "mqueue", "pts", "fd", "input", "net", "loop", "md"];

/** Exit status of LVM's programs for what is not there, as for other failures. */
const NOT_FOUND = 5;

/** Group and volume of `/dev/GROUP/VOLUME`; undefined for any other path. */
export function volumeName(device: string): VolumeName | undefined {
  const match = /^\/dev\/([^/]+)\/([^/]+)$/.exec(device);
  if (match === null) return undefined;
  const [, group = "", volume = ""] = match;
  return NAME.test(group) && NAME.test(volume) && !NO_GROUPS.includes(group) ? { group, volume } : undefined;
}

/** A volume that has to be made: its size, a whole number of extents, and the command. */
export interface NewVolume {
  readonly sizeBytes: number;
  readonly command: readonly string[];
}

/**
 * How a missing volume is made. `claimed`: bytes of the same group that other disks of the plan take.
 * @throws BackupError RESTORE_VM: no such group or pool, no room (and how much is missing)
 */
export async function planVolume(disk: DiskPlan, name: VolumeName, claimed: number): Promise<NewVolume> {
  const columns = ["--noheadings", "--units", "b", "--nosuffix", "--separator", ":"];
  const fields = (text: string): number[] => text.trim().split(":").map(Number);
  let extent: number | undefined;
  let free: number | undefined;
  try {
    const output = await runTool(["vgs", ...columns, "-o", "vg_extent_size,vg_free", name.group]);
    [extent, free] = fields(output);
  } catch (cause) {
    const text = `${disk.device} is missing, and cannot be made as a logical volume`;
    throw new BackupError("RESTORE_VM", text, { cause });
  }
  if (extent === undefined || free === undefined || !(extent > 0) || !(free >= 0))
    throw new BackupError("RESTORE_VM", `vgs tells nothing of the size of the volume group ${name.group}`);
  const path = `${name.group}/${name.volume}`;
  const there = await runTool(["lvs", "--noheadings", "-o", "lv_name", path], { statuses: [0, NOT_FOUND] });
  if (there.trim() !== "")
    throw new BackupError("RESTORE_VM", `${disk.device} exists, but is not active: lvchange -ay ${path}`);
  const sizeBytes = Math.ceil(disk.sizeBytes / extent) * extent;
  const common = ["lvcreate", "--yes", "--quiet", "--name", name.volume];
  if (disk.thinPool !== undefined) {
    const pool = `${name.group}/${disk.thinPool}`;
    const kind = await runTool(["lvs", ...columns, "-o", "segtype", pool]);
    if (kind.trim() !== "thin-pool") throw new BackupError("RESTORE_VM", `${pool} is no thin pool`);
    return { sizeBytes, command: [...common, "--virtualsize", `${sizeBytes}b`, "--thinpool", pool] };
  }
  if (sizeBytes + claimed > free) {
    const missing = sizeBytes + claimed - free;
    const has = `it has ${formatBytes(free)} free${claimed > 0 ? `, ${formatBytes(claimed)} of that for other disks` : ""}`;
    throw new BackupError(
      "RESTORE_VM",
      `no room for ${disk.device} of ${formatBytes(sizeBytes)} in the volume group ${name.group}: ${has}; ${withCommas(missing)} bytes are missing`,
    );
  }
  // What others left on these extents is not to be taken for something of the new volume.
  const clean = ["--wipesignatures", "y", "--zero", "y"];
  return { sizeBytes, command: [...common, ...clean, "--size", `${sizeBytes}b`, name.group] };
}
