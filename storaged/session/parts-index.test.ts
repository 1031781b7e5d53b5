import assert from "node:assert/strict";
import { test } from "node:test";
import { contentDigest, encodePart, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { PartsIndex } from "./parts-index.js";

/** Lengths by segment; negative ones are zeros. */
function index(segments: readonly (readonly number[])[]) {
  let asked = 0;
  const lists = segments.map((lengths) => {
    const list = Buffer.alloc(lengths.length * PART_BYTES);
    lengths.forEach((length, i) => {
      const digest = length < 0 ? ZERO_DIGEST : contentDigest(Buffer.from(`${length}`));
      encodePart(list, i * PART_BYTES, Math.abs(length), digest);
    });
    return list;
  });
  const parts = new PartsIndex((after) => {
    asked++;
    const data = lists[after + 1];
    return data === undefined ? undefined : { seq: after + 1, data };
  });
  const within = (offset: number, length: number) =>
    [...parts.within(offset, length)].map((part) => [
      part.offset,
      part.digest === undefined ? -part.length : part.length,
    ]);
  return { within, asked: () => asked };
}

test("parts of any range are found, in any order of asking", () => {
  const { within } = index([[10, -20], [30], [-5, 5]]);
  assert.deepEqual(within(60, 100), [
    [60, -5],
    [65, 5],
  ]);
  assert.deepEqual(within(0, 1), [[0, 10]]);
  assert.deepEqual(within(9, 2), [
    [0, 10],
    [10, -20],
  ]);
  assert.deepEqual(within(29, 32), [
    [10, -20],
    [30, 30],
    [60, -5],
  ]);
  assert.deepEqual(within(10, 0), []);
  assert.deepEqual(within(70, 10), []);
  assert.deepEqual(within(1000, 1), []);
  assert.deepEqual(index([]).within(0, 10), []);
});

test("the list is passed once; segments that were let go are read again", () => {
  const { within, asked } = index(Array.from({ length: 100 }, (_, i) => [i + 1]));
  assert.deepEqual(within(4949, 1), [[4851, 99]]);
  assert.equal(asked(), 99);
  assert.deepEqual(within(4949, 1), [[4851, 99]]);
  assert.equal(asked(), 99);
  assert.deepEqual(within(0, 2), [
    [0, 1],
    [1, 2],
  ]);
  assert.equal(asked(), 101);
});
