/**
 * Is anything in the log of an xfs that is not yet in its place? The log is a ring of records of 512-byte blocks; the
 * first word of every block is the number of the round it was written in, so the place where that number drops is the
 * end of what was written (the head). Sources: "XFS Algorithms & Data Structures", chapter "Journaling Log", and
 * xfs_logprint(8).
 *
 * Two states are good. After an unmount the last record says so. After a freeze (a guest's agent, LVM, fsfreeze)
 * everything is in its place and the log holds nothing but copies of the superblock, which the mount of a snapshot then
 * writes again: no matter to what is free. The head is found by halving; blocks written out of order before a crash may
 * mislead it, but then no such record ends there, or one of the next round is missed that recovery, too, would drop.
 */
import { type Area, NoMap } from "./source.js";
import type { XfsSuper } from "./xfs-super.js";

const BLOCK = 512;
const RECORD_MAGIC = 0xfeedbabe;
const OP_BYTES = 12;
const OP = { start: 0x1, commit: 0x2, unmount: 0x20 } as const;
const TRANSACTION_MAGIC = 0x5452414e;
const ITEM_BUFFER = 0x123c;
const FORMAT_LITTLE_ENDIAN = 1;

/** Largest record: 256 KiB behind up to 8 blocks of header. */
const MAX_DATA_BYTES = 256 * 1024;
const MAX_RECORD_BLOCKS = MAX_DATA_BYTES / BLOCK + 8;
/** What a freeze leaves behind is a few blocks; more is not looked at. */
const MAX_RECORDS = 16;

interface Position {
  readonly cycle: number;
  readonly block: number;
}

interface LogRecord {
  readonly at: Position;
  readonly tail: Position;
  /** Blocks with header and data; the next record begins behind them. */
  readonly blocks: number;
  readonly operations: number;
  readonly data: Buffer;
}

/** Does it hold nothing that a mount would replay, but for copies of the superblock? @throws NoMap when it is damaged */
export function isXfsLogSettled(area: Area, super_: XfsSuper): boolean {
  return new XfsLog(area, super_).isSettled();
}

/** @throws NoMap unless the log is empty but for copies of the superblock */
export function checkXfsLog(area: Area, super_: XfsSuper): void {
  if (!isXfsLogSettled(area, super_)) {
    throw new NoMap("in use when it was copied (its log is not empty)");
  }
}

class XfsLog {
  private readonly blocks: number;

  constructor(
    private readonly area: Area,
    private readonly super_: XfsSuper,
  ) {
    this.blocks = Math.floor(super_.logSize / BLOCK);
  }

  isSettled(): boolean {
    const head = this.head();
    if (head === undefined) return false;
    const last = this.lastBefore(head);
    if (last === undefined || (last.at.block + last.blocks) % this.blocks !== head) return false;
    if (isUnmount(last)) return true;
    let record = this.record(last.tail);
    for (let count = 0; count < MAX_RECORDS && record !== undefined; count++) {
      if (!touchesSuperblockOnly(record)) return false;
      const next = record.at.block + record.blocks;
      if (record.at.block === last.at.block) return record.at.cycle === last.at.cycle;
      const cycle = record.at.cycle + (next >= this.blocks ? 1 : 0);
      record = this.record({ cycle, block: next % this.blocks });
    }
    return false;
  }

  /** The first block that is older than the ones before it, 0 where all are of one round; undefined: cannot be told. */
  private head(): number | undefined {
    const newest = this.cycle(0);
    if (this.blocks < 2 || newest === 0) return undefined;
    if (this.cycle(this.blocks - 1) === newest) return 0;
    let low = 0;
    let high = this.blocks - 1;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.cycle(middle) === newest) low = middle;
      else high = middle;
    }
    return this.cycle(high) === newest - 1 ? high : undefined;
  }

  private lastBefore(head: number): LogRecord | undefined {
    for (let back = 1; back <= Math.min(MAX_RECORD_BLOCKS, this.blocks); back++) {
      const block = (head - back + this.blocks) % this.blocks;
      const words = this.read(block, 1);
      if (words.readUInt32BE(0) !== RECORD_MAGIC) continue;
      return this.record({ cycle: words.readUInt32BE(4), block });
    }
    return undefined;
  }

  /** The record that begins there; undefined when there is none, or it is not whole. */
  private record(at: Position): LogRecord | undefined {
    if (at.block >= this.blocks) return undefined;
    const head = this.read(at.block, 1);
    const length = head.readUInt32BE(12);
    const isRecord =
      head.readUInt32BE(0) === RECORD_MAGIC &&
      head.readUInt32BE(16) === at.cycle &&
      head.readUInt32BE(20) === at.block &&
      head.readUInt32BE(4) === at.cycle &&
      length <= MAX_DATA_BYTES &&
      head.readUInt32BE(300) === FORMAT_LITTLE_ENDIAN &&
      head.compare(this.super_.uuid, 0, 16, 304, 320) === 0;
    if (!isRecord) return undefined;
    const headerBlocks = headerBlocksOf(head);
    const dataBlocks = Math.ceil(length / BLOCK);
    if (headerBlocks > 8 || headerBlocks + dataBlocks > this.blocks) return undefined;
    const data = this.data(at, headerBlocks, dataBlocks);
    return (
      data && {
        at,
        tail: { cycle: head.readUInt32BE(24), block: head.readUInt32BE(28) },
        blocks: headerBlocks + dataBlocks,
        operations: head.readUInt32BE(40),
        data: data.subarray(0, length),
      }
    );
  }

  /** The first word of each block was moved into the header to make place for the round's number. */
  private data(at: Position, headerBlocks: number, dataBlocks: number): Buffer | undefined {
    const headers = this.read(at.block, headerBlocks);
    const data = this.read((at.block + headerBlocks) % this.blocks, dataBlocks);
    for (let index = 0; index < dataBlocks; index++) {
      const isWrapped = at.block + headerBlocks + index >= this.blocks;
      if (data.readUInt32BE(index * BLOCK) !== at.cycle + (isWrapped ? 1 : 0)) return undefined;
      const word = wordPlace(index);
      if (word + 4 > headers.length) return undefined;
      headers.copy(data, index * BLOCK, word, word + 4);
    }
    return data;
  }

  private cycle(block: number): number {
    const words = this.read(block, 1);
    return words.readUInt32BE(0) === RECORD_MAGIC ? words.readUInt32BE(4) : words.readUInt32BE(0);
  }

  /** Blocks of the ring. */
  private read(block: number, count: number): Buffer {
    const first = Math.min(count, this.blocks - block);
    const head = this.area.read(this.super_.logStart + block * BLOCK, first * BLOCK);
    if (first === count) return head;
    return Buffer.concat([head, this.area.read(this.super_.logStart, (count - first) * BLOCK)]);
  }
}

/** Version 2 has a further header block for every 32 KiB of its buffer. */
function headerBlocksOf(head: Buffer): number {
  return head.readUInt32BE(8) & 2 ? Math.max(1, Math.ceil(head.readUInt32BE(320) / 32768)) : 1;
}

/** Where in the headers the first word of a data block is: 64 in each, in further ones behind their own round number. */
function wordPlace(index: number): number {
  const header = Math.floor(index / 64);
  return header * BLOCK + (header === 0 ? 44 : 4) + (index % 64) * 4;
}

function isUnmount({ operations, data }: LogRecord): boolean {
  return operations === 1 && data.length >= OP_BYTES && (data[9]! & OP.unmount) !== 0;
}

/**
 * Do all transactions of the record begin and end in it, and change no block but the superblock? Each is a start, a
 * header, per item a format region that says how many regions the item has and which block it is of, and a commit.
 */
function touchesSuperblockOnly(record: LogRecord): boolean {
  if (isUnmount(record)) return true;
  const { data, operations } = record;
  let at = 0;
  let isOpen = false;
  let regions = 0;
  for (let count = 0; count < operations; count++) {
    if (at + OP_BYTES > data.length) return false;
    const length = data.readUInt32BE(at + 4);
    const flags = data[at + 9]!;
    const body = data.subarray(at + OP_BYTES, at + OP_BYTES + length);
    if (body.length !== length) return false;
    at += OP_BYTES + length;
    if (flags === OP.start && !isOpen && length === 0) isOpen = true;
    else if (flags === OP.commit && isOpen && regions === 0 && length === 0) isOpen = false;
    else if (flags !== 0 || !isOpen) return false;
    else if (regions > 0) regions -= 1;
    else if (length < 16) return false;
    else if (body.readUInt32LE(0) !== TRANSACTION_MAGIC) {
      const isOfSuperblock = body.readUInt16LE(0) === ITEM_BUFFER && body.readBigUInt64LE(8) === 0n;
      regions = body.readUInt16LE(2) - 1;
      if (!isOfSuperblock || regions < 0) return false;
    }
  }
  return !isOpen;
}
