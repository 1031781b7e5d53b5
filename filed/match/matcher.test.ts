import assert from "node:assert/strict";
import { chmodSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  ageTrees,
  assertComplete,
  FakeStorage,
  put,
  rowsOf,
  scratchTree,
  settle,
  show,
  treeFileSet,
} from "./testing.js";

ageTrees();

test("a first Full writes and reads everything, in path order", async () => {
  const root = scratchTree();
  put(root, { a: "1", "a-b": "2", "a.b": "3", "b/a/x": "4", "b/a-b": "5", "b\xff": "6" });
  symlinkSync("nowhere", join(root, "link"));
  const run = await new FakeStorage().run({ fileSet: treeFileSet(root) });
  assert.deepEqual(rowsOf(run), [
    "directory /",
    "file /a",
    "file /a-b",
    "file /a.b",
    "directory /b",
    "directory /b/a",
    "file /b/a/x",
    "file /b/a-b",
    "file /b\xc3\xbf",
    "symlink /link",
  ]);
  assert.equal(run.read.length, 6);
  assert.equal(run.states.length, 10);
  assert.equal(run.totals.examined, 10);
  assert.equal(run.totals.files, 10);
});

test("an unchanged tree: nothing read, no row", async () => {
  const root = scratchTree();
  put(root, { "x/a": "1", "x/b": "2", c: "3", empty: "" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  assert.deepEqual(rowsOf(next), []);
  assert.deepEqual(next.read, []);
  assert.equal(next.states.length, full.states.length);
  const third = await storage.run({ fileSet: treeFileSet(root), level: "Full", own: next });
  assert.deepEqual(third.read, []);
  await assertComplete(third, root);
});

test("content changed with size and mtime kept: found by ctime, and no later Full loses it", async () => {
  const vm = scratchTree();
  const reference = scratchTree();
  for (const root of [vm, reference]) {
    put(root, { "usr/f": "old", "usr/g": "same" });
    settle(root);
  }
  const storage = new FakeStorage();
  const base = await storage.run({ fileSet: treeFileSet(reference), level: "Base" });
  const full = await storage.run({ fileSet: treeFileSet(vm), bases: [base] });
  assert.deepEqual(full.read, []);
  put(vm, { "usr/f": "new" });
  settle(join(vm, "usr/f"));
  const incremental = await storage.run({ fileSet: treeFileSet(vm), level: "Incremental", own: full });
  assert.deepEqual(incremental.read, ["usr/f"]);
  assert.deepEqual(rowsOf(incremental), ["file /usr/f"]);
  const again = await storage.run({ fileSet: treeFileSet(vm), bases: [base], own: incremental });
  assert.deepEqual(again.read, []);
  assert.deepEqual(rowsOf(again), ["file /usr/f"]);
  await assertComplete(again, vm);
});

test("deletions: one row for a subtree, none for what replaced it", async () => {
  const root = scratchTree();
  put(root, { "d/x/1": "1", "d/x/2": "2", "e/1": "1", "f/1": "1", g: "g", "h/1": "1" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  rmSync(join(root, "d/x"), { recursive: true });
  rmSync(join(root, "e"), { recursive: true });
  rmSync(join(root, "g"));
  rmSync(join(root, "h"), { recursive: true });
  put(root, { e: "a file now", "g/1": "a directory now" });
  symlinkSync("f", join(root, "h"));
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  assert.deepEqual(rowsOf(next), [
    "directory /",
    "directory /d",
    "deleted /d/x",
    "file /e",
    "directory /g",
    "file /g/1",
    "symlink /h",
  ]);
  assert.equal(next.totals.deleted, 1);
  await assertComplete(next, root);
});

test("what the FileSet leaves out is deleted against a Base, its saved places below stay", async () => {
  const [vm, reference] = [scratchTree(), scratchTree()];
  for (const root of [vm, reference]) {
    put(root, { "home/u/f": "1", "srv/a/b/f": "1", "srv/c": "2", "usr/f": "3", "var/f": "4" });
    settle(root);
  }
  const storage = new FakeStorage();
  const base = await storage.run({ fileSet: treeFileSet(reference), level: "Base" });
  const fileSet = treeFileSet(vm, {}, ["/usr", "/srv/a/b"]);
  const full = await storage.run({ fileSet, bases: [base] });
  assert.deepEqual(rowsOf(full), ["deleted /home", "deleted /srv/c", "deleted /var"]);
  assert.deepEqual(full.list.map(show), [
    "directory /",
    "directory /srv",
    "directory /srv/a",
    "directory /srv/a/b",
    "file /srv/a/b/f",
    "directory /usr",
    "file /usr/f",
  ]);
});

test("an excluded directory with a root inside it: the root is saved, the rest is not", async () => {
  const root = scratchTree();
  put(root, { "a/x": "1", "m/keep/f": "2", "m/other": "3", z: "4" });
  const fileSet = treeFileSet(root, {}, ["/", "/m/keep"]);
  fileSet.exclude = ["/m"];
  const run = await new FakeStorage().run({ fileSet });
  assert.deepEqual(rowsOf(run), [
    "directory /",
    "directory /a",
    "file /a/x",
    "directory /m/keep",
    "file /m/keep/f",
    "file /z",
  ]);
});

test("content that the pool does not hold is read, though the last run vouches for it", async () => {
  const root = scratchTree();
  put(root, { a: "1", b: "2", c: "3" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  const lost = full.list[2]!.content!.toString("hex");
  const other = await storage.run({
    fileSet: treeFileSet(root),
    own: full,
    isKnown: (digest) => digest !== lost,
  });
  assert.deepEqual(other.read, ["b"]);
  assert.equal(other.claimed, 3);
  const alone = await storage.run({ fileSet: treeFileSet(root), own: full, selfContained: true });
  assert.deepEqual(alone.read, ["a", "b", "c"]);
  assert.equal(alone.claimed, 0);
});

test("letters: a digest reads all, fewer letters read less and still store the entry's own metadata", async () => {
  const root = scratchTree();
  put(root, { a: "1", b: "2" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  const digest = treeFileSet(root, { accurateLetters: "pins5" });
  const all = await storage.run({ fileSet: digest, level: "Incremental", own: full });
  assert.deepEqual(all.read, ["a", "b"]);
  assert.deepEqual(rowsOf(all), []);
  chmodSync(join(root, "a"), 0o600);
  const fewer = treeFileSet(root, { accurateLetters: "ms" });
  const next = await storage.run({ fileSet: fewer, level: "Incremental", own: full });
  assert.deepEqual(next.read, []);
  assert.deepEqual(rowsOf(next), ["file /a"]);
  assert.equal(next.rows[0]!.mode, 0o600);
  await assertComplete(next, root);
  utimesSync(join(root, "a"), 5, 6);
  const never = treeFileSet(root, { accurateLetters: "s" });
  const read = await storage.run({ fileSet: never, level: "Incremental", own: next });
  assert.deepEqual(read.read, ["a"]);
});

test("SampleVerify reads a share of the unread and raises an alarm about silent changes", async () => {
  const root = scratchTree();
  put(root, { a: "1", b: "2" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  full.list[1]!.content = Buffer.alloc(32, 7);
  const next = await storage.run({
    fileSet: treeFileSet(root),
    level: "Incremental",
    own: full,
    samplePercent: 100,
  });
  assert.deepEqual(next.read, ["a", "b"]);
  assert.deepEqual(rowsOf(next), ["file /a"]);
  assert.equal(next.totals.warnings, 1);
  assert.match(next.messages[0]!.text, /SampleVerify: "\/a"/);
});

test("a Differential is written against its Full while the newest run vouches", async () => {
  const root = scratchTree();
  put(root, { a: "1", b: "2", c: "3" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  put(root, { b: "22" });
  const incremental = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  const differential = await storage.run({
    fileSet: treeFileSet(root),
    level: "Differential",
    own: incremental,
    parent: full,
  });
  assert.deepEqual(differential.read, []);
  assert.deepEqual(rowsOf(differential), ["file /b"]);
  await assertComplete(differential, root);
});
