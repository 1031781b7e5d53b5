import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EntryType, RowFlag } from "../../common/format/row.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { setClock } from "../../common/time.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { ageTrees, FakeStorage, rowsOf, TEST_OPTIONS } from "../match/testing.js";

before(ageTrees);
after(() => setClock());

function imageSet(...images: string[]): FileSet__Output {
  const include = {
    files: [],
    images,
    root: "",
    options: [TEST_OPTIONS],
    excludeDirContaining: [],
    lists: [],
  };
  return { name: "test", include: [include], exclude: [], excludeLists: [] };
}

test("an image file is a file: read when it changed, one row, its zeros holes", async () => {
  const top = scratchDirectory("image-match");
  const path = join(top, "disk.raw");
  writeFileSync(path, "x".repeat(10_000));
  const storage = new FakeStorage();
  const fileSet = imageSet(`${top}/*.raw`);
  const full = await storage.run({ fileSet });
  assert.deepEqual(rowsOf(full), [`file ${path}`]);
  assert.equal(full.rows[0]!.flags & RowFlag.sparse, RowFlag.sparse);
  assert.equal(full.states.length, 1);
  const quiet = await storage.run({ fileSet, level: "Incremental", own: full });
  assert.deepEqual(quiet.read, []);
  assert.deepEqual(rowsOf(quiet), []);
  const { atime, mtime } = statSync(path);
  writeFileSync(path, "y".repeat(10_000));
  utimesSync(path, atime, mtime);
  const changed = await storage.run({ fileSet, level: "Incremental", own: quiet });
  assert.equal(changed.read.length, 1);
});

test("a device is read whatever the lists say; equal content is no row", async (t) => {
  const top = scratchDirectory("image-match");
  const backing = join(top, "backing");
  truncateSync(writeTo(backing), 1024 * 1024);
  const loop = loopDevice(t, backing);
  if (loop === undefined) return;
  const storage = new FakeStorage();
  const fileSet = imageSet(loop);
  const full = await storage.run({ fileSet });
  assert.deepEqual(rowsOf(full), [`file ${loop}`]);
  const [row] = full.rows;
  assert.equal(row!.type, EntryType.file);
  assert.equal(row!.size, 1024 * 1024);
  assert.equal(row!.mode, statSync(loop).mode & 0o7777);
  assert.equal(row!.xattrs, undefined);
  // Nothing that could vouch for it the next time.
  assert.deepEqual(full.states, []);
  const quiet = await storage.run({ fileSet, level: "Incremental", own: full });
  assert.equal(quiet.read.length, 1);
  assert.deepEqual(rowsOf(quiet), []);
  const again = await storage.run({ fileSet, level: "Full", own: quiet, bases: [full] });
  assert.equal(again.read.length, 1);
  execFileSync("dd", [`of=${loop}`, "bs=1", "count=1", "conv=notrunc"], { input: "x", stdio: "pipe" });
  const changed = await storage.run({ fileSet, level: "Incremental", own: quiet });
  assert.deepEqual(rowsOf(changed), [`file ${loop}`]);
});

function writeTo(path: string): string {
  writeFileSync(path, "content");
  return path;
}
