import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../../test/helpers/random.js";
import { freeSpace } from "./free-space.js";
import type { ByteRange } from "./ranges.js";
import type { BlockSource } from "./source.js";
import { emptyImage, hasTools, ImageFile, MIB, Patched, sampleTree, tool, toolWithInput } from "./testing.js";

/** Name, size in MiB, is all of it under checksums, program, arguments. */
const KINDS: readonly (readonly [name: string, size: number, isChecked: boolean, ...command: string[]])[] = [
  ["ext2", 48, false, "mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-d"],
  ["ext4 with checksums", 64, true, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-d"],
  [
    "ext4, bigalloc, meta_bg",
    64,
    true,
    "mke2fs",
    "-q",
    "-F",
    "-t",
    "ext4",
    "-O",
    "bigalloc,meta_bg,^resize_inode",
    "-d",
  ],
  [
    "ext4, uninit_bg",
    64,
    false,
    "mke2fs",
    "-q",
    "-F",
    "-t",
    "ext4",
    "-b",
    "1024",
    "-O",
    "^metadata_csum,uninit_bg",
    "-d",
  ],
  ["xfs 5", 96, true, "mkfs.xfs", "-q", "-f"],
  ["xfs 4", 96, false, "mkfs.xfs", "-q", "-f", "-m", "crc=0"],
];

/** All ranges, having checked that they ascend, stay on the disk, and that the report is one line a partition. */
function look(source: BlockSource, blockSize: number): ByteRange[] {
  const { notes, ranges, freeBytes } = freeSpace(source);
  assert.ok(notes.length <= 1200 && notes.every((note) => note.length < 300 && !note.includes("\n")));
  const found: ByteRange[] = [];
  let last = -1;
  let total = 0;
  for (const range of ranges(blockSize)) {
    assert.ok(range.start > last && range.end > range.start && range.end <= source.size);
    last = range.end;
    total += range.end - range.start;
    found.push(range);
  }
  assert.ok(blockSize === 512 ? total === freeBytes : total <= freeBytes);
  return found;
}

function isWithin(ranges: readonly ByteRange[], of: readonly ByteRange[]): boolean {
  let index = 0;
  return ranges.every(({ start, end }) => {
    while (index < of.length && of[index]!.end < end) index += 1;
    return index < of.length && of[index]!.start <= start;
  });
}

function makeDisk([, size, , ...command]: (typeof KINDS)[number]): string {
  const file = emptyImage(size * MIB);
  tool(command[0]!, ...command.slice(1), ...(command[0] === "mke2fs" ? [sampleTree()] : []), file);
  return file;
}

const RARE_WORDS = [0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x10000, 0xffff];

function bitFlipped(random: Random, old: Buffer): Buffer {
  return Buffer.from([old[0]! ^ (1 << random.below(8))]);
}

/** Something to put in place of `old`: a bit or a byte changed, an odd number, or a copy of other metadata. */
function mutation(random: Random, old: Buffer, other: Buffer): Buffer {
  const kind = random.below(4);
  if (kind === 0) return bitFlipped(random, old);
  if (kind === 1) return Buffer.from([random.below(256)]);
  if (kind === 2) return other;
  const word = Buffer.alloc(4);
  word.writeUInt32LE(random.pick(RARE_WORDS));
  return random.below(2) === 0 ? word : word.reverse();
}

function bytesAt(source: BlockSource, at: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  source.read(buffer, at);
  return buffer;
}

for (const [index, kind] of KINDS.entries()) {
  test(`${kind[0]}: no damage to what is read does more than cost time`, (t) => {
    if (!hasTools(t, kind[3]!)) return;
    const source = new ImageFile(makeDisk(kind));
    const isChecked = kind[2];
    t.after(() => source.close());
    source.log = [];
    const whole = look(source, 512);
    assert.ok(whole.length > 0);
    // Without the search for zfs, which reads much that says nothing.
    const places = source.log.filter(({ start, end }) => end - start <= 65536);
    const maxReads = 4 * source.reads + 1000;
    source.log = undefined;
    const random = new Random(index + 1);
    const place = () => {
      const { start, end } = random.pick(places);
      const reach = random.below(2) === 0 ? 1024 : end - start;
      return start + random.below(Math.max(1, Math.min(reach, end - start - 4)));
    };
    for (let round = 0; round < 400; round++) {
      const damaged = new Patched(source, maxReads);
      const changes = round % 2 === 0 ? 1 : 1 + random.below(6);
      const applied: string[] = [];
      for (let change = 0; change < changes; change++) {
        const at = place();
        const old = bytesAt(source, at, 4);
        // Without checksums two changes may make up for each other; one bit never does.
        const isBitOnly = changes === 1 && !isChecked;
        const bytes = isBitOnly
          ? bitFlipped(random, old)
          : mutation(random, old, bytesAt(source, place(), 64));
        applied.push(`${at}: ${bytes.toString("hex")}`);
        damaged.patch(at, bytes);
      }
      const ranges = look(damaged, 512);
      if (changes === 1) assert.ok(isWithin(ranges, whole), applied.join());
    }
  });
}

test("damaged partition tables", (t) => {
  if (!hasTools(t, "sfdisk")) return;
  for (const [seed, script] of [
    "label: gpt\n,1M\n,2M\n,3M\n",
    "label: dos\n,1M\n,9M,5\n,1M\n,1M\n,1M\n",
  ].entries()) {
    const file = emptyImage(16 * MIB);
    toolWithInput(script, "sfdisk", "-q", file);
    const source = new ImageFile(file);
    t.after(() => source.close());
    source.log = [];
    look(source, 512);
    const tables = source.log.filter(({ start, end }) => end - start <= 16384 && start < MIB);
    const random = new Random(seed);
    const place = () => {
      const { start, end } = random.pick(tables);
      return start + random.below(Math.max(1, end - start - 4));
    };
    for (let round = 0; round < 250; round++) {
      const damaged = new Patched(source, 20_000);
      for (let change = random.below(4); change >= 0; change--) {
        const at = place();
        damaged.patch(at, mutation(random, bytesAt(source, at, 4), bytesAt(source, place(), 64)));
      }
      look(damaged, 4096);
    }
  }
});
