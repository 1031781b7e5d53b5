/** `-u USER -g GROUP`: a daemon that root has started goes on as somebody else. */

import { closeSync, constants, fchownSync, fstatSync, openSync, readFileSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";

/** Missing from the package's type definitions. */
const posix = process as { initgroups?: (user: string, group: string | number) => void };

/** Without a group it is the first one of the user. @throws BackupError USAGE: no such user or group, or not allowed */
export function becomeUser(user: string | undefined, group: string | undefined): void {
  try {
    const primary = group ?? (user === undefined ? undefined : idsOf(user).gid);
    if (primary === undefined) return;
    if (user !== undefined) posix.initgroups?.(user, primary);
    process.setgid?.(primary);
    if (user !== undefined) process.setuid?.(user);
  } catch (cause) {
    const who = [user, group].filter((each) => each !== undefined).join(":");
    throw new BackupError("USAGE", `cannot run as ${who}: ${describeError(cause)}`);
  }
}

/**
 * Opens a file for appending on behalf of a user in whose directory it lies. He may have put a link there, to a file of
 * root's: none is followed, and only a file without other names is taken and becomes his. @throws SysError, BackupError
 */
export function openForUser(file: string, user: string | undefined, mode: number): number {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  const fd = openSync(file, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, mode);
  const { nlink } = fstatSync(fd);
  if (!fstatSync(fd).isFile() || nlink !== 1)
    throw new BackupError("WORKING_DIRECTORY", `${file} is no file of its own: remove it`);
  giveTo(user, [fd]);
  return fd;
}

/** Gives a directory that root has just made to the user. @throws BackupError USAGE */
export function giveDirectory(user: string | undefined, directory: string): void {
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
  const fd = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    giveTo(user, [fd]);
  } finally {
    closeSync(fd);
  }
}

/** Gives what is open to the user; nothing without one. */
function giveTo(user: string | undefined, descriptors: readonly number[]): void {
  if (user === undefined || process.geteuid?.() !== 0) return;
  try {
    const { uid, gid } = idsOf(user);
    for (const fd of descriptors) fchownSync(fd, uid, gid);
  } catch (cause) {
    throw new BackupError("USAGE", `cannot run as ${user}: ${describeError(cause)}`);
  }
}

function idsOf(user: string): { uid: number; gid: number } {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === user && uid !== undefined && gid !== undefined)
      return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("the user is not in /etc/passwd");
}
