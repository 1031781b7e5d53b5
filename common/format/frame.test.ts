import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { damaged, Random } from "../../test/helpers/random.js";
import { MAX_FRAME_RAW_BYTES } from "./content.js";
import {
  decodeFrameIndex,
  decodeRecord,
  encodeFrameIndex,
  encodeRecord,
  type FrameIndex,
  RecordKind,
  SKIPPABLE_HEADER_BYTES,
  SKIPPABLE_MAGIC,
} from "./frame.js";
import { GarbledInput } from "./varint.js";

const INDEX: FrameIndex = {
  jobUuid: Buffer.from("000102030405060708090a0b0c0d0e0f", "hex"),
  sequence: 300,
  compressedBytes: 70_000,
  rawBytes: 100_352,
  entries: [
    { digest: Buffer.alloc(32, 1), offset: 512, length: 1000 },
    { digest: Buffer.alloc(32, 2), offset: 2560, length: 97_000 },
  ],
};

/** A record with some bytes of its payload changed and the checksum made right again. */
function forged(change: (payload: Buffer) => void): Buffer {
  const payload = Buffer.from(
    encodeRecord(RecordKind.label, Buffer.from("{}")).subarray(SKIPPABLE_HEADER_BYTES),
  );
  change(payload);
  payload.writeUInt32LE(crc32(payload.subarray(0, -4)), payload.length - 4);
  return payload;
}

test("a record is a skippable frame and comes back", () => {
  const record = encodeRecord(RecordKind.jobEnd, Buffer.from("body"));
  assert.equal(record.readUInt32LE(0), SKIPPABLE_MAGIC);
  assert.equal(record.readUInt32LE(4), record.length - SKIPPABLE_HEADER_BYTES);
  const { kind, body } = decodeRecord(record.subarray(SKIPPABLE_HEADER_BYTES));
  assert.equal(kind, RecordKind.jobEnd);
  assert.equal(body.toString(), "body");
});

test("the bytes of a record are frozen", () => {
  const hex = encodeRecord(RecordKind.frameIndex, encodeFrameIndex({ ...INDEX, entries: [] })).toString(
    "hex",
  );
  assert.equal(hex, FROZEN_RECORD);
});
const FROZEN_RECORD =
  "5b2a4d183900000042534c5401020000" +
  "0000000000000000000000000000000000000000" +
  "000102030405060708090a0b0c0d0e0fac02f0a20480900600ff98fde7";

test("unknown versions, flags and ciphers are refused by name", () => {
  const cases: [RegExp, (payload: Buffer) => void][] = [
    [/volume format 2/, (payload) => payload.writeUInt8(2, 4)],
    [/features 0x4/, (payload) => payload.writeUInt16LE(4, 6)],
    [/cipher 1/, (payload) => payload.writeUInt8(1, 8)],
    [/not a Basalt record/, (payload) => payload.writeUInt8(0, 0)],
  ];
  for (const [message, change] of cases) assert.throws(() => decodeRecord(forged(change)), message);
});

test("a frame index comes back", () => {
  assert.deepEqual(decodeFrameIndex(encodeFrameIndex(INDEX)), INDEX);
});

test("an index that reaches out of its frame is refused", () => {
  const bad: Partial<FrameIndex>[] = [
    { rawBytes: MAX_FRAME_RAW_BYTES + 1 },
    { entries: [{ digest: Buffer.alloc(32), offset: 100_000, length: 353 }] },
    { entries: [{ digest: Buffer.alloc(32), offset: 0, length: 0 }] },
    { entries: [{ digest: Buffer.alloc(32), offset: 2 ** 52, length: 2 ** 52 }] },
  ];
  for (const change of bad) {
    assert.throws(() => decodeFrameIndex(encodeFrameIndex({ ...INDEX, ...change })), GarbledInput);
  }
  assert.throws(
    () => decodeFrameIndex(Buffer.concat([encodeFrameIndex(INDEX), Buffer.alloc(1)])),
    GarbledInput,
  );
});

test("damaged records and indexes give errors, not crashes or other content", () => {
  const record = encodeRecord(RecordKind.frameIndex, encodeFrameIndex(INDEX)).subarray(
    SKIPPABLE_HEADER_BYTES,
  );
  const body = encodeFrameIndex(INDEX);
  for (let seed = 0; seed < 3000; seed++) {
    const random = new Random(seed);
    const bad = damaged(record, random);
    if (!bad.equals(record)) assert.throws(() => decodeRecord(bad), GarbledInput, `seed ${seed}`);
    try {
      decodeFrameIndex(damaged(body, random));
    } catch (error) {
      assert.ok(error instanceof GarbledInput, `seed ${seed}: ${error}`);
    }
  }
});
