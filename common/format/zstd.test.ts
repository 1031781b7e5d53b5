import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { GarbledInput } from "./varint.js";
import { Compressor, decompressInto, decompressUnchecked } from "./zstd.js";

const raw = Buffer.concat([Buffer.alloc(50_000, "basalt "), randomBytes(20_000)]);
const frame = new Compressor(1).compress(raw);

function into(decompress: typeof decompressInto, from: Buffer): Buffer {
  const dst = Buffer.alloc(raw.length);
  decompress(dst, from);
  return dst;
}

test("a frame comes back, with its checksum compared or not", () => {
  assert.deepEqual(into(decompressInto, frame), raw);
  assert.deepEqual(into(decompressUnchecked, frame), raw);
});

test("only who does not look at the checksum takes a frame whose checksum is wrong", () => {
  const wrong = Buffer.from(frame);
  wrong[wrong.length - 1]! ^= 1;
  assert.throws(() => into(decompressInto, wrong), GarbledInput);
  assert.deepEqual(into(decompressUnchecked, wrong), raw);
});

test("a cut frame is refused by both, and the next one is read well", () => {
  for (const decompress of [decompressInto, decompressUnchecked]) {
    assert.throws(() => into(decompress, frame.subarray(0, frame.length - 100)), GarbledInput);
    assert.deepEqual(into(decompress, frame), raw);
  }
});
