/**
 * Thread of xattr.test.ts in which listxattrat fails as it does on an older kernel: a seccomp filter, which counts for this
 * thread alone (seccomp(2), linux/filter.h).
 */
import { parentPort, workerData } from "node:worker_threads";
import { fail, raw, scratch } from "./native.js";
import { listXattrsAt, SYS_LISTXATTRAT } from "./xattr.js";

export interface FilteredListing {
  fd: number;
  names: readonly string[];
  /** What the call fails with. */
  errno: number;
}

const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const RET_ALLOW = 0x7fff_0000;
const RET_ERRNO = 0x0005_0000;
/** Numbers of the calls prctl and seccomp. */
const CALLS: Readonly<Record<string, readonly [prctl: number, seccomp: number]>> = {
  x64: [157, 317],
  arm64: [167, 277],
};

function failCall(number: number, errno: number): void {
  const calls = CALLS[process.arch];
  if (calls === undefined) throw new Error(`no numbers of system calls for ${process.arch}`);
  // Code, jump when equal, jump when not, value: load the number of the call, compare it, give one answer or the other.
  const steps = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, RET_ERRNO | errno],
    [0x06, 0, 0, RET_ALLOW],
  ] as const;
  const code = scratch(8 * steps.length);
  steps.forEach(([op, equal, other, value], i) => {
    code.bytes.writeUInt16LE(op, 8 * i);
    code.bytes.writeUInt8(equal, 8 * i + 2);
    code.bytes.writeUInt8(other, 8 * i + 3);
    code.bytes.writeUInt32LE(value, 8 * i + 4);
  });
  const program = scratch(16);
  program.bytes.fill(0).writeUInt16LE(steps.length, 0);
  program.bytes.writeBigUInt64LE(BigInt(code.address), 8);
  if (raw.syscall5(calls[0], PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw fail("prctl");
  if (raw.syscall5(calls[1], SECCOMP_SET_MODE_FILTER, 0, program.address, 0, 0) !== 0) throw fail("seccomp");
}

const { fd, names, errno } = workerData as FilteredListing;
failCall(SYS_LISTXATTRAT, errno);
if (raw.syscall5(SYS_LISTXATTRAT, fd, 0, 0, 0, 0) !== -1 || fail("").errno !== errno)
  throw new Error("the call is not filtered");
parentPort!.postMessage(names.map((name) => listXattrsAt(fd, name)));
