/**
 * Rows of file lists and the blocks they travel and rest in.
 *
 * A list is a sequence of rows in strictly ascending path order, cut into blocks. A block is self-contained:
 *
 *   u8 version (1) | u8 bits (1: payload is zstd, 2: rows carry state) | u32le rows | u32le raw bytes | payload
 *
 * and each row of its payload:
 *
 *   uint shared (bytes of the key taken from the row before) | latin1 rest of the key | u8 type | uint flags
 *   unless deleted: uint mode | uint uid | uint gid | int mtime s | uint mtime ns
 *   file: uint size, [32 bytes content when size > 0] | symlink: latin1 target | device: uint major, uint minor
 *   [LINKED: latin1 link group] [XATTRS: blob] [state: int ctime s | uint ctime ns | uint inode | uint links]
 *
 * The same blocks are the wire format, the catalog's storage and the state stream.
 */
import { isSafeKey, MAX_KEY_BYTES } from "./path.js";
import { ByteReader, ByteWriter, GarbledInput } from "./varint.js";
import { Compressor, compressBound, decompressInto } from "./zstd.js";

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
} as const;

/** Row flags that describe the entry itself; the others say only which optional fields follow. */
const SEMANTIC = RowFlag.parts | RowFlag.sparse | RowFlag.unstable | RowFlag.unverified | RowFlag.damaged;

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
  return sameMetadata(a, b) && sameContent(a, b) && (a.flags & SEMANTIC) === (b.flags & SEMANTIC);
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

// Level 1 serves lists well: their fields repeat from row to row.
const compressor = new Compressor(1);

/** Owners and device numbers are 32 bits. */
const MAX_ID = 0xffff_ffff;

const HEADER_BYTES = 10;
/** Most raw bytes of a block; a reader refuses more before allocating. */
export const MAX_BLOCK_RAW_BYTES = 8 * 1024 * 1024;
/**
 * A writer that reaches one of these should finish its block. Who looks for a path reads half a block of each list on
 * average, and the catalog's writing thread checks a block in one go, while other jobs wait.
 */
export const BLOCK_TARGET_ROWS = 512;
export const BLOCK_TARGET_BYTES = 64 * 1024;

/** Collects rows of one block. `finish` returns the block and starts the next one. */
export class BlockWriter {
  readonly #out = new ByteWriter(2 * BLOCK_TARGET_BYTES);
  readonly #withState: boolean;
  #previous = "";
  #rows = 0;
  firstKey = "";
  lastKey = "";

  constructor(options: { state: boolean }) {
    this.#withState = options.state;
  }

  get rows(): number {
    return this.#rows;
  }

  get full(): boolean {
    return this.#rows >= BLOCK_TARGET_ROWS || this.#out.length >= BLOCK_TARGET_BYTES;
  }

  /** @throws RangeError when rows are not strictly ascending: the caller's list is out of order. */
  add(row: Row): void {
    if (this.#rows === 0) this.firstKey = row.key;
    else if (row.key <= this.lastKey) throw new RangeError("rows out of path order");
    writeRow(this.#out, row, this.#previous, this.#withState);
    this.#previous = row.key;
    this.lastKey = row.key;
    this.#rows++;
  }

  finish(): Buffer {
    const raw = this.#out.bytes();
    const block = Buffer.allocUnsafe(HEADER_BYTES + compressBound(raw.length));
    const length = compressor.into(block.subarray(HEADER_BYTES), raw);
    block[0] = 1;
    block[1] = 1 | (this.#withState ? 2 : 0);
    block.writeUInt32LE(this.#rows, 2);
    block.writeUInt32LE(raw.length, 6);
    this.#out.clear();
    this.#rows = 0;
    this.#previous = "";
    return Buffer.from(block.subarray(0, HEADER_BYTES + length));
  }
}

/** Rows in a block, from its header alone. */
export function rowsInBlock(block: Buffer): number {
  return block.length >= HEADER_BYTES ? block.readUInt32LE(2) : 0;
}

/**
 * Opens a block for reading row by row with `readRow`; the caller checks that keys ascend and nothing is left over.
 * @throws GarbledInput
 */
export function openBlock(block: Buffer): { reader: ByteReader; rows: number; withState: boolean } {
  if (block.length < HEADER_BYTES || block[0] !== 1) throw new GarbledInput("unknown list block version");
  const bits = block[1]!;
  if (bits > 3) throw new GarbledInput("unknown list block bits");
  const rawBytes = block.readUInt32LE(6);
  if (rawBytes > MAX_BLOCK_RAW_BYTES) throw new GarbledInput("list block too large");
  let raw = block.subarray(HEADER_BYTES);
  if ((bits & 1) !== 0) {
    const out = Buffer.allocUnsafe(rawBytes);
    decompressInto(out, raw);
    raw = out;
  } else if (raw.length !== rawBytes) {
    throw new GarbledInput("list block of another length");
  }
  return { reader: new ByteReader(raw), rows: block.readUInt32LE(2), withState: (bits & 2) !== 0 };
}

/**
 * Decodes a block, calling nothing back: returns its rows.
 * @throws GarbledInput on anything that is not a well-formed block with safe keys in ascending order.
 */
export function decodeBlock(block: Buffer): Row[] {
  const { reader, rows: count, withState } = openBlock(block);
  const rows: Row[] = [];
  let previous = "";
  for (let i = 0; i < count; i++) {
    const row = readRow(reader, previous, withState);
    if (i > 0 && row.key <= previous) throw new GarbledInput("list block out of path order");
    previous = row.key;
    rows.push(row);
  }
  if (!reader.done) throw new GarbledInput("bytes after the last row");
  return rows;
}

function sharedLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let i = 0;
  while (i < limit && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return i;
}

/** Appends one row; `previous` is the key of the row before it in the block ("" for the first). */
export function writeRow(out: ByteWriter, row: Row, previous: string, withState: boolean): void {
  const shared = sharedLength(previous, row.key);
  out.uint(shared);
  out.latin1(row.key.slice(shared));
  out.u8(row.type);
  let flags = row.flags & SEMANTIC;
  if (row.group !== undefined) flags |= RowFlag.linked;
  if (row.xattrs !== undefined) flags |= RowFlag.xattrs;
  out.uint(flags);
  if (row.type !== EntryType.deleted) {
    out.uint(row.mode);
    out.uint(row.uid);
    out.uint(row.gid);
    out.int(row.mtimeSec);
    out.uint(row.mtimeNsec);
    if (row.type === EntryType.file) {
      out.uint(row.size);
      if (row.size > 0) {
        if (row.content?.length !== 32) throw new RangeError("a file row without content");
        out.raw(row.content);
      }
    } else if (row.type === EntryType.symlink) {
      out.latin1(row.target);
    } else if (row.type === EntryType.charDevice || row.type === EntryType.blockDevice) {
      out.uint(row.major);
      out.uint(row.minor);
    }
    if (row.group !== undefined) out.latin1(row.group);
    if (row.xattrs !== undefined) out.blob(row.xattrs);
  }
  if (withState) {
    const state = row.state;
    out.int(state?.ctimeSec ?? 0);
    out.uint(state?.ctimeNsec ?? 0);
    out.uint(state?.inode ?? 0);
    out.uint(state?.links ?? 0);
  }
}

/**
 * Passes a row and gives its key. Nothing else is looked at: only for blocks that were decoded with checks before they
 * were stored. @throws GarbledInput
 */
export function passRow(reader: ByteReader, previous: string, withState: boolean): string {
  const shared = reader.uint();
  if (shared > previous.length) throw new GarbledInput("shared key prefix too long");
  const key = previous.slice(0, shared) + reader.latin1();
  const type = reader.u8();
  const flags = reader.uint();
  if (type !== EntryType.deleted) {
    // Mode, owner, group, seconds, nanoseconds.
    for (let i = 0; i < 5; i++) reader.uint();
    if (type === EntryType.file) {
      if (reader.uint() > 0) reader.pass(32);
    } else if (type === EntryType.symlink) {
      reader.pass(reader.uint());
    } else if (type === EntryType.charDevice || type === EntryType.blockDevice) {
      reader.uint();
      reader.uint();
    }
    if ((flags & RowFlag.linked) !== 0) reader.pass(reader.uint());
    if ((flags & RowFlag.xattrs) !== 0) reader.pass(reader.uint());
  }
  if (withState) for (let i = 0; i < 4; i++) reader.uint();
  return key;
}

/** @throws GarbledInput */
export function readRow(reader: ByteReader, previous: string, withState: boolean): Row {
  const shared = reader.uint();
  if (shared > previous.length) throw new GarbledInput("shared key prefix too long");
  const key = previous.slice(0, shared) + reader.latin1();
  if (!isSafeKey(key)) throw new GarbledInput("unsafe path in list");
  const type = reader.u8();
  if (type < 1 || type > 7) throw new GarbledInput(`unknown entry type ${type}`);
  const row = emptyRow(key, type as EntryType);
  const flags = reader.uint();
  if (flags > 127) throw new GarbledInput("unknown row flags");
  row.flags = flags & SEMANTIC;
  if (type !== EntryType.deleted) {
    row.mode = reader.uint();
    row.uid = reader.uint();
    row.gid = reader.uint();
    row.mtimeSec = reader.int();
    row.mtimeNsec = reader.uint();
    if (row.uid > MAX_ID || row.gid > MAX_ID) throw new GarbledInput("bad owner in list");
    if (row.mode > 0o7777 || row.mtimeNsec > 999_999_999) throw new GarbledInput("bad mode or time in list");
    if (type === EntryType.file) {
      row.size = reader.uint();
      if (row.size > 0) row.content = reader.raw(32);
    } else if (type === EntryType.symlink) {
      row.target = reader.latin1();
      if (row.target === "" || row.target.length > MAX_KEY_BYTES || row.target.includes("\0")) {
        throw new GarbledInput("bad link target in list");
      }
    } else if (type === EntryType.charDevice || type === EntryType.blockDevice) {
      row.major = reader.uint();
      row.minor = reader.uint();
      if (row.major > MAX_ID || row.minor > MAX_ID) throw new GarbledInput("bad device number in list");
    }
    if ((flags & RowFlag.linked) !== 0) {
      row.group = reader.latin1();
      if (!isSafeKey(row.group)) throw new GarbledInput("unsafe link group in list");
    }
    if ((flags & RowFlag.xattrs) !== 0) row.xattrs = reader.blob();
  }
  if (withState) {
    const state = {
      ctimeSec: reader.int(),
      ctimeNsec: reader.uint(),
      inode: reader.uint(),
      links: reader.uint(),
    };
    if (state.inode !== 0) row.state = state;
  }
  return row;
}
