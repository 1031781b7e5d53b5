import assert from "node:assert/strict";
import { test } from "node:test";
import { isBelow } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { ArrayCursor, behindSubtree, OverlayCursor } from "./overlay.js";

/** Small reproducible random numbers. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x7fff_ffff) * below) % below;
  };
}

const NAMES = ["a", "b", "a-b", "a.b", "a\x01", "\x80", "c"];

/** A layer in which nothing lies below something that is no directory. */
function randomLayer(next: (below: number) => number): Row[] {
  const keys = new Set<string>();
  for (let i = next(14); i > 0; i--) {
    const parts: string[] = [];
    for (let depth = 1 + next(3); depth > 0; depth--) parts.push(NAMES[next(NAMES.length)]!);
    keys.add(parts.join("\0"));
  }
  if (next(3) === 0) keys.add("");
  const rows: Row[] = [];
  let leaf: string | undefined;
  for (const key of [...keys].sort((a, b) => (a < b ? -1 : 1))) {
    if (leaf !== undefined && isBelow(leaf, key)) continue;
    const kind = key === "" ? 0 : next(3);
    const type = kind === 0 ? EntryType.directory : kind === 1 ? EntryType.file : EntryType.deleted;
    if (type !== EntryType.directory) leaf = key;
    rows.push({ ...emptyRow(key, type), uid: next(1000) });
  }
  return rows;
}

function oracle(layers: readonly Row[][]): Map<string, Row> {
  const result = new Map<string, Row>();
  for (const layer of [...layers].reverse()) {
    for (const row of layer) {
      if (row.type !== EntryType.directory)
        for (const key of [...result.keys()]) if (isBelow(row.key, key)) result.delete(key);
    }
    for (const row of layer) {
      if (row.type === EntryType.deleted) result.delete(row.key);
      else result.set(row.key, row);
    }
  }
  return result;
}

const sorted = (rows: Iterable<Row>) => [...rows].sort((a, b) => (a.key < b.key ? -1 : 1));

test("an overlay equals the same done with a Map", () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const next = random(seed);
    const layers = Array.from({ length: 1 + next(4) }, () => randomLayer(next));
    const cursor = new OverlayCursor(layers.map((rows) => new ArrayCursor(rows)));
    const rows: Row[] = [];
    for (; cursor.row !== undefined; cursor.advance()) {
      assert.equal(layers[cursor.layer]!.includes(cursor.row), true, `layer of ${seed}`);
      rows.push(cursor.row);
    }
    assert.deepEqual(rows, sorted(oracle(layers).values()), `seed ${seed}`);
  }
});

test("a jump into the list and over subtrees shows the same rows", () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const next = random(seed);
    const layers = Array.from({ length: 1 + next(4) }, () => randomLayer(next));
    const cursor = new OverlayCursor(layers.map((rows) => new ArrayCursor(rows)));
    const from = [NAMES[next(NAMES.length)]!, NAMES[next(NAMES.length)]!].slice(0, 1 + next(2)).join("\0");
    let expected = sorted(oracle(layers).values()).filter((row) => row.key >= from);
    cursor.seekWithin(from);
    while (cursor.row !== undefined) {
      assert.equal(cursor.row, expected[0], `seed ${seed}`);
      const { key } = cursor.row;
      if (next(2) === 0) {
        cursor.seek(behindSubtree(key));
        expected = expected.filter((row) => row.key >= behindSubtree(key));
      } else {
        cursor.advance();
        expected = expected.slice(1);
      }
    }
    assert.equal(expected.length, 0, `seed ${seed}`);
  }
});

test("a directory that became a file and a directory again keeps nothing of the first", () => {
  const row = (key: string, type: EntryType): Row => emptyRow(key, type);
  const full = [row("a", 2), row("a\0x", 1), row("a-b", 1)];
  const asFile = [row("a", 1)];
  const again = [row("a", 2), row("a\0y", 1)];
  const cursor = new OverlayCursor([again, asFile, full].map((rows) => new ArrayCursor(rows)));
  const keys: string[] = [];
  for (; cursor.row !== undefined; cursor.advance()) keys.push(cursor.row.key);
  assert.deepEqual(keys, ["a", "a\0y", "a-b"]);
});
