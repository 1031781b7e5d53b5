/**
 * Images that are restored onto block devices: only in place, only with replace=always, only where nobody else uses
 * the device.
 *
 * A device may be claimed once (O_EXCL, open(2)): the thread that comes first opens it, makes it read as zeros, and
 * notes the descriptor in a table that all threads of the restore share; whoever wants the same device waits for that.
 * The main thread closes what is in the table, also for a thread that was ended while it zeroed. The table: a lock, a
 * count, and per device its major and minor number, what others may do with it, a mark of the row, and its descriptor.
 */
import { close, constants, fsyncSync } from "node:fs";
import { codeOf, describeError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { displayPath, isWithin, keyToPath, pathToKey } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { closeFd, endOf, openAt, zeroDevice } from "../../common/sys/files.js";
import { AT_FDCWD } from "../../common/sys/native.js";
import { withCommas } from "../../common/units.js";
import { realPath } from "../sys/real-path.js";
import { newStat, type StatRecord, statAt, statFd, statIfThere } from "../sys/stat.js";
import { Skipped } from "./install.js";
import type { RestoreWorkerData } from "./protocol.js";
import { EntryError, type Place, type Target } from "./target.js";
import { type Stretch, writeAll } from "./write.js";

const MAX_DEVICES = 64;
const FIELDS = 5;
/** From what others may do with a device to its descriptor, 1 added; 0: none is open. */
const OPEN = 2;
const HEAD = 2;
export const DEVICE_TABLE_BYTES = (HEAD + MAX_DEVICES * FIELDS) * 4;
/** In the place of a descriptor: not to be had, and left alone; opened and zeroed just now; zeroed in part. */
const REFUSED = -1;
const OPENING = -2;
const SPOILT = -3;
/** So often who waits for a device looks whether the restore goes on. */
const LOOK_MS = 1000;
/** What is zeroed and written at its end: the largest sector there is. */
const SECTOR_BYTES = 4096;
const DEV = "dev";

/** Where an image goes: an absolute path without symlinks (latin1 carrier). */
export interface Device {
  path: string;
  major: number;
  minor: number;
}

/**
 * Closes what the threads opened; none of them may be at work any more. Not on this thread: the last close of a device
 * writes what is left of it in the page cache, gigabytes after a restore that was broken off.
 */
export async function closeDevices(table: SharedArrayBuffer): Promise<void> {
  const words = new Int32Array(table);
  const count = words[1]!;
  words[1] = 0;
  const closed: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const fd = words[HEAD + i * FIELDS + 2 + OPEN]! - 1;
    if (fd >= 0) closed.push(new Promise((resolve) => close(fd, () => resolve())));
  }
  await Promise.all(closed);
}

export class Devices {
  readonly #words: Int32Array;
  readonly #data: RestoreWorkerData;
  readonly #target: Target;
  readonly #stat = newStat();

  constructor(data: RestoreWorkerData, target: Target) {
    this.#words = new Int32Array(data.devices);
    this.#data = data;
    this.#target = target;
  }

  /**
   * The block device that the row's content goes to; undefined for a file like others.
   * @throws Skipped, EntryError; also where a file would only fill the memory that /dev lies in
   */
  deviceOf(row: Row): Device | undefined {
    const { where, replace, allowed } = this.#data;
    const isBelowDev = isWithin(DEV, row.key);
    const isLarge = (row.flags & RowFlag.parts) !== 0;
    if (where !== "" || (!isBelowDev && !isLarge)) return undefined;
    const path = this.#blockDeviceAt(row.key, isBelowDev);
    if (path === undefined) {
      if (isBelowDev && isLarge && this.#isInDevices(row.key))
        throw new EntryError("there is no such device: make it first, or restore to another directory");
      return undefined;
    }
    if (replace === "never") throw new Skipped("File skipped. Already exists");
    if (replace !== "always") throw new EntryError("a block device is overwritten with replace=always only");
    if (allowed !== undefined && !allowed.some((top) => isWithin(top, pathToKey(path))))
      throw new EntryError(`it is ${displayPath(path)}, where this client allows no restores (RestoreRoots)`);
    const { major, minor } = this.#stat;
    return { path, major, minor };
  }

  /**
   * Leaves its numbers in #stat. Links are followed from one device node to another alone: those in /dev/shm are made by
   * anybody.
   */
  #blockDeviceAt(key: string, isBelowDev: boolean): string | undefined {
    const place = this.#placeOf(key);
    if (place === undefined || !statIfThere(place.fd, place.name, this.#stat)) return undefined;
    let path = keyToPath(key);
    if (this.#stat.type === EntryType.symlink && isBelowDev && this.#isInDevices(key)) {
      try {
        path = realPath(path);
        if (!isWithin(DEV, pathToKey(path))) return undefined;
        statAt(AT_FDCWD, path, this.#stat);
      } catch {
        return undefined;
      }
    }
    return this.#stat.type === EntryType.blockDevice ? path : undefined;
  }

  #placeOf(key: string): Place | undefined {
    try {
      return this.#target.parentOf(key, false);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** True when the place would be in the file system of the device nodes, not in /dev/shm or the like. */
  #isInDevices(key: string): boolean {
    const devices = newStat();
    const names = key.split("\0");
    statAt(AT_FDCWD, `/${DEV}`, devices);
    for (names.pop(); names.length > 1; names.pop()) {
      if (!statIfThere(AT_FDCWD, `/${names.join("/")}`, this.#stat)) continue;
      return this.#stat.devMajor === devices.devMajor && this.#stat.devMinor === devices.devMinor;
    }
    return true;
  }

  /** @throws EntryError, SysError */
  write(device: Device, row: Row, stretches: readonly Stretch[]): void {
    const fd = this.#claim(device, row);
    for (const { fileOffset, bytes } of stretches) {
      if (fileOffset + bytes.length > row.size) throw new EntryError("content behind its end");
      writeAll(fd, bytes, fileOffset);
    }
  }

  /** Everything was written: it is made durable. The node keeps its owner, mode and time. @throws EntryError, SysError */
  finish(device: Device, row: Row): void {
    fsyncSync(this.#claim(device, row));
  }

  /** Why a device is not restored some of whose pieces were bad: what is on it now. */
  incomplete(device: Device): EntryError {
    const at = this.#find(device);
    const isTouched = at !== undefined && Atomics.load(this.#words, at) !== REFUSED;
    return new EntryError(
      isTouched
        ? "its data is not complete: what is on the device now is useless"
        : "nothing of it could be restored: the device was left alone",
    );
  }

  /** The device's descriptor, opened and zeroed by whoever comes first. @throws EntryError */
  #claim(device: Device, row: Row): number {
    const { at, first } = this.#entryOf(device, row);
    if (first) {
      let state = REFUSED;
      try {
        const fd = openDevice(device, row);
        Atomics.store(this.#words, at + OPEN, fd + 1);
        state = SPOILT;
        this.#zero(fd, at, row);
        state = fd;
      } finally {
        Atomics.store(this.#words, at, state);
        Atomics.notify(this.#words, at);
      }
      return state;
    }
    while (Atomics.wait(this.#words, at, OPENING, LOOK_MS) === "timed-out") this.#mayGoOn();
    const state = Atomics.load(this.#words, at);
    if (state < 0) throw new EntryError("the device could not be had by another thread of this restore");
    return state;
  }

  /** Closes the device when that fails. */
  #zero(fd: number, at: number, row: Row): void {
    try {
      const whole = row.size - (row.size % SECTOR_BYTES);
      if (whole > 0) zeroDevice(fd, 0, whole, () => this.#mayGoOn());
      if (row.size > whole) writeAll(fd, Buffer.alloc(row.size - whole), whole);
    } catch (error) {
      Atomics.store(this.#words, at + OPEN, 0);
      closeFd(fd);
      throw error;
    }
  }

  /** Where the device stands in the table: what others may do with it. */
  #find(device: Device): number | undefined {
    const words = this.#words;
    for (let at = HEAD; at < HEAD + words[1]! * FIELDS; at += FIELDS) {
      if (words[at] === device.major && words[at + 1] === device.minor) return at + 2;
    }
    return undefined;
  }

  /** Where the device stands in the table, as `#find`; `first`: nobody asked for the device before. */
  #entryOf(device: Device, row: Row): { at: number; first: boolean } {
    const words = this.#words;
    const mark = contentDigest(Buffer.from(row.key, "latin1")).readInt32LE(0);
    this.#lock();
    try {
      const found = this.#find(device);
      if (found !== undefined) {
        if (words[found + 1] !== mark) throw new EntryError("another image goes to the same device");
        return { at: found, first: false };
      }
      const count = words[1]!;
      if (count === MAX_DEVICES) throw new EntryError("too many devices in one restore");
      const at = HEAD + count * FIELDS;
      words.set([device.major, device.minor, OPENING, mark, 0], at);
      words[1] = count + 1;
      return { at: at + 2, first: true };
    } finally {
      this.#unlock();
    }
  }

  #mayGoOn(): void {
    if (Atomics.load(new Int32Array(this.#data.stop), 0) !== 0) throw new EntryError("the restore has ended");
  }

  #lock(): void {
    while (Atomics.compareExchange(this.#words, 0, 0, 1) !== 0) Atomics.wait(this.#words, 0, 1);
  }

  #unlock(): void {
    Atomics.store(this.#words, 0, 0);
    Atomics.notify(this.#words, 0, 1);
  }
}

function openDevice(device: Device, row: Row): number {
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, device.path, constants.O_WRONLY | constants.O_EXCL);
  } catch (error) {
    if (codeOf(error) === "EBUSY")
      throw new EntryError("the device is in use: mounted, or part of another one (LVM, RAID, swap)");
    throw new EntryError(`the device cannot be opened: ${describeError(error)}`);
  }
  try {
    const stat = newStat();
    statFd(fd, stat);
    if (!isSame(stat, device)) throw new EntryError("the device was exchanged meanwhile");
    const size = endOf(fd);
    if (size < row.size) {
      const room = `${withCommas(size)} bytes, the image has ${withCommas(row.size)}`;
      throw new EntryError(`the device is too small: it has ${room}`);
    }
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function isSame(stat: StatRecord, device: Device): boolean {
  return stat.type === EntryType.blockDevice && stat.major === device.major && stat.minor === device.minor;
}
