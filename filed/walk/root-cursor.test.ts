import assert from "node:assert/strict";
import { test } from "node:test";
import type { WalkRoot } from "./file-set.js";
import { RootCursor } from "./root-cursor.js";

const rules = { select: () => undefined, excludeDirContaining: [], stripPath: 0 };
const root = (path: string, isListed = false): WalkRoot => ({
  key: path.replaceAll("/", "\0"),
  base: "/",
  rules,
  isListed,
});

test("named and listed roots come in one order, each once, the named one of two", () => {
  const named = [root("a"), root("a/b/c"), root("m")];
  const listed = [root("a", true), root("a/b", true), root("a-b", true), root("z", true)];
  const cursor = new RootCursor(named, listed[Symbol.iterator]());
  const seen: string[] = [];
  for (; cursor.head !== undefined; cursor.advance())
    seen.push(`${cursor.head.key.replaceAll("\0", "/")} ${cursor.head.isListed}`);
  assert.deepEqual(seen, ["a false", "a/b true", "a/b/c false", "a-b true", "m false", "z true"]);
});

test("the way to the next root is told component by component", () => {
  const cursor = new RootCursor([root("a/bc/d")]);
  assert.equal(cursor.component(""), "a");
  assert.equal(cursor.component("a\0"), "bc");
  assert.equal(cursor.component("a\0bc\0"), "d");
  assert.equal(cursor.component("a\0b\0"), undefined);
  assert.equal(cursor.component("a\0bc\0d\0"), undefined);
  assert.equal(cursor.isBelow("a\0bc"), true);
  assert.equal(cursor.isBelow("a\0b"), false);
  assert.equal(cursor.isBelow("a\0bc\0d"), false);
  cursor.advance();
  assert.equal(cursor.isBelow(""), false);
});
