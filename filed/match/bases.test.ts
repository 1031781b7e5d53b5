import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
} from "node:fs";
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
  treeFileSet,
} from "./testing.js";

ageTrees();

test("rule 2: a first run takes from the Base what has equal metadata, and reads the rest", async () => {
  const vm = scratchTree();
  const reference = scratchTree();
  for (const root of [vm, reference]) {
    put(root, {
      "etc/same": "s",
      "etc/mode": "m",
      "etc/owner": "o",
      "etc/time": "t",
      "etc/xattr": "x",
      "etc/size": "zz",
    });
    symlinkSync("target", join(root, "etc/link"));
    settle(root);
  }
  chmodSync(join(vm, "etc/mode"), 0o4755);
  chownSync(join(vm, "etc/owner"), 12, 34);
  utimesSync(join(vm, "etc/time"), 1, 2);
  execFileSync("setfattr", ["-n", "user.a", "-v", "b", join(vm, "etc/xattr")]);
  truncateSync(join(vm, "etc/size"), 1);
  execFileSync("touch", ["-d", "2026-01-02 03:04:05.678", join(vm, "etc/size")]);
  put(vm, { "etc/own": "only here" });
  const storage = new FakeStorage();
  const base = await storage.run({ fileSet: treeFileSet(reference), level: "Base" });
  const full = await storage.run({ fileSet: treeFileSet(vm), bases: [base] });
  assert.deepEqual(full.read.sort(), [
    "etc/mode",
    "etc/own",
    "etc/owner",
    "etc/size",
    "etc/time",
    "etc/xattr",
  ]);
  assert.deepEqual(rowsOf(full), [
    "directory /etc",
    "file /etc/mode",
    "file /etc/own",
    "file /etc/owner",
    "file /etc/size",
    "file /etc/time",
    "file /etc/xattr",
  ]);
  assert.equal(full.totals.baseFiles, 2);
  assert.equal(full.totals.usedFiles, 7);
  await assertComplete(full, vm);
});

test("rule 2 is for paths that the machine never had: a changed own file is read", async () => {
  const vm = scratchTree();
  const reference = scratchTree();
  for (const root of [vm, reference]) {
    put(root, { f: "one" });
    settle(root);
  }
  const storage = new FakeStorage();
  const base = await storage.run({ fileSet: treeFileSet(reference), level: "Base" });
  const full = await storage.run({ fileSet: treeFileSet(vm), bases: [base] });
  put(vm, { f: "two" });
  settle(vm);
  const second = await storage.run({ fileSet: treeFileSet(vm), bases: [base], own: full });
  assert.deepEqual(second.read, ["f"]);
  await assertComplete(second, vm);
});

test("several Bases: any of them vouches, the first one is the overlay", async () => {
  const [vm, first, second] = [scratchTree(), scratchTree(), scratchTree()];
  put(first, { "d/both": "first", "d/first": "1", gone: "x", odd: "file" });
  put(second, { "d/both": "two", "d/second": "2", "odd/below": "b" });
  put(vm, { "d/both": "two", "d/first": "1", "d/second": "2", "odd/below": "b" });
  for (const root of [vm, first, second]) settle(root);
  const storage = new FakeStorage();
  const bases = [
    await storage.run({ fileSet: treeFileSet(first), level: "Base" }),
    await storage.run({ fileSet: treeFileSet(second), level: "Base" }),
  ];
  const full = await storage.run({ fileSet: treeFileSet(vm), bases });
  assert.deepEqual(full.read, []);
  assert.deepEqual(rowsOf(full), ["file /d/both", "deleted /gone", "directory /odd", "file /odd/below"]);
  await assertComplete(full, vm);
});

test("Bases with equal metadata and different content vouch for neither: the file is read", async () => {
  const [vm, first, second] = [scratchTree(), scratchTree(), scratchTree()];
  put(first, { release: "one", same: "1" });
  put(second, { release: "two", same: "1" });
  put(vm, { release: "two", same: "1" });
  for (const root of [vm, first, second]) settle(root);
  const storage = new FakeStorage();
  const bases = [
    await storage.run({ fileSet: treeFileSet(first), level: "Base" }),
    await storage.run({ fileSet: treeFileSet(second), level: "Base" }),
  ];
  const full = await storage.run({ fileSet: treeFileSet(vm), bases });
  assert.deepEqual(full.read, ["release"]);
  assert.deepEqual(rowsOf(full), ["file /release"]);
  await assertComplete(full, vm);
});

test("hard links: read once, linked to the first path, rewritten when the first one goes", async () => {
  const root = scratchTree();
  put(root, { "d/b": "linked", z: "alone" });
  linkSync(join(root, "d/b"), join(root, "d/c"));
  linkSync(join(root, "d/b"), join(root, "e"));
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  assert.deepEqual(full.read, ["d/b", "z"]);
  assert.deepEqual(rowsOf(full).slice(2, 5), ["file /d/b =d/b", "file /d/c =d/b", "file /e =d/b"]);
  assert.ok(full.list[3]!.content!.equals(full.list[2]!.content!));
  const same = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  assert.deepEqual(rowsOf(same), []);
  assert.deepEqual(same.read, []);
  // The directory moves behind the other member: no ctime of a file changes, but the first path does.
  renameSync(join(root, "d"), join(root, "f"));
  const moved = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: same });
  assert.deepEqual(rowsOf(moved), [
    "directory /",
    "deleted /d",
    "file /e =e",
    "directory /f",
    "file /f/b =e",
    "file /f/c =e",
  ]);
  assert.deepEqual(moved.read, []);
  await assertComplete(moved, root);
  rmSync(join(root, "e"));
  const fewer = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: moved });
  assert.deepEqual(rowsOf(fewer), ["directory /", "deleted /e", "file /f/b =f/b", "file /f/c =f/b"]);
  await assertComplete(fewer, root);
});

test("hard-linked in the reference, separate in the VM: not mixed up", async () => {
  const [vm, reference] = [scratchTree(), scratchTree()];
  put(reference, { a: "text" });
  linkSync(join(reference, "a"), join(reference, "b"));
  put(vm, { a: "text", b: "text" });
  for (const root of [vm, reference]) settle(root);
  const storage = new FakeStorage();
  const base = await storage.run({ fileSet: treeFileSet(reference), level: "Base" });
  const full = await storage.run({ fileSet: treeFileSet(vm), bases: [base] });
  assert.deepEqual(rowsOf(full), ["file /a", "file /b"]);
  assert.deepEqual(full.read, ["a", "b"]);
  await assertComplete(full, vm);
});
