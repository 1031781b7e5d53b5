/**
 * System calls that Node lacks, for restoring below an open directory: every name is relative to a descriptor and
 * never followed when it is a symbolic link. Names are latin1 carriers. All functions throw BackupError
 * EXTRACT_FAILED with the system's own words.
 */
import { createRequire } from "node:module";
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { BackupError } from "../../../common/errors.js";

type Native = (...args: (number | bigint | Buffer)[]) => number;
interface Koffi {
  load(path: null): { func(name: string, result: string, args: string[]): Native };
  errno(): number;
}

const koffi = createRequire(import.meta.url)("koffi") as Koffi;
const libc = koffi.load(null);
const BYTES = "const uint8_t *";

const raw = {
  openat: libc.func("openat", "int", ["int", BYTES, "int", "unsigned int"]),
  mkdirat: libc.func("mkdirat", "int", ["int", BYTES, "unsigned int"]),
  mknodat: libc.func("mknodat", "int", ["int", BYTES, "unsigned int", "uint64_t"]),
  symlinkat: libc.func("symlinkat", "int", [BYTES, "int", BYTES]),
  linkat: libc.func("linkat", "int", ["int", BYTES, "int", BYTES, "int"]),
  renameat: libc.func("renameat", "int", ["int", BYTES, "int", BYTES]),
  unlinkat: libc.func("unlinkat", "int", ["int", BYTES, "int"]),
  fchownat: libc.func("fchownat", "int", ["int", BYTES, "unsigned int", "unsigned int", "int"]),
  fchmodat: libc.func("fchmodat", "int", ["int", BYTES, "unsigned int", "int"]),
  utimensat: libc.func("utimensat", "int", ["int", BYTES, BYTES, "int"]),
  lsetxattr: libc.func("lsetxattr", "int", [BYTES, BYTES, BYTES, "uint64_t", "int"]),
  fsetxattr: libc.func("fsetxattr", "int", ["int", BYTES, BYTES, "uint64_t", "int"]),
};

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = {
  O_DIRECTORY: 0o200000,
  O_NOFOLLOW: 0o400000,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
};
const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const UTIME_OMIT = 0x3ffffffe;

/** A call that failed; `errno` is the system's number. */
export class CallFailed extends BackupError {
  readonly errno: number;

  constructor(call: string, errno: number) {
    const words = getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
    super("EXTRACT_FAILED", `${words} (${call})`, { context: { call, errno } });
    this.errno = errno;
  }

  get exists(): boolean {
    return this.errno === constants.errno.EEXIST;
  }

  /** Nothing after this can be written either. */
  get full(): boolean {
    const { ENOSPC, EDQUOT, EROFS } = constants.errno;
    return this.errno === ENOSPC || this.errno === EDQUOT || this.errno === EROFS;
  }
}

function checked(call: string, result: number): number {
  if (result < 0) throw new CallFailed(call, koffi.errno());
  return result;
}

function cString(text: string): Buffer {
  if (text.includes("\0")) throw new CallFailed("name", constants.errno.EINVAL);
  return Buffer.from(`${text}\0`, "latin1");
}

/** A descriptor of a directory in `fd`; the caller closes it. Fails on a symbolic link. */
export function openDirectoryAt(fd: number, name: string): number {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  return checked("openat", raw.openat(fd, cString(name), flags, 0));
}

/** A descriptor of a file that did not exist; the caller closes it. */
export function createFileAt(fd: number, name: string): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  return checked("openat", raw.openat(fd, cString(name), flags, 0o600));
}

export function makeDirectoryAt(fd: number, name: string, mode: number): void {
  checked("mkdirat", raw.mkdirat(fd, cString(name), mode));
}

export function makeSymlinkAt(target: string, fd: number, name: string): void {
  checked("symlinkat", raw.symlinkat(cString(target), fd, cString(name)));
}

/** `mode` with the type bits of the node. */
export function makeNodeAt(fd: number, name: string, mode: number, major: number, minor: number): void {
  const [high, low] = [BigInt(major), BigInt(minor)];
  const device =
    ((high & ~0xfffn) << 32n) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | (low & 0xffn);
  checked("mknodat", raw.mknodat(fd, cString(name), mode, device));
}

export function linkAt(oldFd: number, oldName: string, fd: number, name: string): void {
  checked("linkat", raw.linkat(oldFd, cString(oldName), fd, cString(name), 0));
}

export function renameAt(fd: number, from: string, to: string): void {
  checked("renameat", raw.renameat(fd, cString(from), fd, cString(to)));
}

/** Removes what is no directory. */
export function unlinkAt(fd: number, name: string): void {
  checked("unlinkat", raw.unlinkat(fd, cString(name), 0));
}

export function ownAt(fd: number, name: string, uid: number, gid: number): void {
  checked("fchownat", raw.fchownat(fd, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW));
}

/** Of what is no symbolic link. */
export function modeAt(fd: number, name: string, mode: number): void {
  checked("fchmodat", raw.fchmodat(fd, cString(name), mode, 0));
}

/** Sets the modification time, of a link itself too. */
export function timeAt(fd: number, name: string, seconds: number, nanoseconds: number): void {
  const times = Buffer.alloc(32);
  times.writeBigInt64LE(BigInt(UTIME_OMIT), 8);
  times.writeBigInt64LE(BigInt(seconds), 16);
  times.writeBigInt64LE(BigInt(nanoseconds), 24);
  checked("utimensat", raw.utimensat(fd, cString(name), times, AT_SYMLINK_NOFOLLOW));
}

/** `name` "" means the open directory or file itself. */
export function setXattrAt(fd: number, name: string, key: string, value: Buffer): void {
  const bytes = value.length === 0 ? Buffer.alloc(1) : value;
  if (name === "") {
    checked("fsetxattr", raw.fsetxattr(fd, cString(key), bytes, value.length, 0));
    return;
  }
  const path = cString(`/proc/self/fd/${fd}/${name}`);
  checked("lsetxattr", raw.lsetxattr(path, cString(key), bytes, value.length, 0));
}
