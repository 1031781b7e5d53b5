import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../test/helpers/random.js";
import {
  baseName,
  bytesOfText,
  childKey,
  compareKeys,
  displayPath,
  isBelow,
  isSafeKey,
  isWithin,
  keyToPath,
  MAX_KEY_BYTES,
  parentKey,
  pathToKey,
} from "./path.js";

test("keys and paths turn into each other", () => {
  assert.equal(pathToKey("/"), "");
  assert.equal(keyToPath(""), "/");
  assert.equal(pathToKey("//etc/./passwd/"), "etc\0passwd");
  assert.equal(keyToPath("etc\0passwd"), "/etc/passwd");
  assert.equal(parentKey("etc\0passwd"), "etc");
  assert.equal(parentKey("etc"), "");
  assert.equal(parentKey(""), undefined);
  assert.equal(baseName("etc\0passwd"), "passwd");
  assert.equal(childKey("", "etc"), "etc");
  assert.equal(childKey("etc", "x"), "etc\0x");
});

test("a directory's content follows it before its look-alikes", () => {
  const ordered = ["", "a", "a\0b", "a\0b\0c", "a\0\xff", "a-b", "a.b", "aa", "a\x80", "a\xff", "b"];
  const shuffled = [...ordered].reverse();
  assert.deepEqual(shuffled.sort(compareKeys), ordered);
});

/** A tree of odd names, as nested maps. */
interface Tree extends Map<string, Tree> {}

function randomTree(random: Random, depth: number): Tree {
  const tree: Tree = new Map();
  const stems = ["a", "a-b", "a.b", "a b", "a\x01", "a\x80", "a\xff", "\xc3\xa4", "b", "-", ".x", "0"];
  for (let i = random.below(6); i > 0; i--) {
    const name = random.pick(stems) + (random.below(2) === 0 ? "" : random.pick(stems));
    tree.set(name, depth === 0 ? new Map() : randomTree(random, depth - 1));
  }
  return tree;
}

/** Depth-first, names of a directory in byte order. */
function walk(tree: Tree, key: string, out: string[]): string[] {
  out.push(key);
  const names = [...tree.keys()].sort((a, b) =>
    Buffer.compare(Buffer.from(a, "latin1"), Buffer.from(b, "latin1")),
  );
  for (const name of names) walk(tree.get(name)!, childKey(key, name), out);
  return out;
}

test("a sorted depth-first walk meets keys in path order, and keys sort like their bytes", () => {
  for (let seed = 0; seed < 300; seed++) {
    const keys = walk(randomTree(new Random(seed), 3), "", []);
    assert.deepEqual([...keys].sort(compareKeys), keys, `seed ${seed}`);
    const bytes = keys.map((key) => Buffer.from(key, "latin1"));
    assert.deepEqual([...bytes].sort(Buffer.compare), bytes, `seed ${seed}`);
    for (const key of keys) {
      assert.ok(isSafeKey(key));
      assert.equal(pathToKey(keyToPath(key)), key);
    }
  }
});

test("what lies within a directory is one run of keys", () => {
  for (let seed = 0; seed < 100; seed++) {
    const keys = walk(randomTree(new Random(seed), 3), "", []);
    for (const top of keys) {
      const inside = keys.map((key) => isWithin(top, key));
      assert.equal(
        inside.join("").replace(/(true)+/, ""),
        inside.filter((one) => !one).join(""),
        `seed ${seed}`,
      );
      for (const key of keys) {
        const above = key === top || top === "" || keyToPath(key).startsWith(`${keyToPath(top)}/`);
        assert.equal(isWithin(top, key), above, `seed ${seed}`);
        assert.equal(isBelow(top, key), above && key !== top);
      }
    }
  }
});

test("unsafe keys are refused", () => {
  for (const key of [
    "\0",
    "a\0",
    "\0a",
    "a\0\0b",
    "..",
    "a\0..",
    ".",
    "a/b",
    "a\u0100",
    "x".repeat(MAX_KEY_BYTES + 1),
  ]) {
    assert.equal(isSafeKey(key), false, JSON.stringify(key.slice(0, 20)));
  }
  for (const key of ["", "...", ".a", "a\n", "\xff", " ", "x".repeat(MAX_KEY_BYTES)])
    assert.equal(isSafeKey(key), true);
});

test("paths are shown as one unambiguous line", () => {
  assert.equal(displayPath(bytesOfText("/für/日本")), "/für/日本");
  assert.equal(displayPath("/a\nb\\c\x7f\xff"), "/a\\012b\\134c\\177\\377");
  // An overlong form, half a character, a C1 control, a mark that turns the text around.
  assert.equal(displayPath("\xc0\xaf"), "\\300\\257");
  assert.equal(displayPath("a\xe6\x97"), "a\\346\\227");
  assert.equal(displayPath(bytesOfText("\u0085")), "\\302\\205");
  assert.equal(displayPath(bytesOfText("\u202e")), "\\342\\200\\256");
});
