import assert from "node:assert/strict";
import { openSync, writeSync } from "node:fs";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { loopDevice } from "../../../test/helpers/loop-device.js";
import { freeSpace } from "./free-space.js";
import { type Partition, partitions } from "./partitions.js";
import {
  BytesSource,
  emptyImage,
  freeOf,
  hasTools,
  ImageFile,
  MIB,
  Patched,
  tool,
  toolWithInput,
} from "./testing.js";

function partitionsOf(file: string): Partition[] {
  const source = new ImageFile(file);
  try {
    return partitions(source);
  } finally {
    source.close();
  }
}

interface SfdiskTable {
  readonly label: string;
  readonly id: string;
  readonly sectorsize: number;
  readonly partitions: readonly {
    node: string;
    start: number;
    size: number;
    type: string;
    uuid?: string;
    name?: string;
  }[];
}

/** What sfdisk says; an extended partition is none. */
function bySfdisk(device: string): Partition[] {
  const text = tool("sfdisk", "--json", device);
  const table = (JSON.parse(text) as { partitiontable: SfdiskTable }).partitiontable;
  return table.partitions
    .filter(({ type }) => !["5", "f", "85"].includes(type))
    .map(({ node, start, size, uuid, name }) => {
      const number = Number(/(\d+)$/.exec(node)![1]);
      const inDos = `${table.id.slice(2)}-${number.toString(16).padStart(2, "0")}`;
      return {
        number,
        start: start * table.sectorsize,
        end: (start + size) * table.sectorsize,
        ...(table.label === "dos" ? { uuid: inDos } : { uuid: uuid!.toLowerCase(), label: name ?? "" }),
      };
    })
    .sort((a, b) => a.start - b.start);
}

const LOGICAL = "label: dos\n2048,10M,83\n,20M,82\n,60M,f\n,5M,83\n,6M,83\n,7M,83\n,8M,83\n,,83\n";
const GPT =
  'label: gpt\nsize=10M,name="Größe ☃"\n,20M\nsize=30M,name="a thirty-six character long name 1234"\n7: start=409600,size=4M\n';

for (const [name, script] of [
  ["MBR with logical partitions", LOGICAL],
  ["GPT", GPT],
] as const) {
  test(`${name}: as sfdisk sees it`, (t) => {
    if (!hasTools(t, "sfdisk")) return;
    const file = emptyImage(300 * MIB);
    toolWithInput(script, "sfdisk", "-q", file);
    const found = partitionsOf(file);
    assert.ok(found.length >= 4);
    assert.deepEqual(found, bySfdisk(file));
  });
}

test("sectors of 4096 bytes, by sfdisk and sgdisk", (t) => {
  if (!hasTools(t, "sfdisk", "sgdisk", "mke2fs")) return;
  const file = emptyImage(300 * MIB);
  const device = loopDevice(t, file, 4096);
  if (device === undefined) return;
  tool("sgdisk", "-n", "1:0:+20M", "-n", "5:0:+30M", "-n", "2:0:0", device);
  assert.deepEqual(partitionsOf(file), bySfdisk(device));
  tool("sgdisk", "-Z", device);
  // Nothing in a table of MBR says what its sectors are; what lies in the partitions does.
  toolWithInput(
    "label: dos\nlabel-id: 0xabc12\n256,10M,83\n,100M,5\n,5M,83\n,5M,83\n",
    "sfdisk",
    "-q",
    device,
  );
  const [first] = bySfdisk(device);
  tool("mke2fs", "-q", "-F", "-E", `offset=${first!.start}`, file, "10M");
  assert.deepEqual(partitionsOf(file), bySfdisk(device));
  assert.match(freeOf(file).notes[0]!, /^partition 1, ext2: .* free$/);
});

test("a damaged GPT: the copy at the end, and nothing without it", (t) => {
  if (!hasTools(t, "sgdisk", "sfdisk")) return;
  const file = emptyImage(100 * MIB);
  tool("sgdisk", "-n", "1:0:+20M", "-n", "3:0:+30M", file);
  const whole = partitionsOf(file);
  assert.deepEqual(whole, bySfdisk(file));
  const source = new ImageFile(file);
  t.after(() => source.close());
  const flip = Buffer.from([0x55]);
  // The header itself, one of its fields, and an entry.
  for (const at of [512, 512 + 40, 1024 + 33]) {
    const first = new Patched(source).patch(at, flip);
    assert.deepEqual(partitions(first), whole, `byte ${at}`);
    const both = first.patch(source.size - 512, flip);
    assert.match(partitions(both)[0]!.doubt!, /damaged partition table/, `byte ${at}`);
  }
});

/** An MBR entry, in sectors. */
function entry(type: number, start: number, count: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes[4] = type;
  bytes.writeUInt32LE(start, 8);
  bytes.writeUInt32LE(count, 12);
  return bytes;
}

function table(...entries: Buffer[]): Buffer {
  const sector = Buffer.alloc(512);
  for (const [index, one] of entries.entries()) one.copy(sector, 446 + index * 16);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

function disk(...sectors: (readonly [lba: number, sector: Buffer])[]): BytesSource {
  const bytes = Buffer.alloc(MIB);
  for (const [lba, sector] of sectors) sector.copy(bytes, lba * 512);
  return new BytesSource(bytes);
}

const doubtsOf = (source: BytesSource): (string | undefined)[] =>
  partitions(source).map(({ doubt }) => doubt);

test("hostile tables of MBR are doubted, not believed", () => {
  const beyond = disk([0, table(entry(0x83, 10, 10), entry(0x83, 100, 0xffffffff))]);
  assert.deepEqual(doubtsOf(beyond), [undefined, "reaches beyond the disk"]);
  const overlap = disk([
    0,
    table(entry(0x83, 10, 500), entry(0x83, 20, 5), entry(0x83, 30, 5), entry(0x83, 600, 5)),
  ]);
  assert.equal(doubtsOf(overlap).filter((doubt) => doubt?.startsWith("overlaps")).length, 3);
  const twice = disk([0, table(entry(0x83, 10, 5), entry(5, 20, 50), entry(0xf, 90, 50))]);
  assert.deepEqual(doubtsOf(twice), ["more than one extended partition"]);
  const broken = "broken chain of logical partitions";
  const loop = disk(
    [0, table(entry(0x83, 10, 5), entry(5, 100, 900))],
    [100, table(entry(0x83, 5, 5), entry(5, 100, 50))],
    [200, table(entry(0x83, 5, 5), entry(5, 0, 50))],
  );
  assert.deepEqual(doubtsOf(loop), [undefined, broken, broken]);
  const outside = disk(
    [0, table(entry(5, 100, 900))],
    [100, table(entry(0x83, 5, 5), entry(5, 0xfffffff0, 5))],
  );
  assert.deepEqual(doubtsOf(outside), [broken]);
  const chain: (readonly [number, Buffer])[] = [];
  for (let lba = 100; lba < 1900; lba += 10)
    chain.push([lba, table(entry(0x83, 1, 5), entry(5, lba - 90, 10))]);
  const long = doubtsOf(disk([0, table(entry(5, 100, 1900))], ...chain));
  assert.ok(long.length <= 128 && long.every((doubt) => doubt === broken));
  assert.deepEqual(doubtsOf(disk([0, table(entry(0xee, 1, 0xffffffff))])), ["damaged partition table (GPT)"]);
});

test("something over the whole disk beside its partitions: nothing is left out", () => {
  for (const [name, at, magic] of [
    ["RAID member", 4096, "fc4e2ba9"],
    ["swap", 4086, Buffer.from("SWAPSPACE2").toString("hex")],
    ["LVM physical volume", 512, Buffer.from("LABELONE").toString("hex")],
  ] as const) {
    const source = disk([0, table(entry(0x83, 100, 100))]);
    Buffer.from(magic, "hex").copy(source.bytes, at);
    assert.deepEqual(doubtsOf(source), [`the whole disk looks like ${name}`]);
  }
});

/** A GPT whose checksums are right, whatever it says. */
function gpt(
  count: number,
  entryBytes: number,
  entries: readonly (readonly [first: bigint, last: bigint])[],
): BytesSource {
  const source = disk([0, table(entry(0xee, 1, 2047))]);
  const array = Buffer.alloc(Math.min(count * entryBytes, 32768));
  for (const [index, [first, last]] of entries.entries()) {
    array[index * entryBytes] = 1;
    array.writeBigUInt64LE(first, index * entryBytes + 32);
    array.writeBigUInt64LE(last, index * entryBytes + 40);
  }
  array.copy(source.bytes, 1024);
  const header = Buffer.alloc(92);
  header.write("EFI PART", "latin1");
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(34n, 40);
  header.writeBigUInt64LE(2014n, 48);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(count, 80);
  header.writeUInt32LE(entryBytes, 84);
  header.writeUInt32LE(crc32(array), 88);
  header.writeUInt32LE(crc32(header), 16);
  header.copy(source.bytes, 512);
  return source;
}

test("hostile GPTs are doubted, not believed", () => {
  const good = [40n, 49n] as const;
  const uuid = "00000000-0000-0000-0000-000000000000";
  assert.deepEqual(partitions(gpt(128, 128, [good])), [
    { number: 1, start: 20480, end: 25600, uuid, label: "" },
  ]);
  const limits = "lies outside of what its table allows";
  const outside = gpt(128, 128, [good, [1900n, 1n << 40n], [60n, 55n], [2n, 3n], [100n, 200n], [200n, 300n]]);
  const overlaps = (number: number) => `overlaps partition ${number}`;
  // By their start: 4, 1, 3, 5, 6, 2.
  assert.deepEqual(doubtsOf(outside), [limits, undefined, limits, overlaps(6), overlaps(5), limits]);
  const damaged = ["damaged partition table (GPT)"];
  assert.deepEqual(doubtsOf(gpt(128, 128, [[1n, (1n << 63n) + 1n]])), damaged);
  assert.deepEqual(doubtsOf(gpt(0xffffffff, 128, [])), damaged);
  assert.deepEqual(doubtsOf(gpt(128, 0x80000000, [])), damaged);
  assert.deepEqual(doubtsOf(gpt(128, 8, [])), damaged);
});

test("a disk without a table is one partition; tiny and empty disks are no trouble", () => {
  for (const size of [0, 1, 511, 512, 4096, 100_000]) {
    assert.deepEqual(partitions(new BytesSource(Buffer.alloc(size))), [{ number: 0, start: 0, end: size }]);
    assert.deepEqual([...freeSpace(new BytesSource(Buffer.alloc(size))).ranges(4096)], []);
  }
});

test("partitions with file systems: free ranges in order, one line about each", (t) => {
  if (!hasTools(t, "sfdisk", "mke2fs", "mkswap", "mkfs.xfs")) return;
  const file = emptyImage(600 * MIB);
  toolWithInput("label: gpt\n,64M\n,64M\n,320M\n,64M\n", "sfdisk", "-q", file);
  const [one, two, three] = partitionsOf(file);
  const xfs = emptyImage(three!.end - three!.start);
  tool("mkfs.xfs", "-q", "-f", xfs);
  tool("dd", `if=${xfs}`, `of=${file}`, "bs=1M", `seek=${three!.start / MIB}`, "conv=notrunc,sparse");
  tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", `offset=${one!.start}`, file, "64M");
  const swap = emptyImage(64 * MIB);
  tool("mkswap", swap);
  tool("dd", `if=${swap}`, `of=${file}`, "bs=1M", `seek=${two!.start / MIB}`, "conv=notrunc,sparse");
  const { notes, ranges } = freeOf(file, 65536);
  assert.deepEqual(
    notes.map((note) => note.replace(/[\d.]+ MB/g, "N")),
    [
      "partition 1, ext4: N of N free",
      "partition 2, swap: read whole (no map of its free space)",
      "partition 3, xfs: N of N free",
      "partition 4: read whole (unknown file system)",
    ],
  );
  let last = 0;
  for (const { start, end } of ranges) {
    assert.ok(start > last && end > start && start % 65536 === 0 && end % 65536 === 0);
    assert.ok([one!, three!].some((partition) => start >= partition.start && end <= partition.end));
    last = end;
  }
  // A file system from before there were partitions.
  tool("mke2fs", "-q", "-F", "-b", "1024", file, "1M");
  const fd = openSync(file, "r+");
  writeSync(fd, table(entry(0x83, one!.start / 512, 64 * 2048)), 0, 512, 0);
  assert.deepEqual(freeOf(file).notes, ["partition 1: read whole (the whole disk looks like ext)"]);
});

test("two things in one place: read whole", (t) => {
  if (!hasTools(t, "mke2fs")) return;
  const file = emptyImage(64 * MIB);
  tool("mke2fs", "-q", "-F", file);
  const source = new ImageFile(file);
  t.after(() => source.close());
  const noteWith = (at: number, bytes: Buffer) => freeSpace(new Patched(source).patch(at, bytes)).notes[0]!;
  assert.match(noteWith(source.size, Buffer.alloc(0)), /free$/);
  assert.match(noteWith(512, Buffer.from("LABELONE")), /looks like ext and LVM physical volume/);
  assert.match(noteWith(4096, Buffer.from("fc4e2ba9", "hex")), /looks like ext and RAID member/);
  assert.match(
    noteWith(source.size - 65536, Buffer.from("fc4e2ba9", "hex")),
    /looks like ext and RAID member/,
  );
  assert.match(
    noteWith(source.size - 8192, Buffer.from("fc4e2ba9", "hex")),
    /looks like ext and RAID member/,
  );
  assert.match(noteWith(129 * 1024, Buffer.from("0cb1ba0000000000", "hex")), /looks like ext and zfs/);
});
