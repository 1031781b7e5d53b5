/** `-u USER -g GROUP`: a daemon that root has started goes on as somebody else. */

import { chownSync, readFileSync } from "node:fs";
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

/** Gives files that root has just made to the user; nothing without one. @throws BackupError USAGE */
export function giveTo(user: string | undefined, files: readonly string[]): void {
  if (user === undefined || process.geteuid?.() !== 0) return;
  try {
    const { uid, gid } = idsOf(user);
    for (const file of files) chownSync(file, uid, gid);
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
