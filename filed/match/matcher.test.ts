import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EntryType } from "../../common/format/row.js";
import { nowMs, setClock } from "../../common/time.js";
import { DirectoryHandle } from "../sys/stat.js";
import { FakeStorage, plain, type Run, scratchTree, show, treeFileSet } from "./testing.js";

// The trees are made in the very moment they are walked: they count as old all the same.
setClock(() => Date.now() + 60_000);

function put(root: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

/** Two trees that an installer could have made: same times everywhere. */
function settle(root: string): void {
  execFileSync("find", [root, "-exec", "touch", "-h", "-d", "2026-01-02 03:04:05.678", "{}", "+"]);
}

/** The run's effective list is what a first run into an empty pool would say about the tree. */
async function assertComplete(run: Run, root: string, options = {}): Promise<void> {
  const fresh = await new FakeStorage().run({ fileSet: treeFileSet(root, options) });
  assert.deepEqual(run.list.map(plain), fresh.rows.map(plain));
}

const rowsOf = (run: Run): string[] => run.rows.map(show);

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
