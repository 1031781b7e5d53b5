/** The volume of a first Full in an empty pool comes back with the system's own tar alone. */
import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { skipWithout } from "../../../common/test-needs.js";
import { compareTrees, listTree, type TreeRecord } from "../../helpers/compare.js";
import { Scenario } from "../../helpers/scenario.js";
import { makeOddTree } from "../../helpers/tree.js";
import { fileOp, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const WHOLE_BYTES = 1024 * 1024;

async function has(program: string): Promise<boolean> {
  return runProgram(program, ["--version"]).then(
    () => true,
    () => false,
  );
}

describe("a volume and plain tar", () => {
  let scenario: Scenario;
  let volume: string;
  let tree: string;

  before(async () => {
    scenario = await Scenario.create("tar-readable");
    tree = scenario.path("tree");
    await scenario.define([{ name: "tree", pool: "Fresh" }], [{ name: "Fresh" }]);
    await makeOddTree(tree, { shortPaths: true });
    await runTreeOps(tree, [
      fileOp("contents/duplicate-1", { kind: "random", size: 200_000, seed: "duplicate" }),
      fileOp("contents/duplicate-2", { kind: "random", size: 200_000, seed: "duplicate" }),
    ]);
    await runProgram("find", [tree, "-type", "f", "-size", `+${WHOLE_BYTES}c`, "-delete"]);
    await scenario.installation.startAll();
    await scenario.backup("tree", "Full");
    const volumes = await readdir(scenario.volume(""));
    assert.equal(volumes.length, 1);
    volume = scenario.volume(volumes[0]!);
  });

  after(() => scenario?.close());

  test("GNU tar lists every name", async () => {
    const listed = await runProgram("tar", ["--zstd", "--quoting-style=literal", "--null", "-tf", volume]);
    assert.match(listed, /^job1\//);
    const verbose = await runProgram("tar", ["--zstd", "-tvf", volume]);
    assert.ok(verbose.split("\n").length > 3000);
  });

  test("GNU tar extracts the tree with all its metadata", async () => {
    const target = scenario.path("gnu");
    await mkdir(target);
    const options = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--same-owner", "-p"];
    const exclude = ["--anchored", "--exclude=job1/.basalt"];
    await runProgram("tar", ["--zstd", ...options, ...exclude, "-C", target, "-xf", volume]);
    assert.deepEqual(await compareTrees(tree, `${target}/job1`, { holes: "ignored" }), []);
  });

  test("the manifest is a member that names every entry", async () => {
    const manifest = await runProgram("tar", [
      "--zstd",
      "--wildcards",
      "-xOf",
      volume,
      "job1/.basalt/manifest*",
    ]);
    const entries = await listTree(tree, { content: false });
    assert.ok(manifest.split("\n").length >= entries.length, "a line for every entry");
  });

  test("bsdtar extracts the tree", async (context) => {
    if (!(await has("bsdtar"))) return skipWithout("bsdtar", context);
    const target = scenario.path("bsd");
    await mkdir(target);
    await runProgram("bsdtar", [
      "--numeric-owner",
      "-p",
      "-C",
      target,
      "--exclude",
      "job1/.basalt",
      "-xf",
      volume,
    ]);
    // Of times before 1970 it takes the fraction for positive.
    const plain = (entry: TreeRecord) => ({
      ...entry,
      mtimeNs: entry.mtimeNs.startsWith("-") ? "" : entry.mtimeNs,
      xattrs: {},
      sparse: false,
    });
    const expected = (await listTree(tree)).map(plain);
    const found = (await listTree(`${target}/job1`)).map(plain);
    for (const [index, entry] of expected.entries())
      if (entry.mtimeNs !== "") assert.deepEqual(found[index], entry);
    assert.equal(found.length, expected.length);
  });

  test("the suite's own tool lists and verifies it", async () => {
    await runProgram(scenario.basalt, ["volume", "verify", volume]);
    assert.match(await runProgram(scenario.basalt, ["volume", "ls", volume]), /job1\/contents\/duplicate-2/);
  });
});
