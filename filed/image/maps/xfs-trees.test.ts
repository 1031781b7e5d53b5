import assert from "node:assert/strict";
import { test } from "node:test";
import { freeSpace } from "./free-space.js";
import { BytesSource, MIB } from "./testing.js";

const BLOCK = 512;
const SIZE = 20 * MIB;
const LOG_AT = 3000;
const LOG_BLOCKS = 100;
const UUID = Buffer.from("0123456789abcdef");
const RECORDS = (BLOCK - 16) / 8;
const CHILDREN = Math.floor((BLOCK - 16) / 12);

type Extent = readonly [start: number, length: number];

/** An xfs of version 4 by hand: one group, no inodes, and any free extents, in trees of as many levels as they need. */
class HandMade {
  readonly bytes = Buffer.alloc(SIZE);
  private next = 10;

  constructor(readonly extents: readonly Extent[]) {
    this.writeSuper();
    this.writeLog();
    const byBlock = this.writeTree(0x41425442, extents);
    const bySize = this.writeTree(
      0x41425443,
      [...extents].sort((a, b) => a[1] - b[1] || a[0] - b[0]),
    );
    const header = this.block(1);
    header.writeUInt32BE(0x58414746, 0);
    header.writeUInt32BE(1, 4);
    header.writeUInt32BE(SIZE / BLOCK, 12);
    for (const [index, { root, levels }] of [byBlock, bySize].entries()) {
      header.writeUInt32BE(root, 16 + index * 4);
      header.writeUInt32BE(levels, 28 + index * 4);
    }
    header.writeUInt32BE(
      extents.reduce((sum, [, length]) => sum + length, 0),
      52,
    );
  }

  block(number: number): Buffer {
    return this.bytes.subarray(number * BLOCK, (number + 1) * BLOCK);
  }

  /** The root of the tree by block, and its level. */
  get root(): { number: number; block: Buffer } {
    const number = this.block(1).readUInt32BE(16);
    return { number, block: this.block(number) };
  }

  child(block: Buffer, index: number): Buffer {
    return this.block(block.readUInt32BE(16 + CHILDREN * 8 + index * 4));
  }

  note(): string {
    return freeSpace(new BytesSource(this.bytes)).notes[0]!;
  }

  private writeSuper(): void {
    const super_ = this.block(0);
    super_.write("XFSB");
    super_.writeUInt32BE(BLOCK, 4);
    super_.writeUInt32BE(SIZE / BLOCK, 12);
    UUID.copy(super_, 32);
    super_.writeUInt32BE(LOG_AT, 52);
    super_.writeUInt32BE(SIZE / BLOCK, 84);
    super_.writeUInt32BE(1, 88);
    super_.writeUInt32BE(LOG_BLOCKS, 96);
    super_.writeUInt16BE(0xb4a4, 100);
    super_.writeUInt16BE(BLOCK, 102);
    super_[124] = 16;
  }

  /** One record of the first round: unmounted. */
  private writeLog(): void {
    const head = this.block(LOG_AT);
    head.writeUInt32BE(0xfeedbabe, 0);
    head.writeUInt32BE(1, 4);
    head.writeUInt32BE(2, 8);
    head.writeUInt32BE(BLOCK, 12);
    head.writeUInt32BE(1, 16);
    head.writeUInt32BE(1, 24);
    head.writeUInt32BE(1, 40);
    head.writeUInt32BE(1, 300);
    UUID.copy(head, 304);
    head.writeUInt32BE(32768, 320);
    this.block(LOG_AT + 1).writeUInt32BE(1, 0);
    this.block(LOG_AT + 1)[9] = 0x20;
  }

  private writeTree(magic: number, extents: readonly Extent[]): { root: number; levels: number } {
    const make = (level: number, count: number): Buffer => {
      const block = this.block(this.next);
      block.writeUInt32BE(magic, 0);
      block.writeUInt16BE(level, 4);
      block.writeUInt16BE(count, 6);
      this.next += 1;
      return block;
    };
    let row: number[] = [];
    for (let at = 0; at === 0 || at < extents.length; at += RECORDS) {
      row.push(this.next);
      const records = extents.slice(at, at + RECORDS);
      const leaf = make(0, records.length);
      for (const [index, [start, length]] of records.entries()) {
        leaf.writeUInt32BE(start, 16 + index * 8);
        leaf.writeUInt32BE(length, 20 + index * 8);
      }
    }
    let level = 0;
    for (; row.length > 1; level++) {
      const upper: number[] = [];
      for (let at = 0; at < row.length; at += CHILDREN) {
        upper.push(this.next);
        const children = row.slice(at, at + CHILDREN);
        const node = make(level + 1, children.length);
        for (const [index, child] of children.entries())
          node.writeUInt32BE(child, 16 + CHILDREN * 8 + index * 4);
      }
      row = upper;
    }
    return { root: row[0]!, levels: level + 1 };
  }
}

const MANY: readonly Extent[] = Array.from({ length: 6000 }, (_, index) => [
  4000 + index * 5,
  1 + (index % 4),
]);

test("trees of one to three levels give their extents in order", () => {
  for (const count of [0, 1, RECORDS, RECORDS + 1, 2000, 6000]) {
    const made = new HandMade(MANY.slice(0, count));
    const found = freeSpace(new BytesSource(made.bytes));
    assert.match(found.notes[0]!, /free$/);
    assert.deepEqual(
      [...found.ranges(BLOCK)],
      made.extents.map(([start, length]) => ({ start: start * BLOCK, end: (start + length) * BLOCK })),
    );
  }
});

test("trees that are none end in a doubt: rings, twins, disorder, foreign blocks, wrong sums", () => {
  const damages: readonly (readonly [name: string, damage: (made: HandMade) => void])[] = [
    ["a root that is its own child", ({ root }) => root.block.writeUInt32BE(root.number, 16 + CHILDREN * 8)],
    ["more levels than there are", ({ bytes }) => bytes.writeUInt32BE(9, BLOCK + 28)],
    ["endless levels", ({ bytes }) => bytes.writeUInt32BE(0xffffffff, BLOCK + 28)],
    [
      "the same child twice",
      ({ root }) => root.block.copyWithin(16 + CHILDREN * 8 + 4, 16 + CHILDREN * 8, 20 + CHILDREN * 8),
    ],
    ["an empty child", (made) => made.child(made.child(made.root.block, 0), 0).writeUInt16BE(0, 6)],
    [
      "more records than fit",
      (made) => made.child(made.child(made.root.block, 0), 0).writeUInt16BE(0xffff, 6),
    ],
    [
      "an extent beyond the group",
      (made) => made.child(made.child(made.root.block, 0), 0).writeUInt32BE(0xffff0000, 20),
    ],
    ["an extent of nothing", (made) => made.child(made.child(made.root.block, 0), 0).writeUInt32BE(0, 20)],
    [
      "an extent moved where a file is",
      (made) => made.child(made.child(made.root.block, 0), 3).writeUInt32BE(4018, 16),
    ],
    [
      "two extents changed places",
      (made) => made.child(made.child(made.root.block, 0), 0).writeUInt32BE(4000, 24),
    ],
    ["a child beyond the group", ({ root }) => root.block.writeUInt32BE(0xffffffff, 16 + CHILDREN * 8)],
    ["a child of another kind", ({ root, bytes }) => bytes.writeUInt32BE(root.number, BLOCK + 20)],
    ["no levels", ({ bytes }) => bytes.writeUInt32BE(0, BLOCK + 28)],
    ["a sum that is wrong", ({ bytes }) => bytes.writeUInt32BE(1, BLOCK + 52)],
    ["another group's header", ({ bytes }) => bytes.writeUInt32BE(1, BLOCK + 8)],
  ];
  for (const [name, damage] of damages) {
    const made = new HandMade(MANY);
    damage(made);
    assert.match(made.note(), /xfs: read whole \(damaged/, name);
  }
});

test("a log that does not end in its unmount record is not empty", () => {
  const log = (made: HandMade, block: number) => made.block(LOG_AT + block);
  const changes: readonly (readonly [name: string, change: (made: HandMade) => void])[] = [
    ["never written", (made) => log(made, 0).fill(0)],
    ["another mark", (made) => log(made, 1).writeUInt8(2, 9)],
    ["a block behind it", (made) => log(made, 2).writeUInt32BE(1, 0)],
    ["another file system's", (made) => log(made, 0).writeUInt32BE(1, 304)],
    ["written round without an end", (made) => log(made, LOG_BLOCKS - 1).writeUInt32BE(1, 0)],
    ["a round too many", (made) => log(made, 2).writeUInt32BE(2, 0)],
    ["elsewhere", (made) => log(made, 0).writeUInt32BE(7, 20)],
    ["in another byte order", (made) => log(made, 0).writeUInt32BE(2, 300)],
    ["longer than a record", (made) => log(made, 0).writeUInt32BE(0xffffffff, 12)],
    ["with impossible headers", (made) => log(made, 0).writeUInt32BE(0xffffffff, 320)],
  ];
  for (const [name, change] of changes) {
    const made = new HandMade(MANY.slice(0, 5));
    change(made);
    assert.match(made.note(), /its log is not empty/, name);
  }
});
