/**
 * Where restores of files from disk images keep what they need while they run: sockets have no names, so it is mount points and
 * scratch files. What a daemon that was killed left there is released by the next one.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { mountsWithin } from "../mount/mount-table.js";
import { unmount } from "./fuse-disk.js";
import { unmountSelected } from "./mounting.js";

/** Name of the mounted tree; its place is the room's own. */
export const TREE = "disks";

export interface Room {
  directory: string;
  mounts: string;
  scratch: string;
}

function roomIn(directory: string): Room {
  return { directory, mounts: join(directory, "mnt"), scratch: join(directory, "scratch") };
}

function allRooms(workingDirectory: string): string {
  return join(workingDirectory, "from-images");
}

/** @throws the system's error */
export async function makeRoom(workingDirectory: string, jobId: number): Promise<Room> {
  const room = roomIn(join(allRooms(workingDirectory), `${jobId}-${randomBytes(4).toString("hex")}`));
  await mkdir(room.scratch, { recursive: true, mode: 0o700 });
  return room;
}

/**
 * Unmounts everything in the room, loop devices included, and removes it. Idempotent.
 * @throws BackupError UNMOUNT_FAILED when something is still mounted: nothing is removed then
 */
export async function clearRoom(directory: string, report: (line: string) => void): Promise<void> {
  const { mounts } = roomIn(directory);
  await unmountSelected({ vm: TREE, mounts }, { report }).catch((error) => report(describeError(error)));
  for (const options of [[], ["-l"]])
    for (const { point } of mountsWithin(directory).reverse()) await unmount(point, options);
  const left = mountsWithin(directory);
  if (left.length > 0)
    throw new BackupError(
      "UNMOUNT_FAILED",
      `${left.map(({ point }) => point).join(", ")} cannot be unmounted`,
    );
  await rm(directory, { recursive: true, force: true });
}

/** At the start of the daemon, when nothing runs yet. What cannot be released is logged. */
export async function clearLeftovers(workingDirectory: string, log: Log): Promise<void> {
  const base = allRooms(workingDirectory);
  for (const name of await readdir(base).catch(() => [])) {
    const directory = join(base, name);
    try {
      await clearRoom(directory, (line) => log.warn(line));
      log.info(`released the disk images of a restore that did not end well (${directory})`);
    } catch (error) {
      log.error(`cannot release ${directory}: ${describeError(error)}`);
    }
  }
}
