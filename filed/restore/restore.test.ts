import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { EntryType, encodeXattrs, type Row, RowFlag } from "../../common/format/row.js";
import { getXattr } from "../../common/sys/xattr.js";
import { asRoot } from "../../common/test-needs.js";
import { RestoreKind } from "../../proto/data/restore.js";
import { DirectoryHandle, newStat } from "../sys/stat.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
import type { RestoreOptions } from "./restore.js";

import {
  data,
  end,
  file,
  leftovers,
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

test("a tree of every kind comes back with its metadata", async () => {
  const content = noise(5000, 1);
  const folder = row("a", EntryType.directory, { mode: 0o2750, mtimeSec: -5, mtimeNsec: 250_000_000 });
  const plain = file("a/file", content, { mode: 0o4755, mtimeSec: 1_234_567_890, mtimeNsec: 123_456_789 });
  const link = row("a/link", EntryType.symlink, { target: "/etc/p\xe4sswd", mtimeNsec: 7 });
  const fifo = row("a/fifo", EntryType.fifo, { mode: 0o620 });
  const root = row("", EntryType.directory, { mode: 0o711 });
  const group = { group: "a\0file" };
  const { totals, errors, released } = await restore(
    [
      rows(RestoreKind.make, root, folder, link, fifo, file("a/empty", Buffer.alloc(0), { mode: 0o400 })),
      data([{ ...plain, ...group }, content]),
      rows(RestoreKind.links, row("z-link", EntryType.file, { ...plain, key: "z-link", ...group })),
      rows(RestoreKind.folders, folder, root),
      end({ files: 7 }),
    ],
    { reportFiles: true },
  );
  assert.deepEqual(errors, []);
  assert.deepEqual(totals, { files: 7, bytes: 10_000, failed: 0, warnings: 0 });
  assert.equal(released, 4);
  const dir = DirectoryHandle.open(undefined, `${where}/a`);
  const st = newStat();
  dir.stat("file", st);
  assert.deepEqual([st.mode, st.mtimeSec, st.mtimeNsec, st.links], [0o4755, 1_234_567_890, 123_456_789, 2]);
  assert.ok(readFileSync(`${where}/z-link`).equals(content));
  dir.stat("link", st);
  assert.deepEqual([st.mtimeSec, st.mtimeNsec], [1_000_000, 7]);
  assert.equal(dir.readlink("link"), "/etc/p\xe4sswd");
  dir.stat("fifo", st);
  assert.deepEqual([st.type, st.mode], [EntryType.fifo, 0o620]);
  dir.stat("empty", st);
  assert.deepEqual([st.size, st.mode], [0, 0o400]);
  dir.statSelf(st);
  assert.deepEqual([st.mode, st.mtimeSec, st.mtimeNsec], [0o2750, -5, 250_000_000]);
  dir.close();
  assert.equal(statSync(where).mode & 0o777, 0o711);
  assert.deepEqual(leftovers(where), []);
});

test("owners, devices, ACLs and capabilities as root", async (t) => {
  if (!asRoot(t)) return;
  const content = Buffer.from("#!/bin/sh\n");
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  const acl = Buffer.from(
    "0200000001000700ffffffff02000500e803000004000500ffffffff10000500ffffffff20000100ffffffff",
    "hex",
  );
  const xattrs = encodeXattrs([
    { name: "security.capability", value: capability },
    { name: "system.posix_acl_access", value: acl },
  ]);
  const program = file("program", content, { uid: 1234, gid: 70_000, mode: 0o751, xattrs });
  const device = row("null", EntryType.charDevice, { mode: 0o666, major: 1, minor: 3, uid: 5 });
  const { errors, totals } = await restore([rows(RestoreKind.make, device), data([program, content]), end()]);
  assert.deepEqual(errors, []);
  assert.equal(totals.warnings, 0);
  const st = statSync(`${where}/program`);
  assert.deepEqual([st.uid, st.gid, st.mode & 0o7777], [1234, 70_000, 0o751]);
  assert.deepEqual(getXattr(`${where}/program`, "security.capability"), capability);
  assert.deepEqual(getXattr(`${where}/program`, "system.posix_acl_access"), acl);
  assert.deepEqual([statSync(`${where}/null`).rdev, statSync(`${where}/null`).mode & 0o777], [0x103, 0o666]);
});

test("attributes that the file system has no room for keep no other file back", async () => {
  // More than a block of ext4, which says ENOSPC then.
  const xattrs = encodeXattrs([{ name: "user.large", value: Buffer.alloc(16_000, 1) }])!;
  const content = noise(100, 1);
  const first = file("a", content, { xattrs });
  const { errors } = await restore([data([first, content]), data([file("b", content), content]), end()]);
  assert.deepEqual(errors, []);
  for (const name of ["a", "b"]) assert.ok(readFileSync(`${where}/${name}`).equals(content));
});

test("files in pieces: out of order, sparse, of zeros only", async () => {
  const parts = { flags: RowFlag.parts, content: Buffer.alloc(32, 9) };
  const first = noise(300_000, 1);
  const second = noise(300_000, 2);
  const dense = row("dense", EntryType.file, { size: 3_000_000, ...parts });
  const sparse = row("sparse", EntryType.file, {
    size: 50_000_000,
    ...parts,
    flags: RowFlag.parts | RowFlag.sparse,
  });
  const zeros = row("zeros", EntryType.file, { size: 2_000_000, ...parts });
  const holed = Buffer.concat([Buffer.alloc(65_536), noise(4096, 3), Buffer.alloc(65_536)]);
  const { totals, errors } = await restore([
    pieces(dense, { at: 2_700_000, bytes: second }),
    pieces(sparse, { at: 40_960_000, bytes: holed }),
    pieces(dense, { at: 0, bytes: first }),
    rows(RestoreKind.finish, dense, sparse, zeros),
    end(),
  ]);
  assert.deepEqual(errors, []);
  assert.deepEqual([totals.files, totals.bytes], [3, 55_000_000]);
  const expected = Buffer.alloc(3_000_000);
  first.copy(expected, 0);
  second.copy(expected, 2_700_000);
  assert.ok(readFileSync(`${where}/dense`).equals(expected));
  const sparseBytes = readFileSync(`${where}/sparse`);
  assert.equal(sparseBytes.length, 50_000_000);
  assert.ok(sparseBytes.subarray(40_960_000, 40_960_000 + holed.length).equals(holed));
  assert.ok(statSync(`${where}/sparse`).blocks * 512 < 1_000_000);
  assert.ok(statSync(`${where}/dense`).blocks * 512 >= 3_000_000, "no holes where there were none");
  assert.ok(statSync(`${where}/zeros`).blocks * 512 >= 2_000_000);
  assert.deepEqual(leftovers(where), []);
});

test("a link where the plan has a directory makes way by the rule, the rest follows", async () => {
  const outside = `${top}/outside`;
  mkdirSync(outside);
  mkdirSync(where);
  symlinkSync(outside, `${where}/dir`);
  const plan = [
    rows(RestoreKind.make, row("dir", EntryType.directory)),
    data([file("dir/x", Buffer.from("x")), Buffer.from("x")]),
    end(),
  ];
  const kept = await restore(plan, { replace: "never" });
  assert.equal(kept.totals.failed, 1);
  assert.deepEqual(readdirSync(outside), []);
  const replaced = await restore(plan);
  assert.equal(replaced.totals.failed, 0);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(readFileSync(`${where}/dir/x`, "latin1"), "x");
});

test("replace rules", async () => {
  const names = ["older", "same", "newer"];
  const run = async (replace: "always" | "ifnewer" | "ifolder" | "never"): Promise<[string, Outcome]> => {
    removeTreeIfThere(where);
    mkdirSync(where);
    names.forEach((name, i) => {
      writeFileSync(`${where}/${name}`, "old");
      utimesSync(`${where}/${name}`, 0, 999_999 + i);
    });
    const bytes = Buffer.from("new");
    const list = names.map((name): [Row, Buffer] => [file(name, bytes), bytes]);
    const outcome = await restore([data(...list, [file("missing", bytes), bytes]), end()], { replace });
    return [names.filter((name) => readFileSync(`${where}/${name}`, "latin1") === "new").join(), outcome];
  };
  assert.equal((await run("always"))[0], "older,same,newer");
  assert.equal((await run("ifnewer"))[0], "older");
  assert.equal((await run("ifolder"))[0], "newer");
  const [done, { totals, messages }] = await run("never");
  assert.equal(done, "");
  assert.deepEqual([totals.files, totals.failed], [1, 0]);
  assert.deepEqual(
    messages.map(({ type }) => type),
    ["skipped", "skipped", "skipped"],
  );
  assert.match(messages[0]!.text, /^File skipped\. Already exists: .*\/where\//);
});

function removeTreeIfThere(path: string): void {
  if (existsSync(path)) removeTree(path);
}

test("what stands in the way: directories, links to share, read-only files", async () => {
  mkdirSync(`${where}/full/sub`, { recursive: true });
  mkdirSync(`${where}/empty`);
  writeFileSync(`${where}/shared`, "keep");
  linkSync(`${where}/shared`, `${where}/twin`);
  writeFileSync(`${where}/file-for-dir`, "");
  chmodSync(`${where}/shared`, 0o444);
  const bytes = Buffer.from("new");
  const { errors, totals } = await restore([
    rows(RestoreKind.make, row("file-for-dir", EntryType.directory), row("empty", EntryType.fifo)),
    data(
      [file("full", bytes), bytes],
      [file("shared", bytes), bytes],
      [file("file-for-dir/x", bytes), bytes],
    ),
    rows(RestoreKind.finish),
    rows(RestoreKind.links, row("twin2", EntryType.file, { group: "shared" })),
    end(),
  ]);
  assert.equal(errors.length, 1);
  assert.match(errors[0]!, /full: a directory that is not empty is in the way/);
  assert.equal(totals.files, 5);
  assert.equal(readFileSync(`${where}/twin`, "latin1"), "keep");
  assert.equal(readFileSync(`${where}/shared`, "latin1"), "new");
  assert.ok(lstatSync(`${where}/empty`).isFIFO());
  assert.equal(statSync(`${where}/shared`).ino, statSync(`${where}/twin2`).ino);
  assert.deepEqual(leftovers(where), []);
});

test("links: again over themselves, over another file, to nothing", async () => {
  const bytes = Buffer.from("first");
  const plan = [
    data([file("first", bytes, { group: "first" }), bytes]),
    rows(
      RestoreKind.links,
      row("second", EntryType.file, { group: "first" }),
      row("third", EntryType.file, { group: "missing" }),
    ),
    end(),
  ];
  for (let round = 0; round < 2; round++) {
    const { errors } = await restore(plan, { replace: round === 0 ? "always" : "never" });
    assert.equal(errors.length, 1);
    assert.match(errors[0]!, /third: no such file or directory/);
    assert.equal(statSync(`${where}/first`).nlink, 2);
  }
  const again = await restore(plan);
  assert.equal(again.errors.length, 1);
  assert.equal(statSync(`${where}/second`).ino, statSync(`${where}/first`).ino);
  assert.deepEqual(leftovers(where), []);
});
