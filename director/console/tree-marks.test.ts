import assert from "node:assert/strict";
import { test } from "node:test";
import { TreeMarks } from "./tree-marks.js";

test("the last rule that covers a path decides", () => {
  const marks = new TreeMarks(false);
  marks.apply([{ path: "/srv", include: true, recursive: true }]);
  marks.apply([{ path: "/srv/etc", include: false, recursive: true }]);
  marks.apply([{ path: "/srv/etc/hosts", include: true, recursive: true }]);
  assert.equal(marks.stateOf("/srv/a"), "marked");
  assert.equal(marks.stateOf("/srv/etc/passwd"), "no");
  assert.equal(marks.stateOf("/srv/etc/hosts"), "marked");
  assert.equal(marks.stateOf("/srv/etc"), "parent");
});

test("directories above come along as entries only", () => {
  const marks = new TreeMarks(false);
  marks.apply([{ path: "/a/b/c", include: true, recursive: true }]);
  assert.equal(marks.stateOf("/a/b"), "parent");
  assert.equal(marks.stateOf("/a"), "parent");
  assert.equal(marks.stateOf("/a/x"), "no");
});

test("a rule for a directory makes those below it void: the list stays short", () => {
  const marks = new TreeMarks(true);
  for (let i = 0; i < 100; i++) marks.apply([{ path: `/d/${i}`, include: i % 2 === 0, recursive: true }]);
  marks.apply([{ path: "/d", include: true, recursive: true }]);
  assert.ok(marks.rules.length <= 2);
  assert.equal(marks.stateOf("/d/1"), "marked");
  marks.apply([{ path: "/", include: false, recursive: true }]);
  assert.equal(marks.stateOf("/d/1"), "no");
});

test("a sibling whose name begins alike is not covered", () => {
  const marks = new TreeMarks(false);
  marks.apply([{ path: "/a", include: true, recursive: true }]);
  assert.equal(marks.stateOf("/a-b"), "no");
});
