/** Lists that no backup makes: what they say is done inside of the target, or not at all. */
import assert from "node:assert/strict";
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentDigest } from "../../../common/format/content.js";
import { EntryType, emptyRow, encodeXattrs, type Row } from "../../../common/format/row.js";
import { FileStore } from "../../store/file-store.js";
import { runVolumeCommand } from "../cli.js";
import { writeVolume } from "../fixture.js";
import { Directories } from "./directories.js";
import { TreeWriter } from "./writer.js";

async function extract(
  t: TestContext,
  rows: readonly Row[],
  files = new Map<string, Buffer>(),
): Promise<{ status: number; text: string; to: string }> {
  const base = mkdtempSync(join(tmpdir(), "basalt-extract-hostile-"));
  t.after(() => rmSync(base, { recursive: true }));
  const volume = join(base, "volume");
  await writeVolume(new FileStore(), volume, { rows, files, selfContained: false });
  let text = "";
  const add = async (more: string): Promise<void> => {
    text += more;
  };
  const to = join(base, "to");
  const status = await runVolumeCommand(["extract", volume, "--to", to], { out: add, err: add });
  return { status, text, to };
}

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function file(key: string, data: Buffer, more: Partial<Row> = {}): Row {
  const row = { ...emptyRow(key, EntryType.file), ...owner, mode: 0o640, size: data.length };
  return { ...row, content: contentDigest(data), ...more };
}

test("directories far deeper than descriptors are kept get all of their metadata", async (t) => {
  const depth = 400;
  const names = Array.from({ length: depth }, (_, level) => `d${level % 7}`);
  const rows: Row[] = names.map((_, level) => ({
    ...emptyRow(names.slice(0, level + 1).join("\0"), EntryType.directory),
    ...owner,
    mode: 0o750,
    mtimeSec: 1_000_000 + level,
  }));
  const data = Buffer.from("deep");
  rows.push(file(`${names.join("\0")}\0file`, data), file("last", data));
  const before = readdirSync("/proc/self/fd").length;
  const { status, text, to } = await extract(t, rows, new Map([["last", data]]));
  assert.equal(status, 0, text);
  for (const level of [1, 2, 127, 128, 129, 270, 271, 272, 399, 400]) {
    const { mtimeMs, mode } = lstatSync(join(to, ...names.slice(0, level)));
    assert.deepEqual([mtimeMs / 1000, mode & 0o7777], [1_000_000 + level - 1, 0o750], `level ${level}`);
  }
  assert.equal(readFileSync(join(to, ...names, "file"), "utf8"), "deep");
  assert.ok(readdirSync("/proc/self/fd").length <= before, "no descriptor stays behind");
});

test("few descriptors are held on the way down, and a way that was moved is not followed up", (t) => {
  const base = mkdtempSync(join(tmpdir(), "basalt-extract-hostile-"));
  t.after(() => rmSync(base, { recursive: true }));
  const left: string[] = [];
  const directories = new Directories(join(base, "to"), {
    replace: false,
    left: (row, what) => void left.push(`${what} of ${row.key.length}`),
  });
  const key = Array.from({ length: 1000 }, () => "d").join("\0");
  const before = readdirSync("/proc/self/fd").length;
  directories.enter(key, undefined);
  assert.ok(readdirSync("/proc/self/fd").length < before + 140);
  directories.finish();
  assert.deepEqual(left, []);
});

test("names of a hard link group with other contents are files of their own", async (t) => {
  const [one, two] = [Buffer.from("one"), Buffer.from("two")];
  const group = "a";
  const rows = [file("a", one, { group }), file("b", two, { group }), file("c", one, { group })];
  const contents = new Map([
    ["a", one],
    ["b", two],
  ]);
  const { status, to, text } = await extract(t, rows, contents);
  assert.equal(status, 0, text);
  assert.deepEqual(
    ["a", "b", "c"].map((name) => readFileSync(join(to, name), "utf8")),
    ["one", "two", "one"],
  );
  assert.equal(lstatSync(join(to, "a")).ino, lstatSync(join(to, "c")).ino);
});

test("an owner that cannot be given gets no set-id bits, and means no success", async (t) => {
  const data = Buffer.from("#!/bin/sh\n");
  const rows = [file("tool", data, { uid: 0xffff_ffff, mode: 0o6755 })];
  const { to, text } = await extract(t, rows, new Map([["tool", data]]));
  assert.match(text, /not set: owner of \/tool/);
  assert.equal(lstatSync(join(to, "tool")).mode & 0o7777, 0o755);
});

test("times at both ends of what a list can say do no harm", async (t) => {
  const data = Buffer.from("x");
  const times = [2 ** 52 - 1, 1 - 2 ** 52];
  const rows = times.map((mtimeSec, at) => file(`f${at}`, data, { mtimeSec }));
  const { status, text } = await extract(t, rows, new Map([["f0", data]]));
  assert.equal(status, 0, text);
  assert.match(text, /^2 entries extracted, 0 not/m);
});

test("names and targets that are too long fail alone", async (t) => {
  const data = Buffer.from("x");
  const long = { ...emptyRow("l", EntryType.symlink), ...owner, mode: 0o777, target: "t".repeat(60_000) };
  const rows = [file("f", data), long, file("n".repeat(300), data)];
  const { status, text, to } = await extract(t, rows, new Map([["f", data]]));
  assert.equal(status, 1);
  assert.match(text, /not extracted: \/l: .*name too long/);
  assert.match(text, /not extracted: \/nnn.*name too long/);
  assert.deepEqual(readdirSync(to), ["f"]);
});

test("attributes that the file system has no room for keep no other entry back", async (t) => {
  const data = Buffer.from("content");
  // More than a block of ext4, which says ENOSPC then.
  const xattrs = encodeXattrs([{ name: "user.large", value: Buffer.alloc(16_000, 1) }])!;
  const rows = [file("a", data, { xattrs }), file("b", data)];
  const { text, to } = await extract(t, rows, new Map([["a", data]]));
  for (const name of ["a", "b"]) assert.equal(readFileSync(join(to, name), "utf8"), "content", text);
});

test("directories that nobody may go through are still left upwards, far below the root", async (t) => {
  const base = mkdtempSync(join(tmpdir(), "basalt-extract-hostile-"));
  const isRoot = process.geteuid?.() === 0;
  t.after(() => {
    if (isRoot) process.seteuid?.(0);
    rmSync(base, { recursive: true });
  });
  chmodSync(base, 0o777);
  // Root may go through any.
  if (isRoot) process.seteuid?.(65_534);
  const left: string[] = [];
  const writer = new TreeWriter(join(base, "to"), {
    replace: false,
    left: (_row, what, why) => void (what === "owner" || left.push(`${what}: ${why}`)),
  });
  const names = Array.from({ length: 200 }, () => "d");
  for (let level = 1; level <= names.length; level++)
    writer.directory({ ...emptyRow(names.slice(0, level).join("\0"), EntryType.directory), mode: 0o600 });
  for (let level = names.length - 1; level > 0; level--)
    await writer.file(emptyRow(`${names.slice(0, level).join("\0")}\0f`, EntryType.file), async () => {});
  writer.finish();
  assert.deepEqual(left, []);
});

test("a symbolic link, fifo or device that fails leaves no temporary name behind", async (t) => {
  const base = mkdtempSync(join(tmpdir(), "basalt-extract-hostile-"));
  t.after(() => rmSync(base, { recursive: true }));
  const left = (): void => {
    throw Object.assign(new Error("no room"), { code: "ENOSPC", syscall: "x" });
  };
  const writer = new TreeWriter(base, { replace: true, left });
  const xattrs = encodeXattrs([{ name: "user.no", value: Buffer.alloc(1) }])!;
  const link = { ...emptyRow("link", EntryType.symlink), ...owner, target: "x", xattrs };
  // Linux takes no user attributes on a symbolic link.
  assert.throws(() => writer.special(link), /no room/);
  writer.abort();
  assert.deepEqual(readdirSync(base), []);
});
