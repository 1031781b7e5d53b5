/**
 * Rows of file lists: one per entry of a tree. How they are encoded, and the blocks that they travel and rest in, are in
 * row-block.ts.
 */
import { ByteReader, ByteWriter, GarbledInput } from "./varint.js";

export const EntryType = {
  file: 1,
  directory: 2,
  symlink: 3,
  charDevice: 4,
  blockDevice: 5,
  fifo: 6,
  /** The path and everything below it is absent, whatever lower layers say. */
  deleted: 7,
} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

export const RowFlag = {
  /** `content` is the identity of a parts list, not the digest of one chunk. */
  parts: 1,
  /** The file had holes: runs of zeros come back as holes. */
  sparse: 2,
  /** The file changed while it was read: stored as read, read again next time. */
  unstable: 4,
  /** Kept from the parent list because its directory or the entry itself could not be read this time. */
  unverified: 8,
  /** Stored content is known to be damaged: always read again. */
  damaged: 16,
  linked: 32,
  xattrs: 64,
  /** A file with what was read from a named pipe; at a restore it goes to the pipe at its place, if there is one. */
  fifo: 128,
} as const;

/** Row flags that describe the entry itself; the others say only which optional fields follow. */
export const ENTRY_FLAGS =
  RowFlag.parts | RowFlag.sparse | RowFlag.unstable | RowFlag.unverified | RowFlag.damaged | RowFlag.fifo;

/** What a run saw of an entry besides its row; lets the next run trust it unread. */
export interface EntryState {
  ctimeSec: number;
  ctimeNsec: number;
  inode: number;
  links: number;
}

export interface Row {
  /** Path key, see path.ts. */
  key: string;
  type: EntryType;
  /** Semantic RowFlags; `linked` and `xattrs` follow from the fields. */
  flags: number;
  /** Permission bits with setuid, setgid and sticky (0..0o7777). */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes; 0 for everything but regular files. */
  size: number;
  mtimeSec: number;
  mtimeNsec: number;
  /** Symlink target as latin1 carrier, else "". */
  target: string;
  major: number;
  minor: number;
  /** Key of the first member (in path order) of the hard link group, also on that member; undefined if alone. */
  group: string | undefined;
  /** Encoded by encodeXattrs; undefined when there are none. */
  xattrs: Buffer | undefined;
  /** 32 bytes; only of files with size > 0. */
  content: Buffer | undefined;
  state: EntryState | undefined;
}

/** A row with every field at its neutral value. */
export function emptyRow(key: string, type: EntryType): Row {
  return {
    key,
    type,
    flags: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    target: "",
    major: 0,
    minor: 0,
    group: undefined,
    xattrs: undefined,
    content: undefined,
    state: undefined,
  };
}

/** One extended attribute; POSIX ACLs are `system.posix_acl_access` and `system.posix_acl_default`. */
export interface Xattr {
  name: string;
  value: Buffer;
}

/** Linux's own limits (XATTR_NAME_MAX, XATTR_SIZE_MAX): nothing that was read from a file exceeds them. */
const MAX_XATTR_NAME = 255;
const MAX_XATTR_VALUE = 65_536;

/** Canonical bytes of a set of attributes (sorted by name), undefined for none, so that equal sets are equal bytes. */
export function encodeXattrs(xattrs: readonly Xattr[]): Buffer | undefined {
  if (xattrs.length === 0) return undefined;
  const out = new ByteWriter(256);
  out.uint(xattrs.length);
  for (const { name, value } of [...xattrs].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    out.latin1(name);
    out.blob(value);
  }
  return Buffer.from(out.bytes());
}

/** @throws GarbledInput */
export function decodeXattrs(bytes: Buffer): Xattr[] {
  const reader = new ByteReader(bytes);
  const count = reader.uint();
  const out: Xattr[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.latin1();
    const value = reader.blob();
    if (
      name === "" ||
      name.length > MAX_XATTR_NAME ||
      name.includes("\0") ||
      value.length > MAX_XATTR_VALUE
    ) {
      throw new GarbledInput("impossible extended attribute");
    }
    out.push({ name, value });
  }
  if (!reader.done) throw new GarbledInput("bytes after the last attribute");
  return out;
}

/** True when both rows describe the same entry: all metadata and the content, not the state. */
export function sameRow(a: Row, b: Row): boolean {
  return sameMetadata(a, b) && sameContent(a, b) && (a.flags & ENTRY_FLAGS) === (b.flags & ENTRY_FLAGS);
}

/** True when type and all metadata but the content are equal, link group and attributes included. */
export function sameMetadata(a: Row, b: Row): boolean {
  return (
    a.type === b.type &&
    a.mtimeNsec === b.mtimeNsec &&
    a.mtimeSec === b.mtimeSec &&
    a.size === b.size &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.target === b.target &&
    a.major === b.major &&
    a.minor === b.minor &&
    a.group === b.group &&
    sameBytes(a.xattrs, b.xattrs)
  );
}

/** True when both have the same content identity (or none). */
export function sameContent(a: Row, b: Row): boolean {
  return sameBytes(a.content, b.content);
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}
