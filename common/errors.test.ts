import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BackupError, describeError, exitCodeOf } from "./errors.js";

test("exit statuses", () => {
  assert.equal(exitCodeOf(undefined), 0);
  assert.equal(exitCodeOf(new Error("x")), 1);
  assert.equal(exitCodeOf(new BackupError("STORE_NOT_FOUND", "x")), 1);
  assert.equal(exitCodeOf(new BackupError("CONFIG_INVALID", "x")), 2);
  assert.equal(exitCodeOf(new BackupError("FINISHED_WITH_WARNINGS", "x")), 3);
  assert.equal(exitCodeOf(AbortSignal.abort().reason), 130);
});

test("one line with the causes that say something new", () => {
  const cause = new Error("disk on fire");
  const error = new BackupError("X", "cannot write\nvolume", { cause });
  assert.equal(describeError(error), "cannot write volume: disk on fire");
  assert.equal(
    describeError(new BackupError("X", "failed: disk on fire", { cause })),
    "failed: disk on fire",
  );
  assert.equal(describeError("plain"), "plain");
  assert.equal(describeError(undefined), "unknown error");
});

test("system errors in words", () => {
  try {
    readFileSync("/nonexistent/file");
    assert.fail("read a file that is not there");
  } catch (error) {
    assert.equal(describeError(error), "/nonexistent/file: no such file or directory");
  }
});

test("causes that form a ring end", () => {
  const a = new Error("a");
  a.cause = new Error("b", { cause: a });
  assert.equal(describeError(a), "a: b");
});
