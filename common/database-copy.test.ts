import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import Database from "better-sqlite3";
import { copyDatabase } from "./database-copy.js";
import { codeOf } from "./errors.js";

const directory = mkdtempSync(join(tmpdir(), "basalt-copy-"));
after(() => rmSync(directory, { recursive: true }));

test("a copy holds what was committed when it was made, also while somebody writes", () => {
  const from = join(directory, "catalog.db");
  const to = join(directory, "copy.db");
  const db = new Database(from);
  db.pragma("journal_mode = WAL");
  db.pragma("user_version = 7");
  db.exec("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2)");
  db.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES (3)");
  writeFileSync(to, "an older copy");
  const bytes = copyDatabase(from, to);
  db.exec("COMMIT");
  db.close();
  const { size, mode } = statSync(to);
  assert.deepEqual([size, mode & 0o777], [bytes, 0o600]);
  const copy = new Database(to, { readonly: true });
  assert.deepEqual(copy.prepare("SELECT x FROM t").pluck().all(), [1, 2]);
  assert.equal(copy.pragma("user_version", { simple: true }), 7);
  copy.close();
});

test("a copy that fails leaves the older one and nothing else", () => {
  const from = join(directory, "garbled.db");
  const to = join(directory, "kept.db");
  writeFileSync(from, "no database at all, but long enough to be looked at as one".repeat(100));
  writeFileSync(to, "an older copy");
  assert.throws(
    () => copyDatabase(from, to),
    (error) => codeOf(error) === "DATABASE_COPY_FAILED",
  );
  assert.equal(statSync(to).size, "an older copy".length);
  assert.equal(existsSync(`${to}.new`), false);
});
