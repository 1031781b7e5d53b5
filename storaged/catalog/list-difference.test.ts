import assert from "node:assert/strict";
import { test } from "node:test";
import { isBelow } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { DifferenceBlocks, ListDifference } from "./list-difference.js";
import { ArrayCursor, OverlayCursor } from "./overlay.js";

/** Small reproducible random numbers. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x7fff_ffff) * below) % below;
  };
}

const NAMES = ["a", "b", "a-b", "a.b", "a\x01", "\x80", "c"];

/** A tree in which every entry lies in a directory that is an entry too. */
function randomTree(next: (below: number) => number): Row[] {
  const rows = new Map<string, Row>();
  const directories = [""];
  rows.set("", emptyRow("", EntryType.directory));
  for (let i = next(16); i > 0; i--) {
    const parent = directories[next(directories.length)]!;
    if (parent.split("\0").length > 3) continue;
    const name = NAMES[next(NAMES.length)]!;
    const key = parent === "" ? name : `${parent}\0${name}`;
    if (rows.has(key)) continue;
    const type = next(2) === 0 ? EntryType.directory : EntryType.file;
    rows.set(key, { ...emptyRow(key, type), uid: next(2) });
    if (type === EntryType.directory) directories.push(key);
  }
  return [...rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

function differenceOf(upper: Row[], lower: Row[]): Row[] {
  const difference = new ListDifference(new ArrayCursor(upper), new ArrayCursor(lower));
  const rows: Row[] = [];
  while (!difference.done) {
    const row = difference.step();
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

function overlay(...layers: Row[][]): Row[] {
  const cursor = new OverlayCursor(layers.map((rows) => new ArrayCursor(rows)));
  const rows: Row[] = [];
  for (; cursor.row !== undefined; cursor.advance()) rows.push(cursor.row);
  return rows;
}

test("the difference over the lower list is the upper list, and no row of it could be left out", () => {
  for (let seed = 1; seed <= 4000; seed++) {
    const next = random(seed);
    const upper = randomTree(next);
    const lower = next(8) === 0 ? [] : randomTree(next);
    const rows = differenceOf(upper, lower);
    assert.deepEqual(overlay(rows, lower), upper, `seed ${seed}`);
    for (const [i, row] of rows.entries()) {
      const before = rows[i - 1];
      if (before !== undefined) assert.ok(before.key < row.key, `seed ${seed}`);
      const without = rows.filter((other) => other !== row);
      assert.notDeepEqual(overlay(without, lower), upper, `seed ${seed}: row ${i}`);
      // One row deletes a subtree.
      const gone = rows.filter(({ type }) => type === EntryType.deleted);
      if (row.type === EntryType.deleted)
        assert.ok(!gone.some(({ key }) => isBelow(key, row.key)), `seed ${seed}`);
    }
  }
});

test("overlays of several layers are told from one another too", () => {
  for (let seed = 1; seed <= 1500; seed++) {
    const next = random(seed);
    const [base, second, third, other] = [0, 1, 2, 3].map(() => randomTree(next)) as [
      Row[],
      Row[],
      Row[],
      Row[],
    ];
    const incremental = differenceOf(second, base);
    const later = differenceOf(third, second);
    const chain = () => [later, incremental, base];
    assert.deepEqual(overlay(...chain()), third, `seed ${seed}`);
    const cursor = new OverlayCursor(chain().map((rows) => new ArrayCursor(rows)));
    const rebased = new ListDifference(cursor, new ArrayCursor(other));
    const rows: Row[] = [];
    while (!rebased.done) {
      const row = rebased.step();
      if (row !== undefined) rows.push(row);
    }
    assert.deepEqual(overlay(rows, other), third, `seed ${seed}`);
  }
});

test("an equal list gives no rows, an empty lower list all of them", () => {
  const tree = randomTree(random(7));
  assert.deepEqual(differenceOf(tree, tree), []);
  assert.deepEqual(differenceOf(tree, []), tree);
  assert.deepEqual(
    differenceOf([], tree).map(({ key, type }) => [key, type]),
    [["", EntryType.deleted]],
  );
});

test("blocks come in bounded steps and hold the same rows", () => {
  const upper: Row[] = [];
  const lower: Row[] = [];
  for (let i = 0; i < 50_000; i++) {
    const row = { ...emptyRow(`f${String(i).padStart(6, "0")}`, EntryType.file), uid: 1 };
    upper.push(i % 1000 === 0 ? { ...row, uid: 2 } : row);
    lower.push(row);
  }
  const blocks = new DifferenceBlocks(new ArrayCursor(upper), new ArrayCursor(lower));
  const sizes: number[] = [];
  const keys: string[] = [];
  for (let block = blocks.next(); block !== undefined; block = blocks.next()) {
    sizes.push(block.length);
    if (block.length > 0) keys.push(...decodeBlock(block).map(({ key }) => key));
  }
  assert.deepEqual(
    sizes.map((size) => size > 0),
    [false, false, true],
  );
  assert.equal(keys.length, 50);
});
