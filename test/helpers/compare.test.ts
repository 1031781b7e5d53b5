import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot } from "../../common/test-needs.js";
import { compareTrees, listTree, rsyncDifferences } from "./compare.js";
import { editOddTree, makeOddTree } from "./tree.js";
import {
  aclValue,
  dirOp,
  fileOp,
  removeTree,
  runProgram,
  runTreeOps,
  type TreeOp,
  unmountBelow,
} from "./tree-ops.js";

const isRoot = process.getuid?.() === 0;

describe("compareTrees notices", () => {
  let base = "";
  let count = 0;
  before(async () => {
    base = await mkdtemp(join(tmpdir(), "compare-"));
    await runTreeOps(base, [
      dirOp("source"),
      dirOp("source/d"),
      fileOp(
        "source/d/f",
        { kind: "text", size: 5000 },
        { mtimeNs: "1600000000000000001", xattrs: { "user.a": "61" } },
      ),
      { op: "entry", type: "link", path: "source/d/g", target: "source/d/f" },
      fileOp("source/h", { kind: "zero", size: 0 }),
      { op: "entry", type: "symlink", path: "source/l", target: "x" },
      { op: "entry", type: "file", path: "source/sparse", size: 1_000_000 },
      { op: "entry", type: "fifo", path: "source/p" },
      dirOp("source/a", { mtimeNs: "1600000000000000001" }),
      dirOp("source/a-b", { mtimeNs: "1600000000000000001" }),
    ]);
  });
  after(() => removeTree(base));

  async function differences(ops: TreeOp[]): Promise<string[]> {
    const copy = join(base, `copy-${++count}`);
    await runProgram("cp", ["-a", "--sparse=always", join(base, "source"), copy]);
    await runTreeOps(copy, ops);
    return compareTrees(join(base, "source"), copy);
  }

  const cases: [string, TreeOp[], RegExp[]][] = [
    ["nothing in an exact copy", [], []],
    ["a missing entry", [{ op: "remove", path: "l" }], [/^\.: mtimeNs/, /^l: is missing$/]],
    [
      "an entry too many",
      [fileOp("a/new", { kind: "zero", size: 0 })],
      [/^a: mtimeNs/, /^a\/new: is too much$/],
    ],
    [
      "a mode",
      [{ op: "change", path: "d/f", mode: 0o4644 }],
      [/^d\/f: mode 0\d+ became 04644$/, /^d\/g: mode/],
    ],
    [
      "one nanosecond",
      [{ op: "change", path: "d/f", mtimeNs: "1600000000000000002" }],
      [/0001 became 1.*0002$/, /^d\/g/],
    ],
    ["a link's own time", [{ op: "change", path: "l", mtimeNs: "5" }], [/^l: mtimeNs/]],
    ["changed bytes", [{ op: "rewrite", path: "d/f", seed: "other" }], [/^d\/f: sha256/, /^d\/g: sha256/]],
    [
      "an attribute's value",
      [{ op: "change", path: "d/f", xattrs: { "user.a": "62" } }],
      [/user\.a 61 became 62$/, /^d\/g/],
    ],
    [
      "a lost attribute",
      [{ op: "change", path: "d/f", removeXattrs: ["user.a"] }],
      [/user\.a 61 became absent$/, /^d\/g/],
    ],
    [
      "an ACL",
      [
        {
          op: "change",
          path: "h",
          xattrs: {
            "system.posix_acl_access": aclValue([
              [1, 6],
              [2, 4, 7],
              [4, 0],
              [16, 0],
              [32, 0],
            ]),
          },
        },
      ],
      [/^h: system\.posix_acl_access absent became/],
    ],
  ];
  for (const [name, ops, expected] of cases) {
    test(name, async () => {
      const found = await differences(ops);
      assert.equal(found.length, expected.length, found.join("\n"));
      for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? "", pattern);
    });
  }

  test("a type, a link's target, a broken hard link, a lost hole", async () => {
    const changed: TreeOp[] = [
      { op: "remove", path: "h" },
      dirOp("h"),
      { op: "remove", path: "l" },
      { op: "entry", type: "symlink", path: "l", target: "y" },
      { op: "remove", path: "d/g" },
      fileOp(
        "d/g",
        { kind: "text", size: 5000 },
        { mtimeNs: "1600000000000000001", xattrs: { "user.a": "61" } },
      ),
      { op: "remove", path: "sparse" },
      fileOp("sparse", { kind: "zero", size: 1_000_000 }),
    ];
    const found = (await differences(changed)).join("\n");
    for (const line of [
      "h: type file became dir",
      "l: target x became y",
      "d/g: linkedTo d/f became .",
      "sparse: lost its holes",
    ])
      assert.ok(found.includes(line), `${line} not in ${found}`);
  });

  test("an owner and a device number", async (t) => {
    if (!asRoot(t)) return;
    const found = await differences([
      { op: "change", path: "l", uid: 77 },
      { op: "change", path: "h", gid: 78 },
    ]);
    assert.deepEqual(found, ["h: gid 0 became 78", "l: uid 0 became 77"]);
  });
});

test("a tree with a mount point below it is not removed", async (t) => {
  if (!asRoot(t)) return;
  const base = await mkdtemp(join(tmpdir(), "mounted-"));
  await runTreeOps(base, [dirOp("precious"), dirOp("doomed"), dirOp("doomed/a b"), dirOp("precious/inside")]);
  await runProgram("mount", ["--bind", join(base, "precious"), join(base, "doomed/a b")]);
  try {
    await assert.rejects(removeTree(join(base, "doomed")), /is a mount point/);
  } finally {
    await unmountBelow(join(base, "doomed"));
  }
  await removeTree(join(base, "doomed"));
  const names = (await listTree(base)).map((record) => record.name);
  assert.deepEqual(names, ["", "precious", "precious/inside"]);
  await removeTree(base);
});

describe("the tree with every kind", () => {
  let base = "";
  before(async () => {
    base = await mkdtemp(join(tmpdir(), "odd-tree-"));
  });
  after(() => removeTree(base));

  test("is the same when made twice, edited or not", async () => {
    const [one, two] = [join(base, "one"), join(base, "two")];
    const left = await makeOddTree(one, { hugeDirectory: 50 });
    if (isRoot) assert.deepEqual(left, []);
    await makeOddTree(two, { hugeDirectory: 50 });
    for (const step of [0, 1, 2, 3]) {
      if (step > 0) for (const dir of [one, two]) await editOddTree(dir, step);
      const [a, b] = [await listTree(one), await listTree(two)];
      const bare = (records: typeof a): unknown[] => records.map((record) => ({ ...record, mtimeNs: "" }));
      assert.deepEqual(bare(a), bare(b));
    }
  });

  test("holds what it promises", async (t) => {
    if (!asRoot(t)) return;
    const dir = join(base, "whole");
    await makeOddTree(dir, { hugeDirectory: 2500 });
    const records = await listTree(dir, { sockets: true });
    const types = new Set(records.map((record) => record.type));
    assert.deepEqual([...types].sort(), ["block", "char", "dir", "fifo", "file", "socket", "symlink"]);
    assert.ok(records.some((record) => record.name.length > 4096));
    assert.equal(records.filter((record) => record.name.startsWith("huge/")).length, 2500);
    for (const name of records.filter((record) => /^sparse\//.test(record.name)))
      assert.ok(name.sparse, name.name);
    const keys = new Set(records.flatMap((record) => Object.keys(record.xattrs)));
    for (const key of ["security.capability", "system.posix_acl_default", "trusted.basalt", "user.b\xfftes"])
      assert.ok(keys.has(key), key);
  });

  test("is seen alike by rsync", async (t) => {
    if (!asRoot(t)) return;
    const [source, copy] = [join(base, "for-rsync"), join(base, "rsync-copy")];
    await makeOddTree(source, { hugeDirectory: 10, shortPaths: true });
    await runProgram("cp", ["-a", source, copy]);
    assert.deepEqual(await rsyncDifferences(source, copy), []);
    assert.deepEqual(await compareTrees(source, copy), []);
    await runTreeOps(copy, [{ op: "rewrite", path: "contents/text", seed: "x" }]);
    assert.equal((await rsyncDifferences(source, copy)).length, 1);
  });
});
