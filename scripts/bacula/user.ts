/** `-u USER -g GROUP`: a daemon that root has started goes on as somebody else. */

import { readFileSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";

/** Missing from the package's type definitions. */
const posix = process as { initgroups?: (user: string, group: string | number) => void };

/** Without a group it is the first one of the user. @throws BackupError USAGE: no such user or group, or not allowed */
export function becomeUser(user: string | undefined, group: string | undefined): void {
  try {
    const primary = group ?? (user === undefined ? undefined : primaryGroup(user));
    if (primary === undefined) return;
    if (user !== undefined) posix.initgroups?.(user, primary);
    process.setgid?.(primary);
    if (user !== undefined) process.setuid?.(user);
  } catch (cause) {
    const who = [user, group].filter((each) => each !== undefined).join(":");
    throw new BackupError("USAGE", `cannot run as ${who}: ${describeError(cause)}`);
  }
}

function primaryGroup(user: string): number {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , , gid] = line.split(":");
    if (name === user && gid !== undefined) return Number(gid);
  }
  throw new Error("the user is not in /etc/passwd; name the group too (-g)");
}
