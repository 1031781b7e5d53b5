/** Disk images as files in a directory: which are a machine's, and the room beside them. */
import { readdirSync, type Stats, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import { formatBytes } from "../../common/units.js";
import { diskNumbers } from "./names.js";
import { roomBytes, type SnapshotSettings } from "./settings.js";

export interface ImageFile {
  readonly number: number;
  readonly name: string;
  readonly path: string;
  readonly stats: Stats;
}

/** Snapshots are in here, beside the images: that is where the file system can share blocks. */
export const SNAPSHOTS = ".basalt-snapshots";
/** Directories below the one with the images that are looked into: a machine may have one of its own. */
const DEPTH = 2;

/**
 * A machine's images, by number; in a directory of its own or not. No link is followed.
 * @throws BackupError SNAPSHOT_NO_DISK, SNAPSHOT_FAILED
 */
export function imagesOf(
  vm: string,
  directory: string,
  { pattern, name: resource }: SnapshotSettings,
): ImageFile[] {
  const numberOf = diskNumbers(pattern, vm, "(?:\\.(?:raw|img))?");
  const found: ImageFile[] = [];
  const look = (place: string, depth: number): void => {
    for (const entry of readdirSync(place, { withFileTypes: true })) {
      const path = join(place, entry.name);
      const number = numberOf(entry.name);
      if (entry.isDirectory() && entry.name !== SNAPSHOTS && depth > 0) look(path, depth - 1);
      else if (entry.isFile() && number !== undefined)
        found.push({ number, name: entry.name, path, stats: statSync(path) });
    }
  };
  try {
    look(directory, DEPTH);
  } catch (cause) {
    throw new BackupError("SNAPSHOT_FAILED", `cannot look for images: ${describeError(cause)}`, { cause });
  }
  if (found.length === 0) {
    const text = `no image ${pattern.replace("%n", vm)} is in ${directory} (Snapshot "${resource}")`;
    throw new BackupError("SNAPSHOT_NO_DISK", text);
  }
  return found.sort((a, b) => a.number - b.number);
}

/** @throws BackupError SNAPSHOT_NO_ROOM */
export function checkFileRoom(
  vm: string,
  directory: string,
  images: readonly ImageFile[],
  { room, name }: SnapshotSettings,
): void {
  const { bavail, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  const needed = images.reduce((sum, { stats }) => sum + roomBytes(room, stats.size), 0);
  if (needed <= free) return;
  const has = `${directory} has ${formatBytes(free)} free, the snapshots of ${vm} are to have ${formatBytes(needed)}`;
  const advice = `make room, or set a smaller Size in Snapshot "${name}"`;
  throw new BackupError("SNAPSHOT_NO_ROOM", `${has}: ${formatBytes(needed - free)} are missing; ${advice}`);
}
