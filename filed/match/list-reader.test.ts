import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { FIRST_BLOCKS, ListReader, MAX_BLOCKS } from "./list-reader.js";

const keyOf = (number: number): string => `f${String(number).padStart(6, "0")}`;

/** Longest target of a symlink in a list. */
const ROW_BYTES = 60_000;

/** Rows of a block of so many bytes. */
const rowsOf = (bytes: number): number => Math.ceil(bytes / ROW_BYTES);

/** A block that nothing makes smaller. */
function block(number: number, bytes: number): Buffer {
  const writer = new BlockWriter({ state: false });
  for (let i = 0; i < rowsOf(bytes); i++) {
    const target = randomBytes(Math.min(bytes, ROW_BYTES)).toString("latin1").replaceAll("\0", "x");
    writer.add({ ...emptyRow(`${keyOf(number)}.${i + 10}`, EntryType.symlink), target });
  }
  return writer.finish();
}

/** Reads a list of so many blocks; the most blocks that were on the way or waiting at once. */
function readAll(count: number, bytes: number): { most: number; credits: number } {
  let granted = 0;
  let credits = 0;
  let most = 0;
  const list = new ListReader((more) => {
    granted += more;
    credits++;
  });
  list.open();
  assert.equal(granted, FIRST_BLOCKS);
  let sent = 0;
  let read = 0;
  while (read < count) {
    while (sent < Math.min(granted, count)) list.push(block(sent++, bytes));
    if (sent === count) list.end();
    most = Math.max(most, granted - read);
    for (let i = 0; i < rowsOf(bytes); i++) {
      assert.ok(list.fill());
      assert.equal(list.row?.key, `${keyOf(read)}.${i + 10}`);
      list.next();
    }
    read++;
  }
  assert.ok(list.fill());
  assert.equal(list.row, undefined);
  return { most, credits };
}

test("many small blocks may be on the way, and credits go together", () => {
  const { most, credits } = readAll(400, 10);
  assert.equal(most, MAX_BLOCKS);
  assert.ok(credits < 100, `${credits} messages`);
});

test("of large blocks there are few", () => {
  assert.ok(readAll(40, 1_000_000).most <= 2 * FIRST_BLOCKS);
});

test("a block without a credit is refused", () => {
  const list = new ListReader(() => undefined);
  list.open();
  for (let number = 0; number < FIRST_BLOCKS; number++) list.push(block(number, 10));
  // The window grew with the first of them: only what was granted may come.
  for (let number = FIRST_BLOCKS; number < MAX_BLOCKS; number++) list.push(block(number, 10));
  assert.throws(() => list.push(block(MAX_BLOCKS, 10)), { code: "PROTOCOL_ERROR" });
});
