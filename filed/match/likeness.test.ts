import assert from "node:assert/strict";
import { chmodSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EntryType } from "../../common/format/row.js";
import { ageTrees, FakeStorage, put, scratchTree, treeFileSet } from "./testing.js";

ageTrees();

const files = { "a/one": "x".repeat(100), "a/two": "y".repeat(300), "b/three": "z".repeat(600) };

async function likenessOf(change: (root: string) => void) {
  const [old, fresh] = [scratchTree(), scratchTree()];
  for (const root of [old, fresh]) {
    put(root, files);
    symlinkSync("one", join(root, "a/link"));
  }
  change(fresh);
  const storage = new FakeStorage();
  const compared = await storage.run({ fileSet: treeFileSet(old), level: "Base" });
  const run = await storage.run({ fileSet: treeFileSet(fresh), level: "Base", compared });
  // The list is for counting alone.
  const contents = run.rows.filter(({ type }) => type === EntryType.file);
  assert.equal(run.read.length, contents.length);
  return run.likeness!;
}

test("the same content at the same places, with other times", async () => {
  const likeness = await likenessOf((root) => utimesSync(join(root, "a/one"), 1, 2));
  assert.deepEqual(likeness.same, { entries: 4, bytes: 1000 });
  assert.equal(likeness.percent, 100);
});

test("other content, mode or link target is not the same; the lesser share counts", async () => {
  const likeness = await likenessOf((root) => {
    put(root, { "b/three": "Z".repeat(600) });
    chmodSync(join(root, "a/one"), 0o600);
    rmSync(join(root, "a/link"));
    symlinkSync("two", join(root, "a/link"));
  });
  assert.deepEqual(likeness.same, { entries: 1, bytes: 300 });
  assert.equal(likeness.share("entries"), 25);
  assert.equal(likeness.percent, 25);
});

test("what is gone and what came in addition both count against it", async () => {
  const gone = await likenessOf((root) => rmSync(join(root, "b"), { recursive: true }));
  assert.deepEqual([gone.share("entries"), gone.share("bytes")], [75, 40]);
  const more = await likenessOf((root) => put(root, { c: "c".repeat(4000) }));
  assert.deepEqual([more.share("entries"), more.share("bytes")], [80, 20]);
});

test("a machine with nothing in it is like nothing", async () => {
  const likeness = await likenessOf((root) => {
    rmSync(join(root, "a"), { recursive: true });
    rmSync(join(root, "b"), { recursive: true });
    put(root, { c: "c" });
  });
  assert.equal(likeness.percent, 0);
});
