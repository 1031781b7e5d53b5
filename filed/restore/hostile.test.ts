import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, RowFlag } from "../../common/format/row.js";
import { Compressor } from "../../common/format/zstd.js";
import { closeFd, openAt } from "../../common/sys/files.js";
import { encodeData, RestoreKind } from "../../proto/data/restore.js";
import { DirectoryHandle, newStat } from "../sys/stat.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
import type { RestoreOptions } from "./restore.js";

import {
  block,
  data,
  end,
  file,
  noise,
  type Outcome,
  pieces,
  restoreInto,
  row,
  rows,
} from "./test-messages.js";

let top = "";
let where = "";
beforeEach(() => {
  top = testDirectory("restore");
  where = `${top}/where`;
});
afterEach(() => removeTree(top));

/** Into this test's own directory unless told otherwise. */
const restore = (messages: Buffer[], options: Partial<RestoreOptions> = {}): Promise<Outcome> =>
  restoreInto(messages, { where, ...options });

test("names that would leave the target are refused by the format", async () => {
  for (const key of ["..\0x", "a\0..\0x", ".", "a\0\0b", "a/b"]) {
    const hostile = { ...row("x", EntryType.directory), key };
    await assert.rejects(restore([rows(RestoreKind.make, hostile), end()]), { code: "PROTOCOL_ERROR" }, key);
  }
});

test("a link in the target leads nobody outside", async () => {
  const outside = `${top}/outside`;
  mkdirSync(outside);
  mkdirSync(where);
  symlinkSync(outside, `${where}/trap`);
  const { totals, errors } = await restore([
    rows(RestoreKind.make, row("evil", EntryType.symlink, { target: outside })),
    data(
      [file("trap/one", Buffer.from("1")), Buffer.from("1")],
      [file("evil/two", Buffer.from("2")), Buffer.from("2")],
      [file("good", Buffer.from("3")), Buffer.from("3")],
    ),
    rows(RestoreKind.links, row("trap/three", EntryType.file, { group: "good" })),
    rows(RestoreKind.folders, row("evil", EntryType.directory, { mode: 0o777 })),
    end({ failed: 1 }),
  ]);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(statSync(outside).mode & 0o777, 0o755);
  assert.equal(errors.length, 4);
  assert.match(errors[0]!, /where\/(trap\/one|evil\/two): .*symbolic link.*not followed/);
  assert.deepEqual([totals.files, totals.failed], [2, 5]);
  assert.equal(readFileSync(`${where}/good`, "latin1"), "3");
});

test("damaged data fails its files alone", async () => {
  const bytes = noise(1000, 1);
  const bad = file("bad", bytes, {});
  const good = file("good", bytes, {});
  const parts = row("parts", EntryType.file, {
    size: 10_000,
    flags: RowFlag.parts,
    content: Buffer.alloc(32, 1),
  });
  const broken = data([file("torn", bytes), bytes]);
  // In the header of the frame's only block, behind which come the bytes as they are and a checksum of 4.
  broken[broken.length - 4 - bytes.length - 1]! ^= 0xff;
  // The digest decides: a checksum that is wrong spoils no file.
  const harmless = data([file("whole", bytes), bytes]);
  harmless[harmless.length - 1]! ^= 1;
  const { errors, totals } = await restore([
    harmless,
    pieces(bad, { at: 0, bytes, digest: Buffer.alloc(32, 1) }),
    pieces(parts, { at: 0, bytes }),
    pieces(parts, { at: 5000, bytes, digest: Buffer.alloc(32, 1) }),
    broken,
    data([good, bytes]),
    rows(RestoreKind.finish, parts),
    end(),
  ]);
  assert.deepEqual([totals.files, totals.failed], [2, 3]);
  assert.ok(errors.some((text) => /bad: its data on the volume is damaged \(digest differs\)/.test(text)));
  assert.ok(errors.some((text) => /torn: its data on the volume is damaged \(zstd frame/.test(text)));
  assert.ok(errors.some((text) => /parts: left out/.test(text)));
  assert.deepEqual(readdirSync(where).sort(), ["good", "whole"]);
});

test("garbled messages and wrong order end the restore, in words", async () => {
  const bytes = noise(100, 1);
  const small = file("f", bytes);
  const outOfRange = encodeData(
    block([small]),
    [{ row: 0, fileOffset: 0, frameOffset: 50, length: 100, digest: contentDigest(bytes) }],
    100,
    new Compressor(1).compress(bytes),
  );
  const cases = [
    [outOfRange],
    [Buffer.of(RestoreKind.make, 9, 9)],
    [Buffer.of(200)],
    [Buffer.alloc(0)],
    [rows(RestoreKind.folders), rows(RestoreKind.make)],
  ];
  for (const messages of cases)
    await assert.rejects(restore([...messages, end()]), { code: "PROTOCOL_ERROR" });
  await assert.rejects(restore([rows(RestoreKind.make)]), { code: "RESTORE_INCOMPLETE" });
});

test("hostile rows fail alone", async () => {
  const { errors, totals } = await restore([
    rows(
      RestoreKind.make,
      row("gone", EntryType.deleted),
      file("no-content", Buffer.from("x")),
      row("long".padEnd(300, "g"), EntryType.fifo),
      row("fine", EntryType.fifo),
    ),
    data([row("dir", EntryType.file, { size: 1, content: Buffer.alloc(32) }), Buffer.from("x")]),
    end(),
  ]);
  assert.equal(totals.failed, 3);
  assert.equal(errors.length, 3);
  assert.ok(errors.some((text) => /name too long/.test(text)));
  assert.deepEqual(readdirSync(where).sort(), ["dir", "fine"]);
});

test("restore roots: nothing outside of what the client allows", async () => {
  mkdirSync(`${top}/allowed`);
  const bytes = Buffer.from("x");
  const plan = [
    rows(
      RestoreKind.make,
      row("", EntryType.directory),
      row("allowed", EntryType.directory),
      row("other", EntryType.directory),
    ),
    data([file("allowed/x", bytes), bytes], [file("other/x", bytes), bytes]),
    rows(RestoreKind.links, row("allowed/link", EntryType.file, { group: "secret" })),
    end(),
  ];
  writeFileSync(`${top}/secret`, "secret");
  const restoreRoots = [`${top}/allowed`];
  const { errors, totals } = await restore(plan, { where: top, restoreRoots });
  assert.equal(errors.length, 3);
  assert.match(errors[0]!, /other: not below a directory in which this client allows restores/);
  assert.deepEqual([totals.files, totals.failed], [2, 3]);
  assert.deepEqual(readdirSync(top).sort(), ["allowed", "secret"]);
  await assert.rejects(restore([end()], { restoreRoots }), { code: "RESTORE_TARGET" });
  assert.ok(!existsSync(where));
  await restore([end()], { where: `${top}/allowed/new/dir`, restoreRoots });
  assert.ok(existsSync(`${top}/allowed/new/dir`));
  for (const bad of ["relative", `${top}/allowed/../other`, `${top}/secret/x`]) {
    await assert.rejects(restore([end()], { where: bad }), { code: "RESTORE_TARGET" });
  }
});

test("paths beyond 4,096 bytes and deeper than the descriptors kept", async () => {
  const deep = Array.from({ length: 300 }, (_, i) => `level-${i}-${"x".repeat(12)}`);
  const keys = deep.map((_, i) => deep.slice(0, i + 1).join("/"));
  const bytes = Buffer.from("deep");
  const folders = keys.map((key) => row(key, EntryType.directory, { mode: 0o700 }));
  const { totals, errors } = await restore([
    rows(RestoreKind.make, ...folders),
    data([file(`${keys[299]}/leaf`, bytes), bytes], [file(`${keys[3]}/leaf`, bytes), bytes]),
    rows(RestoreKind.folders, ...folders),
    end(),
  ]);
  assert.deepEqual(errors, []);
  assert.equal(totals.files, 302);
  let dir = DirectoryHandle.open(undefined, where);
  for (const name of deep) {
    const next = DirectoryHandle.open(dir, name);
    dir.close();
    dir = next;
  }
  closeFd(openAt(dir.fd, "leaf", 0));
  const st = newStat();
  dir.statSelf(st);
  assert.equal(st.mtimeSec, 1_000_000);
  dir.close();
});

test("parents without an entry of their own are made", async () => {
  const bytes = Buffer.from("x");
  const { totals } = await restore([data([file("no/entry/here", bytes), bytes]), end()]);
  assert.equal(totals.files, 1);
  assert.equal(statSync(`${where}/no/entry`).mode & 0o777, 0o755 & ~process.umask());
});

test("a cancel ends the restore and removes what was not finished", async () => {
  const controller = new AbortController();
  const parts = row("big", EntryType.file, {
    size: 1_000_000,
    flags: RowFlag.parts,
    content: Buffer.alloc(32, 1),
  });
  async function* incoming(): AsyncGenerator<Buffer> {
    yield pieces(parts, { at: 0, bytes: noise(1000, 1) });
    yield rows(RestoreKind.finish);
    controller.abort(new Error("canceled by the operator"));
    await new Promise(() => undefined);
  }
  const stream = { incoming: incoming() };
  await assert.rejects(restore([], { stream, signal: controller.signal }), /canceled by the operator/);
  assert.deepEqual(readdirSync(where), []);
});

test("no descriptor and no thread stays behind", async () => {
  const before = readdirSync("/proc/self/fd").length;
  const bytes = Buffer.from("x");
  for (let i = 0; i < 3; i++) await restore([data([file("a/b/c", bytes), bytes]), end()]);
  assert.equal(readdirSync("/proc/self/fd").length, before);
  assert.equal(readlinkSync("/proc/self/cwd"), process.cwd());
});
