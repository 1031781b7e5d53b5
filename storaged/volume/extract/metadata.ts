/**
 * Owner, mode, attributes and time of extracted entries, always by descriptor: a name may by then stand for something
 * else in a directory that others may write to. Owner first: changing it takes set-id bits and capabilities away. The
 * time last.
 */
import { chmodSync } from "node:fs";
import { codeOf } from "../../../common/errors.js";
import { decodeXattrs, EntryType, type Row } from "../../../common/format/row.js";
import * as files from "../../../common/sys/files.js";
import { listXattrs, removeXattr, setXattr, setXattrPathFd } from "../../../common/sys/xattr.js";

/** Told about what could not be set. */
export type Left = (row: Row, what: string, why: string) => void;

const SET_ID_BITS = 0o6000;
const ACL_ACCESS = "system.posix_acl_access";

/** A file just written. `inherits`: its directory may have given it an ACL. */
export function describeFd(fd: number, row: Row, inherits: boolean, left: Left): void {
  const owned = attempt(row, "owner", left, () => files.ownFd(fd, row.uid, row.gid));
  attempt(row, "mode", left, () => files.modeFd(fd, safeMode(row, owned)));
  if (inherits) attempt(row, "ACL", left, () => removeXattr(fd, ACL_ACCESS));
  eachXattr(row, left, (name, value) => setXattr(fd, name, value));
  attempt(row, "time", left, () => files.timeFd(fd, row.mtimeSec, row.mtimeNsec));
}

/** A directory; ACLs that it has and the row has not go. */
export function describeDirectory(fd: number, row: Row, left: Left): void {
  const owned = attempt(row, "owner", left, () => files.ownFd(fd, row.uid, row.gid));
  attempt(row, "mode", left, () => files.modeFd(fd, safeMode(row, owned)));
  const wanted = row.xattrs === undefined ? [] : decodeXattrs(row.xattrs).map(({ name }) => name);
  attempt(row, "ACL", left, () => dropAcls(fd, wanted));
  eachXattr(row, left, (name, value) => setXattr(fd, name, value));
  attempt(row, "time", left, () => files.timeFd(fd, row.mtimeSec, row.mtimeNsec));
}

/** What cannot be opened: a symbolic link, device or fifo, by a descriptor of its path. */
export function describePath(fd: number, row: Row, left: Left): void {
  const owned = attempt(row, "owner", left, () => files.ownFd(fd, row.uid, row.gid));
  if (row.type !== EntryType.symlink)
    attempt(row, "mode", left, () => chmodSync(`/proc/self/fd/${fd}`, safeMode(row, owned)));
  eachXattr(row, left, (name, value) => setXattrPathFd(fd, name, value));
  attempt(row, "time", left, () => files.timePathFd(fd, row.mtimeSec, row.mtimeNsec));
}

/** Takes a directory's ACLs away, but for those in `keep`. @throws SysError */
export function dropAcls(fd: number, keep: readonly string[]): void {
  for (const { name } of listXattrs(fd))
    if (name.startsWith("system.posix_acl_") && !keep.includes(name)) removeXattr(fd, name);
}

/** No entry after this one could be written either. */
export function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EROFS"].includes(codeOf(error) ?? "");
}

/** Set-id rights of an owner that could not be given are not handed out. */
function safeMode(row: Row, owned: boolean): number {
  return owned ? row.mode : row.mode & ~SET_ID_BITS;
}

function eachXattr(row: Row, left: Left, set: (name: string, value: Buffer) => void): void {
  if (row.xattrs === undefined) return;
  // ENOSPC may mean here that the file system has no room for attributes of that size (ext4: one block for all of
  // an entry). A disk that is full shows with the next entry.
  for (const { name, value } of decodeXattrs(row.xattrs))
    attempt(row, `attribute ${name}`, left, () => set(name, value), false);
}

function attempt(row: Row, what: string, left: Left, set: () => void, mayBeFull = true): boolean {
  try {
    set();
    return true;
  } catch (error) {
    if (mayBeFull && isFull(error)) throw error;
    left(row, what, error instanceof Error ? error.message : String(error));
    return false;
  }
}
