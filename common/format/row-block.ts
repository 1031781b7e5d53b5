/**
 * The blocks that rows of file lists travel and rest in.
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
import { ENTRY_FLAGS, EntryType, emptyRow, type Row, RowFlag } from "./row.js";
import { ByteReader, ByteWriter, GarbledInput } from "./varint.js";
import { Compressor, compressBound, decompressInto } from "./zstd.js";

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

/** What blocks are compressed into, before they are copied out at their length. */
const scratch = Buffer.allocUnsafeSlow(HEADER_BYTES + compressBound(2 * BLOCK_TARGET_BYTES));

function roomFor(bytes: number): Buffer {
  return bytes <= scratch.length ? scratch : Buffer.allocUnsafeSlow(bytes);
}

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

  /** As `add`, for a row that `writeRow` wrote for itself: without a row before it, and with or without state as here. */
  addWritten(row: Buffer): void {
    this.#out.raw(row);
    // What the next row says of it is that nothing is shared.
    this.#previous = "";
    this.#rows++;
  }

  finish(): Buffer {
    return Buffer.from(this.finishInPlace());
  }

  /** As `finish`; what is returned is valid until the next block of any writer of this thread. */
  finishInPlace(): Buffer {
    const raw = this.#out.bytes();
    const block = roomFor(HEADER_BYTES + compressBound(raw.length));
    const length = compressor.into(block.subarray(HEADER_BYTES), raw);
    block[0] = 1;
    block[1] = 1 | (this.#withState ? 2 : 0);
    block.writeUInt32LE(this.#rows, 2);
    block.writeUInt32LE(raw.length, 6);
    this.#out.clear();
    this.#rows = 0;
    this.#previous = "";
    return block.subarray(0, HEADER_BYTES + length);
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
  let flags = row.flags & ENTRY_FLAGS;
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
  if (flags > 255) throw new GarbledInput("unknown row flags");
  row.flags = flags & ENTRY_FLAGS;
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
