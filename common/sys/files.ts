/**
 * System calls on entries of an open directory: creating, linking, renaming, metadata, holes. All take the
 * directory's descriptor and a single name (latin1 carrier) and never follow a symlink. All throw SysError.
 */
import { constants } from "node:fs";
import { SysError } from "./error.js";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  cName,
  cSecondName,
  fail,
  O_CLOEXEC,
  O_NOFOLLOW,
  raw,
  scratch,
} from "./native.js";

const AT_REMOVEDIR = 0x200;
const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/** openat with O_NOFOLLOW and O_CLOEXEC added; the caller closes the descriptor. */
export function openAt(fd: number, name: string, flags: number, mode = 0): number {
  const opened = raw.openat(fd, cName(name), flags | O_NOFOLLOW | O_CLOEXEC, mode);
  if (opened < 0) throw fail("openat");
  return opened;
}

export function closeFd(fd: number): void {
  raw.close(fd);
}

export function makeDirectoryAt(fd: number, name: string, mode: number): void {
  if (raw.mkdirat(fd, cName(name), mode) !== 0) throw fail("mkdirat");
}

/** Device number as the kernel's makedev puts it together. */
function deviceNumber(major: number, minor: number): number {
  const high = (major & 0xfffff000) >>> 0;
  const low = ((major & 0xfff) << 8) | (minor & 0xff);
  return high * 0x1_0000_0000 + (minor - (minor & 0xff)) * 0x1000 + low;
}

/** A device node or fifo. */
export function makeNodeAt(
  fd: number,
  name: string,
  type: "fifo" | "char" | "block",
  mode: number,
  major = 0,
  minor = 0,
): void {
  const kind = type === "fifo" ? S_IFIFO : type === "char" ? S_IFCHR : S_IFBLK;
  const device = type === "fifo" ? 0 : deviceNumber(major, minor);
  if (!Number.isSafeInteger(device)) throw new SysError("EINVAL", "mknodat", 22);
  if (raw.mknodat(fd, cName(name), kind | mode, device) !== 0) throw fail("mknodat");
}

export function makeSymlinkAt(target: string, fd: number, name: string): void {
  if (raw.symlinkat(cSecondName(target), fd, cName(name)) !== 0) throw fail("symlinkat");
}

/** A further name for `oldName`, which may itself be a symlink. */
export function linkAt(oldFd: number, oldName: string, fd: number, name: string): void {
  if (raw.linkat(oldFd, cSecondName(oldName), fd, cName(name), 0) !== 0) throw fail("linkat");
}

/** Renames within and between directories, replacing what is there as rename(2) does. */
export function renameAt(oldFd: number, oldName: string, fd: number, name: string): void {
  if (raw.renameat(oldFd, cSecondName(oldName), fd, cName(name)) !== 0) throw fail("renameat");
}

/** Removes anything but a directory. */
export function unlinkAt(fd: number, name: string): void {
  if (raw.unlinkat(fd, cName(name), 0) !== 0) throw fail("unlinkat");
}

/** Removes an empty directory. */
export function removeDirectoryAt(fd: number, name: string): void {
  if (raw.unlinkat(fd, cName(name), AT_REMOVEDIR) !== 0) throw fail("rmdir");
}

/** Linux takes this for "leave the owner as it is", which would pass for success. */
const NO_ID = 0xffff_ffff;

function checkOwner(uid: number, gid: number): void {
  if (uid === NO_ID || gid === NO_ID) throw new SysError("EINVAL", "fchownat", 22);
}

export function ownAt(fd: number, name: string, uid: number, gid: number): void {
  checkOwner(uid, gid);
  if (raw.fchownat(fd, cName(name), uid, gid, AT_SYMLINK_NOFOLLOW) !== 0) throw fail("fchownat");
}

const AT_EMPTY_PATH = 0x1000;

/** Also of a descriptor that was opened for its path alone. */
export function ownFd(fd: number, uid: number, gid: number): void {
  checkOwner(uid, gid);
  if (raw.fchownat(fd, cName(""), uid, gid, AT_EMPTY_PATH) !== 0) throw fail("fchown");
}

export function modeFd(fd: number, mode: number): void {
  if (raw.fchmod(fd, mode) !== 0) throw fail("fchmod");
}

/**
 * Mode of an entry that is known not to be a symlink (a device or fifo just made): fchmodat follows symlinks, and
 * Linux gives those no mode of their own.
 */
export function modeAt(fd: number, name: string, mode: number): void {
  if (raw.fchmodat(fd, cName(name), mode, 0) !== 0) throw fail("fchmodat");
}

const times = scratch(32);
const UTIME_OMIT = 0x3fff_fffen;

function putTimes(sec: number, nsec: number): number {
  // The access time is left as it is.
  times.bytes.writeBigInt64LE(0n, 0);
  times.bytes.writeBigInt64LE(UTIME_OMIT, 8);
  times.bytes.writeBigInt64LE(BigInt(sec), 16);
  times.bytes.writeBigInt64LE(BigInt(nsec), 24);
  return times.address;
}

/** Sets the modification time. */
export function timeAt(fd: number, name: string, sec: number, nsec: number): void {
  if (raw.utimensat(fd, cName(name), putTimes(sec, nsec), AT_SYMLINK_NOFOLLOW) !== 0) throw fail("utimensat");
}

/** The same for a descriptor that was opened for its path alone (O_PATH), of a symlink too. */
export function timePathFd(fd: number, sec: number, nsec: number): void {
  const address = putTimes(sec, nsec);
  if (raw.utimensat(AT_FDCWD, cName(`/proc/self/fd/${fd}`), address, 0) !== 0) throw fail("utimensat");
}

export function timeFd(fd: number, sec: number, nsec: number): void {
  if (raw.futimens(fd, putTimes(sec, nsec)) !== 0) throw fail("futimens");
}

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;

/**
 * Start of the next data at or behind `from`; -1 when only a hole follows. On file systems without holes `from`
 * itself. Moves the descriptor's position: use positioned reads.
 */
export function nextData(fd: number, from: number): number {
  const at = raw.lseek(fd, from, SEEK_DATA);
  if (at >= 0) return at;
  const error = fail("lseek");
  if (error.errno === ENXIO) return -1;
  // Special files may know no holes at all: everything is data then.
  if (error.code === "EINVAL" || error.code === "EOPNOTSUPP") return from;
  throw error;
}

/** Start of the next hole behind `from`, which lies in data; the end of the file counts as one. -1: unknown. */
export function nextHole(fd: number, from: number): number {
  const at = raw.lseek(fd, from, SEEK_HOLE);
  if (at >= 0) return at;
  const error = fail("lseek");
  if (error.errno === ENXIO || error.code === "EINVAL" || error.code === "EOPNOTSUPP") return -1;
  throw error;
}

const SEEK_END = 2;

/** Length of an open file or block device. Moves the descriptor's position. */
export function endOf(fd: number): number {
  const at = raw.lseek(fd, 0, SEEK_END);
  if (at < 0) throw fail("lseek");
  return at;
}

const F_GETFL = 3;
const F_SETFL = 4;

/** From now on reads of this open file go through the page cache (the opposite of O_DIRECT), in all threads. */
export function readThroughCache(fd: number): void {
  const flags = raw.fcntl(fd, F_GETFL, 0);
  if (flags < 0 || raw.fcntl(fd, F_SETFL, flags & ~constants.O_DIRECT) !== 0) throw fail("fcntl");
}

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

/** Turns a range into a hole. */
export function punchHole(fd: number, offset: number, length: number): void {
  if (raw.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length) !== 0)
    throw fail("fallocate");
}

/** linux/fs.h: _IO(0x12, 127), the same on every architecture that Node runs on but ppc64. */
const BLKZEROOUT = process.arch === "ppc64" ? 0x2000_127f : 0x127f;
const zeroed = scratch(16);
/** So much at once: a call cannot be interrupted. */
const ZERO_STEP_BYTES = 256 * 1024 * 1024;

/**
 * Makes a range of a block device read as zeros: by giving its space back where the device promises zeros for that,
 * else by writing them. Both ends at multiples of the device's sectors. `mayGoOn` is asked from time to time and throws.
 */
export function zeroDevice(fd: number, offset: number, length: number, mayGoOn: () => void): void {
  let isGivenBack = true;
  for (let at = 0; at < length; at += ZERO_STEP_BYTES) {
    mayGoOn();
    const step = Math.min(ZERO_STEP_BYTES, length - at);
    isGivenBack &&= giveBack(fd, offset + at, step);
    if (isGivenBack) continue;
    zeroed.bytes.writeBigUInt64LE(BigInt(offset + at), 0);
    zeroed.bytes.writeBigUInt64LE(BigInt(step), 8);
    if (raw.ioctl(fd, BLKZEROOUT, zeroed.address) !== 0) throw fail("ioctl");
  }
}

/** False where the device promises nothing about what was given back. Disks that write zeros themselves take long. */
function giveBack(fd: number, offset: number, length: number): boolean {
  if (raw.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length) === 0) return true;
  const error = fail("fallocate");
  if (error.code !== "EOPNOTSUPP" && error.code !== "ENOTSUP" && error.code !== "ENOSYS") throw error;
  return false;
}

/** Reserves space for a range, whose holes read as zeros from then on without being holes. */
export function allocate(fd: number, offset: number, length: number): void {
  if (raw.fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length) !== 0) throw fail("fallocate");
}

/** Kinds of posix_fadvise. */
export const Advice = { sequential: 2, willNeed: 3, dontNeed: 4 } as const;

/** A hint; failure means nothing. */
export function advise(fd: number, offset: number, length: number, advice: number): void {
  raw.fadvise(fd, offset, length, advice);
}
