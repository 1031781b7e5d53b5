import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeRecord, RecordKind } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import { Compressor } from "../../common/format/zstd.js";
import { damaged, Random } from "../../test/helpers/random.js";
import { checkZstdFrame, zstdFrameInfo } from "./zstd-frame.js";

const compressor = new Compressor(3);

function samples(): Buffer[] {
  const random = new Random(5);
  return [
    Buffer.alloc(0),
    Buffer.from("x"),
    Buffer.alloc(255),
    Buffer.alloc(256, "abc"),
    Buffer.alloc(70_000, "words and words "),
    random.bytes(300_000),
    Buffer.concat([Buffer.alloc(400_000), random.bytes(1000), Buffer.alloc(500_000, "q")]),
  ];
}

test("length and content size of any frame are read without decompressing", () => {
  for (const raw of samples()) {
    const frame = compressor.compress(raw);
    assert.deepEqual(zstdFrameInfo(frame), { length: frame.length, contentBytes: raw.length });
    assert.deepEqual(zstdFrameInfo(Buffer.concat([frame, frame])), {
      length: frame.length,
      contentBytes: raw.length,
    });
    checkZstdFrame(frame, raw.length);
    assert.throws(() => checkZstdFrame(frame, raw.length + 1), GarbledInput);
  }
});

test("nothing can hide behind a frame", () => {
  const frame = compressor.compress(Buffer.from("honest"));
  const record = encodeRecord(RecordKind.jobEnd, Buffer.from("{}"));
  for (const tail of [Buffer.alloc(1), frame, record]) {
    assert.throws(() => checkZstdFrame(Buffer.concat([frame, tail]), 6), /behind the zstd frame/);
  }
  assert.throws(() => checkZstdFrame(Buffer.concat([record, frame]), 6), /no zstd frame/);
});

test("frames that ask too much of a reader are refused", () => {
  const frame = compressor.compress(Buffer.alloc(70_000, "abcdefgh"));
  const cases: [RegExp, number[]][] = [
    [/dictionary/, [0x28, 0xb5, 0x2f, 0xfd, 0x25, 1, 1, 0, 0, 0]],
    [/reserved/, [0x28, 0xb5, 0x2f, 0xfd, 0x2c, 1, 1, 0, 0, 0]],
    [/checksum/, [0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 1, 0, 0, 0]],
    [/content size/, [0x28, 0xb5, 0x2f, 0xfd, 0x04, 0, 1, 0, 0, 0]],
    [/window/, [0x28, 0xb5, 0x2f, 0xfd, 0x44, 0xf0, 1, 0, 1, 0]],
    [/too large/, [0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]],
    [/bad block/, [0x28, 0xb5, 0x2f, 0xfd, 0x24, 1, 0x07, 0, 0, 0]],
  ];
  for (const [reason, bytes] of cases) assert.throws(() => zstdFrameInfo(Buffer.from(bytes)), reason);
  for (let cut = 0; cut < frame.length; cut++)
    assert.throws(() => zstdFrameInfo(frame.subarray(0, cut)), GarbledInput);
});

test("damaged frames give errors, never a read past the end", () => {
  for (const raw of samples()) {
    const frame = compressor.compress(raw);
    for (let seed = 0; seed < 300; seed++) {
      try {
        zstdFrameInfo(damaged(frame, new Random(seed)));
      } catch (error) {
        assert.ok(error instanceof GarbledInput, `seed ${seed}: ${error}`);
      }
    }
  }
});
