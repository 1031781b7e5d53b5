/**
 * libc calls that Node lacks, bound by koffi. Only rooms called `sys` call these: others use the wrappers beside it.
 *
 * Pointers are passed as plain numbers (addresses of buffers that live as long as the module), which is faster
 * than letting koffi look into a Buffer at every call. Each thread has its own copy of this module and so its
 * own scratch memory; a call's arguments are dead when it returns.
 */
import { createRequire } from "node:module";
import { BackupError, describeError } from "../errors.js";
import { SysError } from "./error.js";

type Native = (...args: number[]) => number;
interface Koffi {
  load(path: null): { func(name: string, result: string, args: string[]): Native };
  address(value: Uint8Array): bigint;
  errno(): number;
}

function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)("koffi") as Koffi;
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`;
    throw new BackupError(
      "SYS_UNAVAILABLE",
      `the npm package koffi has no binary for ${platform}: this cannot run here (${describeError(cause)})`,
    );
  }
}

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const O_NOFOLLOW = 0o400000;
export const O_CLOEXEC = 0o2000000;

const koffi = loadKoffi();
const libc = koffi.load(null);
const P = "uint64_t";

/** Raw calls: -1 means failure, then `fail()` says why. */
export const raw = {
  statx: libc.func("statx", "int", ["int", P, "int", "unsigned int", P]),
  openat: libc.func("openat", "int", ["int", P, "int", "unsigned int"]),
  close: libc.func("close", "int", ["int"]),
  setrlimit: libc.func("setrlimit", "int", ["int", P]),
  unlinkat: libc.func("unlinkat", "int", ["int", P, "int"]),
  mkdirat: libc.func("mkdirat", "int", ["int", P, "unsigned int"]),
  mknodat: libc.func("mknodat", "int", ["int", P, "unsigned int", "uint64_t"]),
  symlinkat: libc.func("symlinkat", "int", [P, "int", P]),
  linkat: libc.func("linkat", "int", ["int", P, "int", P, "int"]),
  renameat: libc.func("renameat", "int", ["int", P, "int", P]),
  fchownat: libc.func("fchownat", "int", ["int", P, "unsigned int", "unsigned int", "int"]),
  fchmodat: libc.func("fchmodat", "int", ["int", P, "unsigned int", "int"]),
  fchmod: libc.func("fchmod", "int", ["int", "unsigned int"]),
  utimensat: libc.func("utimensat", "int", ["int", P, P, "int"]),
  futimens: libc.func("futimens", "int", ["int", P]),
  readlinkat: libc.func("readlinkat", "int64_t", ["int", P, P, P]),
  llistxattr: libc.func("llistxattr", "int64_t", [P, P, P]),
  lgetxattr: libc.func("lgetxattr", "int64_t", [P, P, P, P]),
  lsetxattr: libc.func("lsetxattr", "int", [P, P, P, P, "int"]),
  setxattr: libc.func("setxattr", "int", [P, P, P, P, "int"]),
  lremovexattr: libc.func("lremovexattr", "int", [P, P]),
  flistxattr: libc.func("flistxattr", "int64_t", ["int", P, P]),
  fgetxattr: libc.func("fgetxattr", "int64_t", ["int", P, P, P]),
  fsetxattr: libc.func("fsetxattr", "int", ["int", P, P, P, "int"]),
  fremovexattr: libc.func("fremovexattr", "int", ["int", P]),
  fcntl: libc.func("fcntl", "int", ["int", "int", "int"]),
  ioctl: libc.func("ioctl", "int", ["int", "uint64_t", P]),
  lseek: libc.func("lseek", "int64_t", ["int", "int64_t", "int"]),
  fallocate: libc.func("fallocate", "int", ["int", "int", "int64_t", "int64_t"]),
  fadvise: libc.func("posix_fadvise", "int", ["int", "int64_t", "int64_t", "int"]),
  setpriority: libc.func("setpriority", "int", ["int", "unsigned int", "int"]),
  syscall3: libc.func("syscall", "int64_t", ["int64_t", "int64_t", "int64_t", "int64_t"]),
  syscall5: libc.func("syscall", "int64_t", ["int64_t", "int64_t", P, "int64_t", P, "int64_t"]),
};

/** Longest name, path or target that fits the scratch memory. */
export const SCRATCH_BYTES = 66_000;

/** Memory at a fixed address, for arguments and results. */
export interface Scratch {
  readonly bytes: Buffer;
  readonly address: number;
}

/** Never freed: make them once per module. */
export function scratch(size: number): Scratch {
  // allocUnsafeSlow has memory of its own outside the JavaScript heap, which therefore never moves.
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, address: Number(koffi.address(bytes)) };
}

/** Where the bytes lie. They must not be in the JavaScript heap, which moves: memory of a SharedArrayBuffer, say. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

const firstName = scratch(SCRATCH_BYTES);
const secondName = scratch(SCRATCH_BYTES);

function put(into: Scratch, text: string): number {
  // A NUL would cut the name short; whoever sends one is not honest.
  if (text.length >= SCRATCH_BYTES) throw new SysError("ENAMETOOLONG", "name", 36);
  if (text.includes("\0")) throw new SysError("EINVAL", "name", 22);
  into.bytes.latin1Write(text, 0);
  into.bytes[text.length] = 0;
  return into.address;
}

/** Address of `name` (latin1 carrier) as a C string, valid until the next call of this function. */
export function cName(name: string): number {
  return put(firstName, name);
}

/** The same in other memory, for calls with two names. */
export function cSecondName(name: string): number {
  return put(secondName, name);
}

/** errno of the raw call that failed just now. */
export function lastErrno(): number {
  return koffi.errno();
}

/** The error of the raw call that failed just now. */
export function fail(syscall: string): SysError {
  return SysError.of(koffi.errno(), syscall);
}
