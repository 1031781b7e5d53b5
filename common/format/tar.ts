/**
 * Headers of POSIX pax tar members (IEEE Std 1003.1, pax "ustar" and extended headers), as GNU tar 1.34 and
 * bsdtar read them. A plain ustar header is used where everything fits; sub-second times, long or large fields
 * and extended attributes go into a pax header before it. Names are bytes and stay bytes.
 */
import { ACL_KEYWORDS, aclText } from "./acl.js";
import type { Xattr } from "./row.js";

const BLOCK = 512;

export interface TarMember {
  /** Bytes (latin1 carrier), relative, without trailing slash. */
  name: string;
  type: "file" | "directory" | "symlink" | "link" | "char" | "block" | "fifo";
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of data that follow; 0 for everything but files. */
  size: number;
  mtimeSec: number;
  mtimeNsec: number;
  /** Target of a symlink or (member name) of a hard link. */
  target?: string;
  major?: number;
  minor?: number;
  xattrs?: readonly Xattr[] | undefined;
}

const TYPE_FLAG = {
  file: "0",
  link: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
} as const;

/** Zero bytes needed after `size` bytes of data. */
export function tarPadding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

const ROOM_BYTES = 8192;
/** More is let go of with the next header: few entries have so many attributes. */
const MAX_KEPT_BYTES = 256 * 1024;
/** What headers are made in, one at a time; it grows to what one needs. */
let room = Buffer.allocUnsafeSlow(ROOM_BYTES);

/** All header bytes of a member: a multiple of 512, directly followed by its data and padding. */
export function tarHeader(member: TarMember): Buffer {
  return Buffer.from(tarHeaderInPlace(member));
}

/** As `tarHeader`; what is returned is valid until the next header of this thread. */
export function tarHeaderInPlace(member: TarMember): Buffer {
  if (room.length > MAX_KEPT_BYTES) room = Buffer.allocUnsafeSlow(ROOM_BYTES);
  const name = member.type === "directory" ? `${member.name}/` : member.name;
  const target = member.target ?? "";
  const cut = cutOf(name);
  const hasRecords = cut === undefined || needsRecords(member, target);
  // The pax header goes in front, once it is known how long its records are.
  const main = hasRecords ? putPax(member, cut === undefined ? name : undefined, target) : 0;
  const at = cut === undefined || cut === 0 ? 0 : cut + 1;
  const texts = { prefix: name.slice(0, Math.max(at - 1, 0)), name: name.slice(at, at + 100), target };
  putUstar(main, TYPE_FLAG[member.type], texts, member);
  return room.subarray(0, main + BLOCK);
}

/** Where a name is cut in two to fit a plain header; 0: it fits as it is, undefined: it does not fit. */
function cutOf(name: string): number | undefined {
  if (name.length <= 100) return 0;
  if (name.length > 256) return undefined;
  const cut = name.indexOf("/", name.length - 101);
  return cut > 0 && cut <= 155 && cut < name.length - 1 ? cut : undefined;
}

const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

function needsRecords(member: TarMember, target: string): boolean {
  return (
    hasOddTime(member) ||
    target.length > 100 ||
    member.uid > MAX_OCTAL_7 ||
    member.gid > MAX_OCTAL_7 ||
    member.size > MAX_OCTAL_11 ||
    (member.xattrs !== undefined && member.xattrs.length > 0)
  );
}

function hasOddTime({ mtimeSec, mtimeNsec }: TarMember): boolean {
  return mtimeNsec !== 0 || mtimeSec < 0 || mtimeSec > MAX_OCTAL_11;
}

/** Writes the pax header at 0, with `path` where one is given; returns where the next header begins. */
function putPax(member: TarMember, path: string | undefined, target: string): number {
  const { uid, gid, size, xattrs } = member;
  let at = BLOCK;
  if (path !== undefined) at = putRecord(at, "path", path);
  if (target.length > 100) at = putRecord(at, "linkpath", target);
  if (hasOddTime(member)) at = putRecord(at, "mtime", decimalTime(member.mtimeSec, member.mtimeNsec));
  if (uid > MAX_OCTAL_7) at = putRecord(at, "uid", String(uid));
  if (gid > MAX_OCTAL_7) at = putRecord(at, "gid", String(gid));
  if (size > MAX_OCTAL_11) at = putRecord(at, "size", String(size));
  if (xattrs !== undefined) for (const xattr of xattrs) at = putXattr(at, xattr);
  const length = at - BLOCK;
  const end = at + tarPadding(length);
  reserve(end + BLOCK);
  room.fill(0, at, end);
  const { major = 0, minor = 0 } = member;
  const facts = { mode: 0o644, uid: 0, gid: 0, size: length, mtimeSec: 0, major, minor };
  putUstar(0, "x", { prefix: "", name: "././@PaxHeader", target: "" }, facts);
  return end;
}

function putXattr(start: number, { name, value }: Xattr): number {
  // `=` ends the key of a pax record: GNU tar writes it, and `%`, in this way.
  const escaped = name.replaceAll("%", "%25").replaceAll("=", "%3D");
  const at = putRecord(start, `SCHILY.xattr.${escaped}`, value.latin1Slice());
  const keyword = ACL_KEYWORDS[name];
  const acl = keyword === undefined ? undefined : aclText(value);
  // GNU tar takes ACLs from here only.
  return keyword !== undefined && acl !== undefined ? putRecord(at, keyword, acl) : at;
}

/** "LENGTH key=value\n" where LENGTH counts itself. Returns where the next one begins. */
function putRecord(at: number, key: string, value: string): number {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  reserve(at + length);
  room.latin1Write(`${length}${rest}`, at);
  return at + length;
}

type UstarFacts = Pick<TarMember, "mode" | "uid" | "gid" | "size" | "mtimeSec" | "major" | "minor">;

interface UstarTexts {
  prefix: string;
  /** At most 100 bytes. */
  name: string;
  /** Cut to what fits. */
  target: string;
}

/** Writes a ustar block at `at`; numbers that do not fit become the largest that do. */
function putUstar(at: number, flag: string, texts: UstarTexts, member: UstarFacts): void {
  room.fill(0, at, at + BLOCK);
  // The checksum is taken with blanks in its own place. What follows adds what it writes.
  let sum = 8 * BLANK;
  sum += putText(at, texts.name);
  sum += putOctal(at + 100, 7, member.mode);
  sum += putOctal(at + 108, 7, member.uid);
  sum += putOctal(at + 116, 7, member.gid);
  sum += putOctal(at + 124, 11, member.size);
  sum += putOctal(at + 136, 11, member.mtimeSec);
  sum += putText(at + 156, flag);
  sum += putText(at + 157, texts.target.slice(0, 100));
  sum += putText(at + 257, "ustar\x0000");
  sum += putOctal(at + 329, 7, member.major ?? 0);
  sum += putOctal(at + 337, 7, member.minor ?? 0);
  sum += putText(at + 345, texts.prefix);
  putOctal(at + 148, 6, sum);
  room[at + 155] = BLANK;
}

const BLANK = 0x20;
const ZERO = 0x30;
const OCTAL_10 = 2 ** 30;
/** By the number of octal digits. */
const LARGEST = Array.from({ length: 12 }, (_, digits) => 8 ** digits - 1);

/** Writes latin1 text; returns the sum of its bytes. */
function putText(at: number, text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i) & 0xff;
    room[at + i] = byte;
    sum += byte;
  }
  return sum;
}

/** Writes so many octal digits, the largest number where the value does not fit; returns the sum of the bytes. */
function putOctal(at: number, digits: number, value: number): number {
  const whole = Math.min(Math.max(value, 0), LARGEST[digits]!);
  // Ten digits at a time are a small integer, which is several times as fast.
  let rest = whole % OCTAL_10;
  let sum = digits * ZERO;
  for (let i = digits - 1; i >= 0; i--) {
    if (i === digits - 11) rest = Math.floor(whole / OCTAL_10);
    const digit = rest & 7;
    room[at + i] = ZERO + digit;
    sum += digit;
    rest >>= 3;
  }
  return sum;
}

/** Makes room for so many bytes in all; keeps what is there. */
function reserve(bytes: number): void {
  if (bytes <= room.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * room.length));
  room.copy(larger);
  room = larger;
}

function decimalTime(sec: number, nsec: number): string {
  // A time before 1970 with a fraction: -1.25 s is sec -2, nsec 750000000.
  if (sec < 0 && nsec !== 0) {
    const fraction = String(1_000_000_000 - nsec).padStart(9, "0");
    return `-${-(sec + 1)}.${fraction}`;
  }
  return nsec === 0 ? String(sec) : `${sec}.${String(nsec).padStart(9, "0")}`;
}
