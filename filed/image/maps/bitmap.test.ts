import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../../test/helpers/random.js";
import { areSet, clearRuns, countClear, setBits } from "./bitmap.js";
import { rawCrc16, rawCrc32c, xfsCrcHolds } from "./checksums.js";
import { joined, wholeBlocks } from "./ranges.js";

test("runs of clear bits are those that counting one by one finds", () => {
  const random = new Random(1);
  for (let round = 0; round < 200; round++) {
    const bitmap = Buffer.alloc(64);
    for (let run = random.below(8); run > 0; run--) {
      const from = random.below(512);
      setBits(bitmap, from, from + random.below(512 - from) + 1);
    }
    const bits = random.below(513);
    const clear: number[] = [];
    for (let bit = 0; bit < bits; bit++) if (!areSet(bitmap, bit, bit + 1)) clear.push(bit);
    const found = [...clearRuns(bitmap, bits)].flatMap(([from, to]) =>
      Array.from({ length: to - from }, (_, index) => from + index),
    );
    assert.deepEqual(found, clear);
    assert.equal(countClear(bitmap, bits), clear.length);
  }
});

test("ranges are joined, then cut inwards to whole blocks", () => {
  const range = (start: number, end: number) => ({ start, end });
  assert.deepEqual([...joined([])], []);
  const split = [range(0, 5), range(5, 12), range(13, 19), range(20, 40)];
  assert.deepEqual([...joined(split)], [range(0, 12), range(13, 19), range(20, 40)]);
  assert.deepEqual([...wholeBlocks(split, 8)], [range(0, 8), range(24, 40)]);
  assert.deepEqual([...wholeBlocks([range(6, 10), range(10, 17)], 8)], [range(8, 16)]);
});

test("checksums have the published check values", () => {
  const check = Buffer.from("123456789");
  assert.equal(~rawCrc32c(~0, check) >>> 0, 0xe3069283);
  assert.equal(rawCrc16(0, check), 0xbb3d);
  const block = Buffer.concat([check, Buffer.alloc(4), check]);
  block.writeUInt32LE(~rawCrc32c(~0, block) >>> 0, 9);
  assert.ok(xfsCrcHolds(block, 9));
  block[0]! ^= 1;
  assert.ok(!xfsCrcHolds(block, 9));
});
