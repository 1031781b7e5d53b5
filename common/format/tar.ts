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
  xattrs?: readonly Xattr[];
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

/** All header bytes of a member: a multiple of 512, directly followed by its data and padding. */
export function tarHeader(member: TarMember): Buffer {
  const records: Buffer[] = [];
  const name = member.type === "directory" ? `${member.name}/` : member.name;
  const split = splitName(name);
  if (split === undefined) records.push(record("path", name));
  const target = member.target ?? "";
  if (target.length > 100) records.push(record("linkpath", target));
  if (member.mtimeNsec !== 0 || member.mtimeSec < 0 || member.mtimeSec > 0o77777777777) {
    records.push(record("mtime", decimalTime(member.mtimeSec, member.mtimeNsec)));
  }
  if (member.uid > 0o7777777) records.push(record("uid", String(member.uid)));
  if (member.gid > 0o7777777) records.push(record("gid", String(member.gid)));
  if (member.size > 0o77777777777) records.push(record("size", String(member.size)));
  for (const { name: key, value } of member.xattrs ?? []) {
    // `=` ends the key of a pax record: GNU tar writes it, and `%`, in this way.
    const escaped = key.replaceAll("%", "%25").replaceAll("=", "%3D");
    records.push(record(`SCHILY.xattr.${escaped}`, value.toString("latin1")));
    const keyword = ACL_KEYWORDS[key];
    const acl = keyword === undefined ? undefined : aclText(value);
    // GNU tar takes ACLs from here only.
    if (keyword !== undefined && acl !== undefined) records.push(record(keyword, acl));
  }
  const [prefix, short] = split ?? ["", name.slice(0, 100)];
  const main = ustar(member, prefix, short, target.slice(0, 100));
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const pax = ustar(
    { ...member, type: "file", size: body.length, mode: 0o644, mtimeSec: 0, uid: 0, gid: 0 },
    "",
    "././@PaxHeader",
    "",
    "x",
  );
  return Buffer.concat([pax, body, Buffer.alloc(tarPadding(body.length)), main]);
}

function splitName(name: string): [string, string] | undefined {
  if (name.length <= 100) return ["", name];
  if (name.length > 256) return undefined;
  const cut = name.indexOf("/", name.length - 101);
  return cut > 0 && cut <= 155 && cut < name.length - 1
    ? [name.slice(0, cut), name.slice(cut + 1)]
    : undefined;
}

function decimalTime(sec: number, nsec: number): string {
  // A time before 1970 with a fraction: -1.25 s is sec -2, nsec 750000000.
  if (sec < 0 && nsec !== 0) {
    const fraction = String(1_000_000_000 - nsec).padStart(9, "0");
    return `-${-(sec + 1)}.${fraction}`;
  }
  return nsec === 0 ? String(sec) : `${sec}.${String(nsec).padStart(9, "0")}`;
}

/** "LENGTH key=value\n" where LENGTH counts itself. */
function record(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.from(`${length}${rest}`, "latin1");
}

function octal(header: Buffer, at: number, width: number, value: number): void {
  const largest = 8 ** (width - 1) - 1;
  const text = Math.min(Math.max(value, 0), largest).toString(8);
  header.latin1Write(text.padStart(width - 1, "0"), at);
}

function ustar(member: TarMember, prefix: string, name: string, target: string, flag?: string): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.latin1Write(name, 0);
  octal(header, 100, 8, member.mode);
  octal(header, 108, 8, member.uid);
  octal(header, 116, 8, member.gid);
  octal(header, 124, 12, member.size);
  octal(header, 136, 12, member.mtimeSec);
  header.latin1Write("        ", 148);
  header.latin1Write(flag ?? TYPE_FLAG[member.type], 156);
  header.latin1Write(target, 157);
  header.latin1Write("ustar\x0000", 257);
  octal(header, 329, 8, member.major ?? 0);
  octal(header, 337, 8, member.minor ?? 0);
  header.latin1Write(prefix, 345);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.latin1Write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}
