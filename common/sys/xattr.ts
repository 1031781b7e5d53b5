/** Extended attributes, POSIX ACLs among them (`system.posix_acl_access`, `system.posix_acl_default`). */
import { constants } from "node:os";
import type { Xattr } from "../format/row.js";
import { SysError } from "./error.js";
import { AT_SYMLINK_NOFOLLOW, cName, cSecondName, fail, lastErrno, raw, scratch } from "./native.js";

/** Linux: at most 64 KiB of names per entry, and 64 KiB per value. */
const MEMORY_BYTES = 65_536;
const names = scratch(MEMORY_BYTES);
const value = scratch(MEMORY_BYTES);
const NONE: readonly Xattr[] = Object.freeze([]);

/** The file system, or the kernel for this kind of entry, has no such thing: same as none. */
const { ENODATA, ENOSYS, ENOTSUP, EOPNOTSUPP } = constants.errno;
const ABSENT: ReadonlySet<number> = new Set([EOPNOTSUPP, ENOTSUP, ENODATA, ENOSYS]);

/**
 * All attributes of an entry that the caller may see. `where` is an open descriptor, or a path whose last
 * component is not followed. Attributes that vanish meanwhile are left out.
 * @throws SysError
 */
export function listXattrs(where: number | string): Xattr[] {
  const length =
    typeof where === "number"
      ? raw.flistxattr(where, names.address, MEMORY_BYTES)
      : raw.llistxattr(cName(where), names.address, MEMORY_BYTES);
  return valuesOf(where, length);
}

/** listxattrat(2) has this number on all architectures; Linux has it since 6.13. */
export const SYS_LISTXATTRAT = 465;
/** What an older kernel says to it, and what filters of system calls say that do not know it. */
const UNKNOWN_CALL: ReadonlySet<number> = new Set([constants.errno.ENOSYS, constants.errno.EPERM]);
/** Until the first call shows that it is not there. */
let hasListAt = true;

/**
 * The same of the entry `name` in the directory `fd`, not following a symlink. Where the kernel can be asked for that, it takes
 * half the time that the way over /proc takes. @throws SysError
 */
export function listXattrsAt(fd: number, name: string): Xattr[] {
  const path = `/proc/self/fd/${fd}/${name}`;
  if (!hasListAt) return listXattrs(path);
  const length = raw.syscall5(
    SYS_LISTXATTRAT,
    fd,
    cName(name),
    AT_SYMLINK_NOFOLLOW,
    names.address,
    MEMORY_BYTES,
  );
  if (length < 0 && UNKNOWN_CALL.has(lastErrno())) {
    hasListAt = false;
    return listXattrs(path);
  }
  return valuesOf(path, length);
}

/** Attributes of `where` whose names a call left in memory; `length`: bytes of the names, or what the call failed with. */
function valuesOf(where: number | string, length: number): Xattr[] {
  if (length === 0) return NONE as Xattr[];
  if (length < 0) {
    if (ABSENT.has(lastErrno())) return NONE as Xattr[];
    throw fail("listxattr");
  }
  const found: Xattr[] = [];
  for (const name of names.bytes.latin1Slice(0, length - 1).split("\0")) {
    const bytes = getXattr(where, name);
    if (bytes !== undefined) found.push({ name, value: bytes });
  }
  return found;
}

/** One value, copied; undefined when the entry has no such attribute. @throws SysError */
export function getXattr(where: number | string, name: string): Buffer | undefined {
  const nameAddress = cSecondName(name);
  const length =
    typeof where === "number"
      ? raw.fgetxattr(where, nameAddress, value.address, MEMORY_BYTES)
      : raw.lgetxattr(cName(where), nameAddress, value.address, MEMORY_BYTES);
  if (length >= 0) return Buffer.from(value.bytes.subarray(0, length));
  if (ABSENT.has(lastErrno())) return undefined;
  throw fail("getxattr");
}

/** Sets one attribute. @throws SysError, also for values that Linux would not take (E2BIG) */
export function setXattr(where: number | string, name: string, bytes: Uint8Array): void {
  if (bytes.length > MEMORY_BYTES) throw new SysError("E2BIG", "setxattr", 7);
  value.bytes.set(bytes);
  const nameAddress = cSecondName(name);
  const result =
    typeof where === "number"
      ? raw.fsetxattr(where, nameAddress, value.address, bytes.length, 0)
      : raw.lsetxattr(cName(where), nameAddress, value.address, bytes.length, 0);
  if (result !== 0) throw fail("setxattr");
}

/** The same for a descriptor that was opened for its path alone (O_PATH). @throws SysError */
export function setXattrPathFd(fd: number, name: string, bytes: Uint8Array): void {
  if (bytes.length > MEMORY_BYTES) throw new SysError("E2BIG", "setxattr", 7);
  value.bytes.set(bytes);
  const path = cName(`/proc/self/fd/${fd}`);
  if (raw.setxattr(path, cSecondName(name), value.address, bytes.length, 0) !== 0) throw fail("setxattr");
}

/** Removes one attribute; it is no error if there is none. @throws SysError */
export function removeXattr(where: number | string, name: string): void {
  const nameAddress = cSecondName(name);
  const result =
    typeof where === "number"
      ? raw.fremovexattr(where, nameAddress)
      : raw.lremovexattr(cName(where), nameAddress);
  if (result === 0) return;
  if (!ABSENT.has(lastErrno())) throw fail("removexattr");
}
