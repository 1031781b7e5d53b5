/**
 * Owner, mode, attributes and times of restored entries, in the order in which they do not undo each other: chown
 * clears setuid and capabilities, chmod rewrites an ACL's mask, everything touches ctime only after mtime is set.
 * What an ordinary user may not set is counted, not an error.
 */
import { codeOf, describeError } from "../../common/errors.js";
import { decodeXattrs, EntryType, type Row } from "../../common/format/row.js";
import { modeAt, modeFd, ownAt, ownFd, timeAt, timeFd } from "../../common/sys/files.js";
import { listXattrs, removeXattr, setXattr } from "../../common/sys/xattr.js";
import type { Tally } from "./protocol.js";

export type Count = (tally: Tally, reason: string) => void;

const own = { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 };
const SET_ID_BITS = 0o6000;
const ACL_ACCESS = "system.posix_acl_access";

function attempt(count: Count, tally: Tally, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    // A file system may have no room for attributes of that size (ext4: one block for all of an entry) and room for
    // other entries.
    if (tally !== "xattr" && isFatal(error)) throw error;
    count(tally, describeError(error));
    return false;
  }
}

/** No entry after this one could be written either. */
export function isFatal(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOSPC" || code === "EDQUOT" || code === "EROFS";
}

function needsOwner(row: Row): boolean {
  return own.uid === 0 || row.uid !== own.uid || row.gid !== own.gid;
}

/** Never hand out set-id rights of an owner that could not be given. */
function safeMode(row: Row, owned: boolean): number {
  return owned ? row.mode : row.mode & ~SET_ID_BITS;
}

/** Everything of a file just written or an open directory. `inherits`: the parent may have given it an ACL. */
export function applyToFd(fd: number, row: Row, inherits: boolean, count: Count): void {
  const owned = !needsOwner(row) || attempt(count, "owner", () => ownFd(fd, row.uid, row.gid));
  attempt(count, "mode", () => modeFd(fd, safeMode(row, owned)));
  if (row.type === EntryType.directory) matchXattrs(fd, row, count);
  else {
    if (inherits) attempt(count, "xattr", () => removeXattr(fd, ACL_ACCESS));
    setXattrs(fd, row, count);
  }
  attempt(count, "time", () => timeFd(fd, row.mtimeSec, row.mtimeNsec));
}

/** What is left to do for a file that was made with its owner and mode and inherited nothing. */
export function applyRest(fd: number, row: Row, count: Count): void {
  setXattrs(fd, row, count);
  attempt(count, "time", () => timeFd(fd, row.mtimeSec, row.mtimeNsec));
}

/** As applyToFd, for an entry that cannot be opened: symlink, device, fifo. */
export function applyToName(fd: number, name: string, row: Row, count: Count): void {
  const owned = !needsOwner(row) || attempt(count, "owner", () => ownAt(fd, name, row.uid, row.gid));
  if (row.type !== EntryType.symlink) attempt(count, "mode", () => modeAt(fd, name, safeMode(row, owned)));
  if (row.xattrs !== undefined) setXattrs(`/proc/self/fd/${fd}/${name}`, row, count);
  attempt(count, "time", () => timeAt(fd, name, row.mtimeSec, row.mtimeNsec));
}

function setXattrs(where: number | string, row: Row, count: Count): void {
  if (row.xattrs === undefined) return;
  for (const { name, value } of decodeXattrs(row.xattrs)) {
    attempt(count, "xattr", () => setXattr(where, name, value));
  }
}

/** A directory may have been there before, or inherited something: what the row does not have goes. */
function matchXattrs(fd: number, row: Row, count: Count): void {
  const wanted = row.xattrs === undefined ? [] : decodeXattrs(row.xattrs);
  attempt(count, "xattr", () => {
    for (const { name } of listXattrs(fd)) {
      // Labels of the security modules belong to the running system.
      const ours =
        name.startsWith("user.") || name.startsWith("system.posix_acl_") || name.startsWith("trusted.");
      if (ours && !wanted.some((xattr) => xattr.name === name)) removeXattr(fd, name);
    }
  });
  setXattrs(fd, row, count);
}
