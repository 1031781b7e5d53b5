import assert from "node:assert/strict";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { Random } from "../../test/helpers/random.js";
import { dataExtents, withoutFree } from "./extents.js";
import type { ByteRange } from "./maps/ranges.js";
import { decodePlan, ImagePlanner } from "./plan.js";

const BLOCK = 4096;

test("extents are whole blocks around the data, joined where they meet", () => {
  const path = join(scratchDirectory("extents"), "file");
  const fd = openSync(path, "w+");
  try {
    for (const at of [0, 100_000, 131_072, 1_000_000]) writeSync(fd, "x", at);
    const extents = (blockSize: number, size = 1_000_001): ByteRange[] => [
      ...dataExtents({ fd, size, blockSize, hasHoles: true }),
    ];
    const block = 65_536;
    assert.deepEqual(extents(block), [
      { start: 0, end: 3 * block },
      { start: 15 * block, end: 1_000_001 },
    ]);
    // A file that was longer when its size was taken, or is by now.
    assert.deepEqual(extents(block, 5 * block), [{ start: 0, end: 3 * block }]);
    assert.deepEqual(extents(block, 100), [{ start: 0, end: 100 }]);
    assert.deepEqual(extents(block, 0), []);
    const whole = [...dataExtents({ fd, size: 100, blockSize: block, hasHoles: false })];
    assert.deepEqual(whole, [{ start: 0, end: 100 }]);
  } finally {
    closeSync(fd);
  }
});

/** One byte per block: 1 where a range covers it. */
function covered(ranges: Iterable<ByteRange>, blocks: number): number[] {
  const map = new Array<number>(blocks).fill(0);
  for (const { start, end } of ranges) map.fill(1, start / BLOCK, Math.ceil(end / BLOCK));
  return map;
}

test("random extents, free ranges and windows cover what they should, once and in order", () => {
  const random = new Random(4);
  for (let round = 0; round < 300; round++) {
    const blocks = 1 + random.below(200);
    const size = blocks * BLOCK - random.below(BLOCK);
    const ranges = (): ByteRange[] => {
      const out: ByteRange[] = [];
      for (let at = random.below(5); at < blocks; at += 1 + random.below(10)) {
        const start = at * BLOCK;
        at += 1 + random.below(12);
        out.push({ start, end: Math.min(size, at * BLOCK) });
      }
      return out;
    };
    const data = ranges();
    const free = ranges().filter(({ end }) => end % BLOCK === 0);
    const runs = withoutFree(data, free[Symbol.iterator]());
    const windowBytes = BLOCK * (1 + random.below(16));
    const planner = new ImagePlanner({ size, runs, windowBytes });
    const read: ByteRange[] = [];
    let at = 0;
    while (!planner.done) {
      const plan = decodePlan(planner.next());
      assert.equal(plan.at, at);
      let bytes = 0;
      for (const { gap, length } of plan.runs) {
        at += gap;
        if (length > 0) read.push({ start: at, end: at + length });
        at += length;
        bytes += length;
      }
      assert.ok(bytes <= windowBytes);
    }
    assert.equal(at, size);
    const wanted = covered(data, blocks);
    covered(free, blocks).forEach((isFree, block) => {
      if (isFree === 1) wanted[block] = 0;
    });
    assert.deepEqual(covered(read, blocks), wanted);
    for (const { start, end } of read) assert.ok(start % BLOCK === 0 && (end % BLOCK === 0 || end === size));
  }
});
