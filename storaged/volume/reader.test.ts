import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { contentDigest } from "../../common/format/content.js";
import { encodeFrameIndex, encodeRecord, RecordKind, SKIPPABLE_MAGIC } from "../../common/format/frame.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { damaged, Random } from "../../test/helpers/random.js";
import { MemoryStore } from "../store/memory-store.js";
import type { Store, StoreFile } from "../store/store.js";
import { TEST_UUID, writeVolume } from "./fixture.js";
import { uuidBytes } from "./json.js";
import { encodeLabel, newLabel } from "./label.js";
import { DamagedVolume, type VolumeItem, VolumeReader } from "./reader.js";

const PATH = "/v/Full-0001";

async function sample(): Promise<Buffer> {
  const store = new MemoryStore();
  const files = new Map<string, Buffer>();
  const rows = [emptyRow("", EntryType.directory)];
  for (let i = 0; i < 30; i++) {
    const row = emptyRow(`f${String(i).padStart(2, "0")}`, EntryType.file);
    const data = new Random(i).bytes(50_000);
    row.size = data.length;
    row.content = contentDigest(data);
    files.set(row.key, data);
    rows.push(row);
  }
  await writeVolume(store, PATH, { rows, files });
  return store.contents(PATH);
}
const SAMPLE = await sample();

async function scan(bytes: Buffer, recover: boolean): Promise<VolumeItem[]> {
  const store = new MemoryStore();
  store.place(PATH, bytes);
  const reader = await VolumeReader.open(store, PATH);
  const out: VolumeItem[] = [];
  for await (const item of reader.scan({ recover })) out.push(item);
  return out;
}

const damage = (reason: RegExp, goodEnd?: number) => (error: unknown) => {
  assert.ok(error instanceof DamagedVolume, String(error));
  assert.match(error.message, reason);
  if (goodEnd !== undefined) assert.equal(error.goodEnd, goodEnd);
  return true;
};

test("a scan gives everything once, without gaps", async () => {
  const items = await scan(SAMPLE, false);
  let at = 0;
  for (const item of items) {
    assert.equal(item.offset, at);
    at = item.end;
  }
  assert.equal(at, SAMPLE.length);
  const kinds = items.map((item) => (item.type === "record" ? `record ${item.kind}` : item.type));
  assert.deepEqual(kinds, ["label", "record 3", "frame", "frame", "frame", "frame", "record 4"]);
  assert.deepEqual(await scan(SAMPLE, true), items);
});

test("indexes alone can be scanned", async () => {
  const store = new MemoryStore();
  store.place(PATH, SAMPLE);
  const reader = await VolumeReader.open(store, PATH);
  let frames = 0;
  for await (const item of reader.scan({ frames: false })) {
    if (item.type !== "frame") continue;
    frames++;
    assert.equal(item.frame, undefined);
  }
  assert.equal(frames, 4);
});

test("frames are found by offset with any hint, and other offsets are refused", async () => {
  const store = new MemoryStore();
  store.place(PATH, SAMPLE);
  const reader = await VolumeReader.open(store, PATH);
  for (const item of await scan(SAMPLE, false)) {
    if (item.type !== "frame") continue;
    for (const hint of [undefined, 1, 100, item.end - item.offset, 5_000_000]) {
      const { frame, index, end } = await reader.readFrameAt(item.offset, hint);
      assert.deepEqual([frame, index, end], [item.frame, item.index, item.end]);
    }
    await assert.rejects(reader.readFrameAt(item.offset + 1), damage(/not a record/));
  }
  await assert.rejects(reader.readFrameAt(0), damage(/no frame here/));
  await assert.rejects(reader.readFrameAt(SAMPLE.length), damage(/ends inside/));
  await assert.rejects(reader.readFrameAt(SAMPLE.length + 1000), damage(/ends inside/));
});

test("what is no volume is called so", async () => {
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /empty/],
    [Buffer.from("abc"), /ends inside/],
    [Buffer.from("a text file of some length"), /not a record of a Basalt volume/],
    [encodeRecord(RecordKind.jobBegin, Buffer.from("{}")), /no label/],
    [encodeRecord(RecordKind.label, Buffer.from("{")), /not JSON/],
    [encodeRecord(RecordKind.label, Buffer.from('{"format":2}')), /volume format 2/],
    [encodeRecord(RecordKind.label, Buffer.from('{"format":1,"volume":"../x"}')), /label without|invalid/],
    [encodeRecord(9 as RecordKind, Buffer.from("")), /unknown kind/],
  ];
  for (const [bytes, reason] of cases) {
    await assert.rejects(scan(bytes, false), damage(reason, 0));
    const recovered = await scan(bytes, true);
    assert.ok(recovered.every((item) => item.type === "damage"));
  }
});

test("a volume of a newer format is refused with its number", async () => {
  const bytes = Buffer.from(SAMPLE);
  bytes[12] = 2;
  const length = bytes.readUInt32LE(4);
  bytes.writeUInt32LE(crc32(bytes.subarray(8, 8 + length - 4)), 8 + length - 4);
  await assert.rejects(scan(bytes, false), damage(/volume format 2: this program knows format 1/, 0));
});

test("a truncated volume tells where its good part ends", async () => {
  const items = await scan(SAMPLE, false);
  for (const item of items) {
    for (const cut of new Set([item.offset + 1, item.offset + 9, item.end - 1])) {
      if (item.offset === 0) continue;
      await assert.rejects(scan(SAMPLE.subarray(0, cut), false), damage(/ends inside/, item.offset));
      const recovered = await scan(SAMPLE.subarray(0, cut), true);
      assert.equal(recovered.at(-1)?.type, "damage");
      assert.equal(recovered.at(-1)?.end, cut);
    }
    const upTo = await scan(SAMPLE.subarray(0, item.end), false);
    assert.equal(upTo.at(-1)?.end, item.end);
  }
});

/** A store whose files count the bytes that a reader makes room for. */
function counting(bytes: Buffer): { store: Store; asked: { largest: number; total: number } } {
  const asked = { largest: 0, total: 0 };
  const inner = new MemoryStore();
  inner.place(PATH, bytes);
  const open = inner.open.bind(inner);
  inner.open = async (path, mode) => {
    const file: StoreFile = await open(path, mode);
    const readAt = file.readAt.bind(file);
    file.readAt = (into, position) => {
      asked.largest = Math.max(asked.largest, into.length);
      asked.total += into.length;
      return readAt(into, position);
    };
    return file;
  };
  return { store: inner, asked };
}

test("lengths that reach beyond the limits or the file are refused before memory is taken", async () => {
  const label = encodeLabel(newLabel({ volume: "V", pool: "P", mediaType: "M", storage: "S", createdMs: 1 }));
  const header = (length: number) => {
    const out = Buffer.alloc(12);
    out.writeUInt32LE(SKIPPABLE_MAGIC);
    out.writeUInt32LE(length, 4);
    out.write("BSLT", 8);
    return out;
  };
  const index = (compressedBytes: number) =>
    encodeRecord(
      RecordKind.frameIndex,
      encodeFrameIndex({
        jobUuid: uuidBytes(TEST_UUID),
        sequence: 0,
        compressedBytes,
        rawBytes: 1024,
        entries: [],
      }),
    );
  const cases: [Buffer, RegExp][] = [
    [header(0xffff_ffff), /too long/],
    [header(15_000_000), /ends inside/],
    [index(2 ** 52), /too long/],
    [index(8_000_000), /ends inside/],
    [index(0), /no zstd frame/],
  ];
  for (const [tail, reason] of cases) {
    const { store, asked } = counting(Buffer.concat([label, tail]));
    const reader = await VolumeReader.open(store, PATH);
    await assert.rejects(
      async () => {
        for await (const _ of reader.scan());
      },
      damage(reason, label.length),
    );
    assert.ok(asked.largest <= 65_536, `${asked.largest}`);
  }
});

test("a file full of false starts is read a bounded number of times", async () => {
  const label = encodeLabel(newLabel({ volume: "V", pool: "P", mediaType: "M", storage: "S", createdMs: 1 }));
  const start = Buffer.alloc(12);
  start.writeUInt32LE(SKIPPABLE_MAGIC);
  start.write("BSLT", 8);
  const starts = Buffer.alloc(3_000_000, start);
  for (let at = 0; at + 12 <= starts.length; at += 12) starts.writeUInt32LE(2_000_000, at + 4);
  const { store, asked } = counting(Buffer.concat([label, starts]));
  const reader = await VolumeReader.open(store, PATH);
  const items: VolumeItem[] = [];
  for await (const item of reader.scan({ recover: true })) items.push(item);
  assert.equal(items.at(-1)?.end, reader.size);
  assert.ok(asked.total < 150_000_000, `${asked.total}`);
});

/** The bytes in which a copy of SAMPLE differs from it, first and last. */
function changedRange(bytes: Buffer): [number, number] {
  const block = 4096;
  const same = (at: number) => bytes.subarray(at, at + block).equals(SAMPLE.subarray(at, at + block));
  let first = 0;
  while (first < bytes.length && same(first)) first += block;
  let last = Math.ceil(bytes.length / block) * block;
  while (last > first && same(last - block)) last -= block;
  let at = Math.min(first, bytes.length);
  while (at < bytes.length && bytes[at] === SAMPLE[at]) at++;
  let end = Math.min(last, bytes.length);
  while (end > at && bytes[end - 1] === SAMPLE[end - 1]) end--;
  return [at, end];
}

test("damage anywhere is found, and everything else is still read", async () => {
  const whole = await scan(SAMPLE, false);
  const good = new Map(whole.map((item) => [item.offset, item]));
  for (let seed = 0; seed < 150; seed++) {
    const bytes = damaged(SAMPLE, new Random(seed));
    if (bytes.equals(SAMPLE)) continue;
    const [at, last] = changedRange(bytes);
    const items = await scan(bytes, true);
    assert.equal(items.at(-1)?.end ?? 0, bytes.length, `seed ${seed}`);
    for (const item of whole) {
      if (item.end > at && item.offset < last) continue;
      if (item.end > bytes.length) continue;
      assert.deepEqual(
        items.find(({ offset }) => offset === item.offset),
        good.get(item.offset),
        `seed ${seed}`,
      );
    }
    await scan(bytes, false).catch(damage(/./));
  }
});
