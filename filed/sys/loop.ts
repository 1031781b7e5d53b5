/**
 * Loop devices: a stretch of a file or block device as a block device. Each is set to detach itself when its last user
 * closes it, so that none outlives an unmount, or a process that was killed before it mounted something. Source of the
 * numbers: Linux, include/uapi/linux/loop.h, and loop(4).
 */
import { closeSync, constants, openSync, readdirSync } from "node:fs";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { SysError } from "../../common/sys/error.js";
import { fail, raw, scratch } from "../../common/sys/native.js";

const LOOP_SET_FD = 0x4c00;
const LOOP_CLR_FD = 0x4c01;
const LOOP_SET_STATUS64 = 0x4c04;
const LOOP_GET_STATUS64 = 0x4c05;
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const READ_ONLY = 1;
const AUTOCLEAR = 4;

/** Places in struct loop_config; struct loop_info64 lies in it from byte 8 on. */
const INFO = 8;
const AT = { offset: INFO + 24, sizeLimit: INFO + 32, flags: INFO + 52, label: INFO + 56 } as const;
const CONFIG_BYTES = 304;
const LABEL_BYTES = 64;

/** Others may take a free device first. */
const MAX_TRIES = 64;

const config = scratch(CONFIG_BYTES);

export interface LoopSource {
  /** A regular file or a block device. */
  file: string;
  /** Bytes. */
  offset: number;
  /** Bytes; 0: to the end. */
  size: number;
  writable: boolean;
  /** At most 63 bytes of ASCII, by which `loopsLabelled` finds the device. */
  label: string;
}

/** An attached device; it detaches itself once `close` was called and nobody else has it open. */
export interface Loop {
  /** `/dev/loop7` */
  readonly path: string;
  close(): void;
}

/** @throws BackupError LOOP_FAILED naming the file, with the system error as its cause */
export function attachLoop(source: LoopSource): Loop {
  let backing: number | undefined;
  try {
    backing = openSync(source.file, source.writable ? constants.O_RDWR : constants.O_RDONLY);
    return attach(backing, source);
  } catch (cause) {
    const text = `cannot attach ${source.file} to a loop device: ${describeError(cause)}`;
    throw new BackupError("LOOP_FAILED", text, { cause });
  } finally {
    if (backing !== undefined) closeSync(backing);
  }
}

function attach(backing: number, source: LoopSource): Loop {
  for (let tries = 1; ; tries++) {
    const path = freeDevice();
    const fd = openSync(path, source.writable ? constants.O_RDWR : constants.O_RDONLY);
    try {
      configure(fd, backing, source);
      return { path, close: () => closeSync(fd) };
    } catch (error) {
      closeSync(fd);
      if (codeOf(error) !== "EBUSY" || tries === MAX_TRIES) throw error;
    }
  }
}

function freeDevice(): string {
  const control = openSync("/dev/loop-control", constants.O_RDWR);
  try {
    const number = raw.ioctl(control, LOOP_CTL_GET_FREE, 0);
    if (number < 0) throw fail("ioctl LOOP_CTL_GET_FREE");
    return `/dev/loop${number}`;
  } finally {
    closeSync(control);
  }
}

function configure(fd: number, backing: number, source: LoopSource): void {
  const { bytes, address } = config;
  bytes.fill(0);
  bytes.writeUInt32LE(backing, 0);
  bytes.writeBigUInt64LE(BigInt(source.offset), AT.offset);
  bytes.writeBigUInt64LE(BigInt(source.size), AT.sizeLimit);
  bytes.writeUInt32LE(AUTOCLEAR | (source.writable ? 0 : READ_ONLY), AT.flags);
  bytes.latin1Write(source.label.slice(0, LABEL_BYTES - 1), AT.label);
  if (raw.ioctl(fd, LOOP_CONFIGURE, address) === 0) return;
  const error = fail("ioctl LOOP_CONFIGURE");
  // Linux before 5.8 does not know the call.
  if (error.code !== "EINVAL" && error.code !== "ENOTTY") throw error;
  configureInSteps(fd, backing);
}

/** With what `configure` has put into the scratch memory. */
function configureInSteps(fd: number, backing: number): void {
  if (raw.ioctl(fd, LOOP_SET_FD, backing) !== 0) throw fail("ioctl LOOP_SET_FD");
  if (raw.ioctl(fd, LOOP_SET_STATUS64, config.address + INFO) === 0) return;
  const error = fail("ioctl LOOP_SET_STATUS64");
  raw.ioctl(fd, LOOP_CLR_FD, 0);
  throw error;
}

/** Paths of the attached devices whose label begins with these characters. */
export function loopsLabelled(label: string): string[] {
  const names = readdirSync("/sys/block").filter((name) => /^loop\d+$/.test(name));
  return names.map((name) => `/dev/${name}`).filter((path) => loopLabel(path)?.startsWith(label));
}

/** What the device was labelled with; undefined when it is no loop device, or nothing is attached to it. */
export function loopLabel(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch {
    return undefined;
  }
  try {
    if (raw.ioctl(fd, LOOP_GET_STATUS64, config.address + INFO) !== 0) return undefined;
    const field = config.bytes.subarray(AT.label, AT.label + LABEL_BYTES);
    const end = field.indexOf(0);
    return field.latin1Slice(0, end < 0 ? LABEL_BYTES : end);
  } finally {
    closeSync(fd);
  }
}

/** Detaches a device once nobody has it open any more. @throws SysError */
export function detachLoop(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    if (raw.ioctl(fd, LOOP_CLR_FD, 0) === 0) return;
    const error = fail("ioctl LOOP_CLR_FD");
    // It has detached itself meanwhile.
    if (!(error instanceof SysError) || error.code !== "ENXIO") throw error;
  } finally {
    closeSync(fd);
  }
}
