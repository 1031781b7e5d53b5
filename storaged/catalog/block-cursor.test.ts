import assert from "node:assert/strict";
import { test } from "node:test";
import Database from "better-sqlite3";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { Random } from "../../test/helpers/random.js";
import { BlockCursor, BlockQueries } from "./block-cursor.js";
import { migrate } from "./schema.js";

const JOB = 1;

/** A list of these keys in blocks of `each` rows. */
function listOf(keys: readonly string[], each: number): BlockQueries {
  const db = new Database(":memory:");
  migrate(db, "memory");
  const insert = db.prepare(
    "INSERT INTO state_block(job, seq, first_key, last_key, rows, data) VALUES (?, ?, ?, ?, ?, ?)",
  );
  for (let at = 0; at < keys.length; at += each) {
    const part = keys.slice(at, at + each);
    const block = new BlockWriter({ state: true });
    for (const key of part) block.add(emptyRow(key, EntryType.deleted));
    const ends = [part[0]!, part.at(-1)!].map((key) => Buffer.from(key, "latin1"));
    insert.run(JOB, at, ...ends, part.length, block.finish());
  }
  return new BlockQueries(db, "state_block");
}

test("a cursor finds the first row behind any key, from anywhere before it", () => {
  const random = new Random(5);
  const all = new Set(
    Array.from({ length: 60 }, () => `${random.pick(["a", "b", "b\0c", "b-"])}${random.below(30)}`),
  );
  const keys = [...all].sort();
  const behind = (key: string) => keys.find((one) => one >= key);
  const wanted = [...keys, ...keys.map((key) => `${key}\x01`), "", "z", "b", "b\0"].sort();
  for (const each of [1, 2, 7, 100]) {
    const queries = listOf(keys, each);
    for (const key of wanted) {
      assert.equal(new BlockCursor(queries, JOB, key).row?.key, behind(key), `${each}: ${key}`);
      const from = random.pick(keys);
      const cursor = new BlockCursor(queries, JOB, from);
      cursor.seek(key);
      assert.equal(cursor.row?.key, key < from ? from : behind(key), `${each}: ${from} ${key}`);
      cursor.advance();
      const at = keys.indexOf(key < from ? from : (behind(key) ?? ""));
      assert.equal(cursor.row?.key, at < 0 ? undefined : keys[at + 1], `${each}: behind ${from} ${key}`);
    }
  }
});

test("a cursor tells the place of a row, and a row's block is found", () => {
  const keys = Array.from({ length: 50 }, (_, i) => `k${String(i).padStart(2, "0")}`);
  const random = new Random(6);
  for (const each of [1, 3, 50]) {
    const queries = listOf(["", ...keys], each);
    const cursor = new BlockCursor(queries, JOB);
    assert.deepEqual(cursor.place(), { row: 1, turn: 0 });
    for (let at = random.below(4); at < keys.length; at += 1 + random.below(9)) {
      cursor.seek(keys[at]!);
      if (random.below(3) > 0) assert.equal(cursor.place().row, at + 2, `${each}: ${at}`);
      cursor.advance();
      assert.equal(cursor.place().row, at + 1 < keys.length ? at + 3 : 0, `${each}: behind ${at}`);
    }
    for (const row of [1, 2, 3, 4, 27, 51]) {
      const block = queries.blockOf(JOB, row)!;
      assert.ok(block.before < row && row <= block.before + each, `${each}: ${row}`);
      assert.equal(block.key, ["", ...keys][block.before]);
    }
    assert.equal(queries.blockOf(JOB, 52), undefined);
  }
});
