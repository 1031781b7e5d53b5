/**
 * Directories held open by descriptor, and what is asked of their entries on the hot path of a walk.
 *
 * Everything goes by (descriptor, name), so paths of any length work and a path component that is swapped for a
 * symlink meanwhile leads nowhere. Names are latin1 carriers (see common/format/path.ts).
 */
import { readdirSync } from "node:fs";
import { EntryType, type Xattr } from "../../common/format/row.js";
import { SysError } from "../../common/sys/error.js";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  cName,
  fail,
  lastErrno,
  O_CLOEXEC,
  O_NOFOLLOW,
  raw,
  SCRATCH_BYTES,
  scratch,
} from "../../common/sys/native.js";
import { listXattrs, listXattrsAt } from "../../common/sys/xattr.js";

export type StatType = EntryType | "socket" | "unknown";

/** What statx says about an entry. Reused by callers: one record per directory level, not per entry. */
export interface StatRecord {
  type: StatType;
  /** Permission bits with setuid, setgid, sticky. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Allocated units of 512 bytes. */
  blocks: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  /** The lower 53 bits. */
  inode: number;
  links: number;
  /** Device number of a device node. */
  major: number;
  minor: number;
  /** Device that holds the entry. */
  devMajor: number;
  devMinor: number;
  /** The nodump attribute (chattr +d). */
  noDump: boolean;
}

export function newStat(): StatRecord {
  return {
    type: "unknown",
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    blocks: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    ctimeSec: 0,
    ctimeNsec: 0,
    inode: 0,
    links: 0,
    major: 0,
    minor: 0,
    devMajor: 0,
    devMinor: 0,
    noDump: false,
  };
}

const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC = 0x7ff;
/** Of stx_attributes. */
const ATTR_NODUMP = 0x40;

export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = 0o200000;
export const O_NOATIME = 0o1000000;
const EPERM = 1;

/** Index: file type bits of st_mode shifted right by 12. */
const TYPES: readonly StatType[] = Array.from({ length: 16 }, (_, bits): StatType => {
  switch (bits) {
    case 1:
      return EntryType.fifo;
    case 2:
      return EntryType.charDevice;
    case 4:
      return EntryType.directory;
    case 6:
      return EntryType.blockDevice;
    case 8:
      return EntryType.file;
    case 10:
      return EntryType.symlink;
    case 12:
      return "socket";
    default:
      return "unknown";
  }
});

const statMemory = scratch(256);
const words = new Uint32Array(statMemory.bytes.buffer, statMemory.bytes.byteOffset, 64);
const signedWords = new Int32Array(statMemory.bytes.buffer, statMemory.bytes.byteOffset, 64);
const HIGH = 0x1_0000_0000;
/** Of a modification time: more fits in no list. Some file systems take any number, from any user. */
const MAX_SECONDS = 2 ** 52 - 1;

function fill(into: StatRecord): void {
  const modeAndPad = words[7]!;
  into.type = TYPES[(modeAndPad >>> 12) & 15]!;
  into.mode = modeAndPad & 0o7777;
  into.links = words[4]!;
  into.uid = words[5]!;
  into.gid = words[6]!;
  into.inode = (words[9]! & 0x1f_ffff) * HIGH + words[8]!;
  into.size = words[11]! * HIGH + words[10]!;
  into.blocks = words[13]! * HIGH + words[12]!;
  into.ctimeSec = signedWords[25]! * HIGH + words[24]!;
  into.ctimeNsec = words[26]!;
  into.mtimeSec = Math.max(-MAX_SECONDS, Math.min(MAX_SECONDS, signedWords[29]! * HIGH + words[28]!));
  into.mtimeNsec = words[30]!;
  into.major = words[32]!;
  into.minor = words[33]!;
  into.devMajor = words[34]!;
  into.devMinor = words[35]!;
  into.noDump = (words[2]! & ATTR_NODUMP) !== 0;
}

/** statx of `name` in the directory `fd`, not following a symlink. @throws SysError */
export function statAt(fd: number, name: string, into: StatRecord): void {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (raw.statx(fd, cName(name), flags, STATX_BASIC, statMemory.address) !== 0) throw fail("statx");
  fill(into);
}

/** The same without an exception where there is nothing: false for ENOENT. @throws SysError */
export function statIfThere(fd: number, name: string, into: StatRecord): boolean {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (raw.statx(fd, cName(name), flags, STATX_BASIC, statMemory.address) !== 0) {
    const error = fail("statx");
    if (error.code === "ENOENT") return false;
    throw error;
  }
  fill(into);
  return true;
}

/** statx of an open descriptor. @throws SysError */
export function statFd(fd: number, into: StatRecord): void {
  if (raw.statx(fd, cName(""), AT_EMPTY_PATH, STATX_BASIC, statMemory.address) !== 0) throw fail("statx");
  fill(into);
}

/**
 * openat with close-on-exec, without touching the access time where the caller is allowed to ask for that.
 * @throws SysError
 */
export function openQuietly(fd: number, name: string, flags: number): number {
  const address = cName(name);
  const quiet = raw.openat(fd, address, flags | O_CLOEXEC | O_NOATIME, 0);
  if (quiet >= 0) return quiet;
  // Only the owner and root may ask for O_NOATIME.
  if (lastErrno() !== EPERM) throw fail("openat");
  const plain = raw.openat(fd, address, flags | O_CLOEXEC, 0);
  if (plain < 0) throw fail("openat");
  return plain;
}

const linkMemory = scratch(SCRATCH_BYTES);

/** Target of a symlink, as latin1 carrier. @throws SysError */
export function readLinkAt(fd: number, name: string): string {
  const length = raw.readlinkat(fd, cName(name), linkMemory.address, SCRATCH_BYTES);
  if (length < 0) throw fail("readlinkat");
  return linkMemory.bytes.latin1Slice(0, length);
}

/**
 * An open directory. Whoever opened it closes it; others that need it longer `retain` it and close it once more:
 * the descriptor is released with the last close.
 */
export class DirectoryHandle {
  readonly fd: number;
  #users = 1;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Opens the directory `name` of `parent`; without a parent `name` is an absolute path, whose last component may
   * not be a symlink either. @throws SysError ELOOP or ENOTDIR when it is no directory
   */
  static open(parent: DirectoryHandle | undefined, name: string): DirectoryHandle {
    if (parent === undefined && !name.startsWith("/")) throw new SysError("EINVAL", "openat", 22);
    return new DirectoryHandle(openQuietly(parent?.fd ?? AT_FDCWD, name, O_DIRECTORY | O_NOFOLLOW));
  }

  /** Keeps the descriptor open until one more `close`. */
  retain(): this {
    this.#users++;
    return this;
  }

  close(): void {
    this.#users--;
    if (this.#users === 0) raw.close(this.fd);
  }

  /** Names of all entries in no particular order. @throws Node's error with a `code` */
  names(): string[] {
    // Node's own call is faster than getdents by koffi; the detour over /proc makes it work on a descriptor.
    return readdirSync(`/proc/self/fd/${this.fd}`, "latin1" as BufferEncoding) as string[];
  }

  /** @throws SysError */
  stat(name: string, into: StatRecord): void {
    statAt(this.fd, name, into);
  }

  /** @throws SysError */
  statSelf(into: StatRecord): void {
    statFd(this.fd, into);
  }

  /** Target of the symlink `name`. @throws SysError */
  readlink(name: string): string {
    return readLinkAt(this.fd, name);
  }

  /** Extended attributes of an entry itself (also of a symlink); none where the file system has none. @throws SysError */
  xattrs(name: string): Xattr[] {
    return listXattrsAt(this.fd, name);
  }

  /** Extended attributes of the directory itself. @throws SysError */
  xattrsSelf(): Xattr[] {
    return listXattrs(this.fd);
  }
}
