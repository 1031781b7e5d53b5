/**
 * A strict reader of the tar members that Basalt writes (common/format/tar.ts), over one decompressed frame. It is
 * stricter than any tar program on purpose: what it accepts, all of them must understand in the same way, so
 * that nothing can hide in a volume that people extract with tar. Fields have exactly the form that tarHeader
 * gives them; other forms (base-256, GNU long names, global headers, sparse members) are refused.
 */
import { MAX_KEY_BYTES } from "../../common/format/path.js";
import { tarPadding } from "../../common/format/tar.js";
import { GarbledInput } from "../../common/format/varint.js";

const BLOCK = 512;
/** Longest pax header accepted. */
export const MAX_PAX_BYTES = 4 * 1024 * 1024;
/** Longest member name: job directory, key, trailing slash. */
const MAX_NAME_BYTES = MAX_KEY_BYTES + 32;

const TYPES = {
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
} as const;

/** A member as it stands in the raw frame. */
export interface WalkedMember {
  /** Latin1 carrier, as written: with the trailing slash of a directory. */
  name: string;
  type: (typeof TYPES)[keyof typeof TYPES];
  mode: number;
  /** Bytes of data. */
  size: number;
  /** Where the data starts in the frame. */
  dataAt: number;
  /** Where the next member starts. */
  end: number;
  /** Target of a symlink or hard link, else "". */
  target: string;
}

/** The member whose headers start at `at`. @throws GarbledInput */
export function walkMember(raw: Buffer, at: number): WalkedMember {
  let pax = NO_PAX;
  let headerAt = at;
  if (at + BLOCK <= raw.length && raw[at + 156] === 0x78) {
    pax = readPax(raw, at);
    headerAt = pax.end;
  }
  const header = readHeader(raw, headerAt);
  const type = TYPES[header.flag as keyof typeof TYPES];
  if (type === undefined) throw new GarbledInput(`tar member of type ${JSON.stringify(header.flag)}`);
  if (header.size > 0 && type !== "file") throw new GarbledInput("tar member with data that has none");
  const dataAt = headerAt + BLOCK;
  const end = dataAt + header.size + tarPadding(header.size);
  if (end > raw.length) throw new GarbledInput("tar member reaches out of its frame");
  if (!isZero(raw, dataAt + header.size, end)) {
    throw new GarbledInput("tar padding is not zero");
  }
  const target = overridden(pax.target, header.target, "link target");
  if ((type === "link" || type === "symlink") !== (target !== "")) throw new GarbledInput("bad link target");
  return {
    name: overridden(pax.path, header.name, "name"),
    type,
    mode: header.mode,
    size: header.size,
    dataAt,
    end,
    target,
  };
}

/** A program that ignores pax headers must see the beginning of the same text, not another one. */
function overridden(pax: string | undefined, plain: string, what: string): string {
  if (pax === undefined) return plain;
  if (plain !== pax.slice(0, 100)) throw new GarbledInput(`two different forms of a ${what}`);
  return pax;
}

interface Header {
  name: string;
  flag: string;
  mode: number;
  size: number;
  target: string;
}

function readHeader(raw: Buffer, at: number): Header {
  if (at + BLOCK > raw.length) throw new GarbledInput("tar header cut off");
  const header = raw.subarray(at, at + BLOCK);
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i++) sum += header[i]!;
  for (let i = 156; i < BLOCK; i++) sum += header[i]!;
  if (header.latin1Slice(148, 156) !== `${sum.toString(8).padStart(6, "0")}\0 `) {
    throw new GarbledInput("tar header checksum differs");
  }
  if (header.latin1Slice(257, 265) !== "ustar\x0000") throw new GarbledInput("not a ustar header");
  // User and group names, and what lies behind the prefix.
  if (!isZero(header, 265, 329) || !isZero(header, 500, BLOCK))
    throw new GarbledInput("unused tar field in use");
  for (const [from, width] of NUMBERS) octal(header, from, width);
  const prefix = text(header, 345, 155);
  const short = text(header, 0, 100);
  return {
    name: prefix === "" ? short : `${prefix}/${short}`,
    flag: header.latin1Slice(156, 157),
    mode: octal(header, 100, 8),
    size: octal(header, 124, 12),
    target: text(header, 157, 100),
  };
}

/** Offset and width of the number fields that are checked for their form alone: uid, gid, mtime, major, minor. */
const NUMBERS = [
  [108, 8],
  [116, 8],
  [136, 12],
  [329, 8],
  [337, 8],
] as const;

// Loops, not comparisons of views: a member has a dozen of these short ranges.
function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

function octal(header: Buffer, at: number, width: number): number {
  let value = 0;
  for (let i = at; i < at + width - 1; i++) {
    const digit = header[i]! - 0x30;
    if (digit < 0 || digit > 7) throw new GarbledInput("bad number in tar header");
    value = value * 8 + digit;
  }
  if (header[at + width - 1] !== 0) throw new GarbledInput("bad number in tar header");
  return value;
}

/** A field that fills its width or ends with NULs. */
function text(header: Buffer, at: number, width: number): string {
  const cut = header.indexOf(0, at);
  const end = cut < 0 || cut > at + width ? at + width : cut;
  if (!isZero(header, end, at + width)) throw new GarbledInput("bytes behind the end of a tar field");
  return header.latin1Slice(at, end);
}

interface Pax {
  path: string | undefined;
  target: string | undefined;
  /** Offset of the header that it belongs to. */
  end: number;
}
const NO_PAX: Pax = { path: undefined, target: undefined, end: 0 };

function readPax(raw: Buffer, at: number): Pax {
  const { size, name, target } = readHeader(raw, at);
  if (name !== "././@PaxHeader" || target !== "") throw new GarbledInput("bad pax header");
  const start = at + BLOCK;
  const end = start + size + tarPadding(size);
  if (size > MAX_PAX_BYTES) throw new GarbledInput("pax header too long");
  if (end > raw.length || !isZero(raw, start + size, end)) {
    throw new GarbledInput("pax header cut off");
  }
  const values = new Map<string, string>();
  for (let from = start; from < start + size; ) from = readPaxRecord(raw, from, start + size, values);
  return { path: values.get("path"), target: values.get("linkpath"), end };
}

const PAX_FORMS: Readonly<Record<string, RegExp>> = {
  path: /^[^\0]+$/,
  linkpath: /^[^\0]+$/,
  mtime: /^-?\d{1,16}(\.\d{9})?$/,
  uid: /^\d{1,10}$/,
  gid: /^\d{1,10}$/,
  "SCHILY.acl.access": /^[a-z0-9:,-]+$/,
  "SCHILY.acl.default": /^[a-z0-9:,-]+$/,
};

/** Reads "LENGTH key=value\n" into `values`; returns the offset behind it. */
function readPaxRecord(raw: Buffer, at: number, limit: number, values: Map<string, string>): number {
  const space = raw.indexOf(0x20, at);
  const digits = space < 0 || space - at > 8 ? "" : raw.latin1Slice(at, space);
  const end = at + Number(digits);
  if (!/^[1-9]\d*$/.test(digits) || end > limit || end <= space + 2 || raw[end - 1] !== 0x0a) {
    throw new GarbledInput("bad pax record");
  }
  const equals = raw.indexOf(0x3d, space);
  if (equals < 0 || equals >= end) throw new GarbledInput("bad pax record");
  const key = raw.latin1Slice(space + 1, equals);
  if (values.has(key)) throw new GarbledInput("pax record given twice");
  if (/^SCHILY\.xattr\.[^\0]{1,765}$/.test(key)) {
    values.set(key, "");
    return end;
  }
  const value = raw.latin1Slice(equals + 1, end - 1);
  if (PAX_FORMS[key]?.test(value) !== true || value.length > MAX_NAME_BYTES) {
    throw new GarbledInput(`pax record ${JSON.stringify(key.slice(0, 40))} not allowed here`);
  }
  values.set(key, value);
  return end;
}
