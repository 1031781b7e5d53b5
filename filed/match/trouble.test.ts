import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EntryType } from "../../common/format/row.js";
import { nowMs, setClock } from "../../common/time.js";
import { DirectoryHandle } from "../sys/stat.js";
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

test("a hard-linked file whose first name vanishes is read by its next one", async () => {
  const root = scratchTree();
  put(root, { a: "text" });
  linkSync(join(root, "a"), join(root, "b"));
  linkSync(join(root, "a"), join(root, "c"));
  const storage = new FakeStorage();
  const beforeRead = (task: { key: string }) =>
    (task.key === "a" ? "vanished" : "read") as "vanished" | "read";
  const run = await storage.run({ fileSet: treeFileSet(root), beforeRead });
  assert.deepEqual(rowsOf(run), ["directory /", "file /b =b", "file /c =b"]);
  assert.deepEqual(run.read, ["b"]);
  assert.equal(run.totals.warnings, 1);
});

test("a directory that cannot be entered deletes nothing", async () => {
  const root = scratchTree();
  put(root, { "d/in/f": "1", "d/g": "2", "e/f": "3" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  rmSync(join(root, "e/f"));
  const names = DirectoryHandle.prototype.names;
  DirectoryHandle.prototype.names = function (this: DirectoryHandle) {
    const found = names.call(this);
    if (found.includes("in") && found.includes("g"))
      throw Object.assign(new Error("input/output error"), { code: "EIO" });
    return found;
  };
  try {
    const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
    assert.deepEqual(rowsOf(next), [
      "file /d/g (unverified)",
      "directory /d/in (unverified)",
      "file /d/in/f (unverified)",
      "directory /e",
      "deleted /e/f",
    ]);
    assert.match(next.messages[0]!.text, /Could not open directory "\/d"/);
    assert.equal(next.totals.errors, 1);
    const again = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: next });
    assert.deepEqual(rowsOf(again), []);
    DirectoryHandle.prototype.names = names;
    const well = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: again });
    assert.deepEqual(well.read, ["d/g", "d/in/f"]);
    await assertComplete(well, root);
  } finally {
    DirectoryHandle.prototype.names = names;
  }
});

test("an unreadable directory in a Full keeps what the machine's own last run knew", async () => {
  const [vm, reference] = [scratchTree(), scratchTree()];
  put(reference, { "d/base": "b", "d/gone": "g", "d/in": "i" });
  put(vm, { "d/base": "b", "d/own": "o", "d/in": "i" });
  for (const root of [vm, reference]) settle(root);
  const storage = new FakeStorage();
  const base = await storage.run({ fileSet: treeFileSet(reference), level: "Base" });
  const first = await storage.run({ fileSet: treeFileSet(vm), bases: [base] });
  const names = DirectoryHandle.prototype.names;
  DirectoryHandle.prototype.names = function (this: DirectoryHandle) {
    const found = names.call(this);
    if (found.includes("own")) throw Object.assign(new Error("input/output error"), { code: "EIO" });
    return found;
  };
  try {
    const second = await storage.run({ fileSet: treeFileSet(vm), bases: [base], own: first });
    assert.deepEqual(second.list.map(show), [
      "directory /",
      "directory /d",
      "file /d/base (unverified)",
      "file /d/in (unverified)",
      "file /d/own (unverified)",
    ]);
  } finally {
    DirectoryHandle.prototype.names = names;
  }
});

test("a file that cannot be read keeps its row, marked; one that vanishes is deleted", async () => {
  const root = scratchTree();
  put(root, { a: "1", b: "2", c: "3" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  put(root, { a: "11", b: "22", c: "33", d: "44" });
  const beforeRead = ({ key }: { key: string }) =>
    ({ a: "failed", b: "vanished", c: "unstable", d: "failed" })[key] as "failed" | "vanished" | "unstable";
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full, beforeRead });
  assert.deepEqual(rowsOf(next), ["directory /", "file /a (unverified)", "deleted /b", "file /c (unstable)"]);
  assert.equal(next.rows[1]!.size, 1);
  assert.deepEqual(
    next.states.map((row) => row.key),
    [""],
  );
  assert.equal(next.totals.errors, 2);
  assert.equal(next.totals.warnings, 2);
  const third = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: next });
  assert.deepEqual(third.read, ["a", "b", "c", "d"]);
  await assertComplete(third, root);
});

test("a file that changed while it was read is read again next time", async () => {
  const root = scratchTree();
  put(root, { a: "1" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root), beforeRead: () => "unstable" });
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  assert.deepEqual(next.read, ["a"]);
  assert.deepEqual(rowsOf(next), ["file /a"]);
  const third = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: next });
  assert.deepEqual(third.read, []);
});

test("a file that changed within the last tick of the clock gets no state", async () => {
  const root = scratchTree();
  put(root, { a: "1" });
  const storage = new FakeStorage();
  setClock(() => Date.now() - 1000);
  const full = await storage.run({ fileSet: treeFileSet(root) });
  setClock(() => Date.now() + 60_000);
  assert.ok(nowMs() > Date.now());
  assert.deepEqual(full.states, []);
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  assert.deepEqual(next.read, ["a"]);
  assert.deepEqual(rowsOf(next), []);
});

test("damaged content is read again", async () => {
  const root = scratchTree();
  put(root, { a: "1", b: "2" });
  const storage = new FakeStorage();
  const full = await storage.run({ fileSet: treeFileSet(root) });
  full.list[1]!.flags |= 16;
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: full });
  assert.deepEqual(next.read, ["a"]);
  assert.deepEqual(rowsOf(next), ["file /a"]);
});

test("an empty root where there was something fails the job, at any level", async () => {
  const root = scratchTree();
  const storage = new FakeStorage();
  put(root, { a: "1" });
  const full = await storage.run({ fileSet: treeFileSet(root) });
  rmSync(join(root, "a"));
  for (const level of ["Full", "Incremental"] as const) {
    const run = storage.run({ fileSet: treeFileSet(root), level, own: full });
    await assert.rejects(run, { code: "ROOT_EMPTY" });
  }
  await assert.rejects(storage.run({ fileSet: treeFileSet(root), bases: [full] }), { code: "ROOT_EMPTY" });
  const none = await storage.run({ fileSet: treeFileSet(root) });
  assert.deepEqual(rowsOf(none), ["directory /"]);
});

test("a missing root fails the job with its name", async () => {
  const root = scratchTree();
  const fileSet = treeFileSet(root, {}, ["/etc", "/none"]);
  mkdirSync(join(root, "etc"));
  await assert.rejects(new FakeStorage().run({ fileSet }), /none.*does not exist/);
  await assert.rejects(
    new FakeStorage().run({ fileSet: treeFileSet(`${root}/not-mounted`) }),
    /is the snapshot mounted/,
  );
});

test("devices, fifos, sockets, odd names", async () => {
  const root = scratchTree();
  const odd = Buffer.from([0x01, 0x0a, 0x80, 0xff, 0x22]);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), odd]), "odd");
  execFileSync("mkfifo", [join(root, "pipe")]);
  const script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])";
  execFileSync("python3", ["-c", script, join(root, "socket")]);
  execFileSync("mknod", [join(root, "null"), "c", "1", "3"]);
  const storage = new FakeStorage();
  const run = await storage.run({ fileSet: treeFileSet(root) });
  assert.deepEqual(
    run.rows.map((row) => [row.key, row.type]),
    [
      ["", EntryType.directory],
      [odd.toString("latin1"), EntryType.file],
      ["null", EntryType.charDevice],
      ["pipe", EntryType.fifo],
    ],
  );
  assert.deepEqual([run.rows[2]!.major, run.rows[2]!.minor], [1, 3]);
  assert.deepEqual(run.messages, [{ type: "info", text: "1 socket skipped" }]);
  const next = await storage.run({ fileSet: treeFileSet(root), level: "Incremental", own: run });
  assert.deepEqual(rowsOf(next), []);
});

test("an abort ends the run with its reason", async () => {
  const root = scratchTree();
  put(root, { a: "1" });
  const controller = new AbortController();
  const reason = new Error("enough");
  const beforeRead = (): "read" => {
    controller.abort(reason);
    return "read";
  };
  const run = new FakeStorage().run({ fileSet: treeFileSet(root), signal: controller.signal, beforeRead });
  await assert.rejects(run, reason);
});
