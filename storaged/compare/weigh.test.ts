import assert from "node:assert/strict";
import { test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, emptyRow, type Row, sameRow } from "../../common/format/row.js";
import { ListDifference } from "../catalog/list-difference.js";
import { ArrayCursor, OverlayCursor } from "../catalog/overlay.js";
import { CommonCursor } from "./common-cursor.js";
import { type ListCost, ordersOf, ROW_BYTES } from "./costs.js";
import { type Sketch, SketchMaker, sharedWeight } from "./sketch.js";
import { Weighing } from "./weigh.js";

/** Small reproducible random numbers. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x7fff_ffff) * below) % below;
  };
}

const NAMES = ["a", "b", "a-b", "a.b", "\x80"];

function file(key: string, text: string, uid = 0): Row {
  return {
    ...{ ...emptyRow(key, EntryType.file), size: text.length, uid },
    content: text === "" ? undefined : contentDigest(Buffer.from(text)),
  };
}

/** A tree in which every entry lies in a directory that is an entry too. */
function randomTree(next: (below: number) => number): Row[] {
  const rows = new Map<string, Row>([["", emptyRow("", EntryType.directory)]]);
  const directories = [""];
  for (let i = next(14); i > 0; i--) {
    const parent = directories[next(directories.length)]!;
    const name = NAMES[next(NAMES.length)]!;
    const key = parent === "" ? name : `${parent}\0${name}`;
    if (rows.has(key) || parent.split("\0").length > 3) continue;
    const isDirectory = next(2) === 0;
    rows.set(key, isDirectory ? emptyRow(key, EntryType.directory) : file(key, "x".repeat(next(5)), next(2)));
    if (isDirectory) directories.push(key);
  }
  return [...rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** What a Full over the lists would store, as the difference of lists says. */
function counted(machine: Row[], lists: Row[][]): ListCost {
  const lower = new OverlayCursor(lists.map((rows) => new ArrayCursor(rows)));
  const difference = new ListDifference(new ArrayCursor(machine), lower);
  const written: Row[] = [];
  while (!difference.done) {
    const row = difference.step();
    if (row !== undefined) written.push(row);
  }
  const keys = new Set(written.map(({ key }) => key));
  const same = machine.filter(({ key }) => !keys.has(key));
  const held = new Set(lists.flat().flatMap(({ content }) => content?.toString("hex") ?? []));
  const files = written.filter((row) => row.content !== undefined);
  const known = files.filter(({ content }) => held.has(content!.toString("hex")));
  const fresh = files.filter((row) => !known.includes(row));
  const contents = new Map(fresh.map((row) => [row.content!.toString("hex"), row.size]));
  const read = files.filter(
    (row) => !lists.some((rows) => rows.some((each) => each.key === row.key && sameRow(each, row))),
  );
  const bytes = (rows: Row[]): number => rows.reduce((sum, { size }) => sum + size, 0);
  return {
    ...{ sameEntries: same.length, sameBytes: bytes(same) },
    ...{ knownFiles: known.length, knownBytes: bytes(known) },
    ...{ newFiles: fresh.length, newBytes: [...contents.values()].reduce((sum, size) => sum + size, 0) },
    ...{ readBytes: bytes(read), rows: written.length },
    deletions: written.filter(({ type }) => type === EntryType.deleted).length,
  };
}

function drain(steps: Generator<number>): void {
  for (const _step of steps);
}

test("costs over every order of lists are those that the rows of a Full would have", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const next = random(seed);
    const machine = randomTree(next);
    const lists = [randomTree(next), next(4) === 0 ? machine : randomTree(next), randomTree(next)];
    const weighing = new Weighing(lists.length);
    drain(
      weighing.paths(
        new ArrayCursor(machine),
        lists.map((rows) => new ArrayCursor(rows)),
      ),
    );
    for (const [i, rows] of lists.entries()) drain(weighing.contents(i, new ArrayCursor(rows)));
    const orders = ordersOf(lists.length, 3, () => true);
    assert.equal(orders.length, 1 + 3 + 6 + 6);
    const costs = weighing.costs(orders);
    weighing.close();
    for (const [i, order] of orders.entries()) {
      const expected = counted(
        machine,
        order.map((list) => lists[list]!),
      );
      assert.deepEqual(costs[i], expected, `seed ${seed}, order ${order.join()}`);
    }
    assert.equal(weighing.machine.entries, machine.length);
    assert.deepEqual(
      weighing.sizes.map(({ entries }) => entries),
      lists.map(({ length }) => length),
    );
  }
});

test("what lists have in common is what is the same in all of them", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const next = random(seed);
    const lists = Array.from({ length: 1 + next(3) }, () => randomTree(next));
    const expected = lists[0]!.filter((row) =>
      lists.every((rows) => rows.some((each) => each.key === row.key && sameRow(each, row))),
    );
    const cursor = new CommonCursor(lists.map((rows) => new ArrayCursor(rows)));
    const rows: Row[] = [];
    for (; cursor.row !== undefined; cursor.advance()) rows.push(cursor.row);
    assert.deepEqual(rows, expected, `seed ${seed}`);
    const from = `a${"\0"}b`;
    const jumped = new CommonCursor(lists.map((each) => new ArrayCursor(each)));
    jumped.seek(from);
    assert.equal(jumped.row?.key, expected.find(({ key }) => key >= from)?.key);
  }
});

/** What a file of 50 bytes weighs. */
const EACH = 50 + ROW_BYTES;

test("sketches of short lists know exactly what is shared, those of long ones about", () => {
  const sketch = (from: number, to: number): Sketch => {
    const made = new SketchMaker();
    for (let i = from; i < to; i++) made.add(file(`dir\0file-${i}`, "y".repeat(50), i % 7));
    return made.finish();
  };
  assert.equal(sharedWeight(sketch(0, 700), sketch(300, 1200)), 400 * EACH);
  assert.equal(sharedWeight(sketch(0, 700), sketch(700, 1400)), 0);
  const long = sharedWeight(sketch(0, 60_000), sketch(30_000, 80_000));
  assert.ok(Math.abs(long - 30_000 * EACH) < 0.2 * 30_000 * EACH, String(long));
});
