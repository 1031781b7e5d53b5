import assert from "node:assert/strict";
import { test } from "node:test";
import { holdsList } from "./verify-volume.js";

test("an end record that counts no closing frames has its list in none of them", () => {
  assert.ok([0, 3, 9].every((sequence) => !holdsList({ closing: [3, 0] }, sequence)));
  assert.deepEqual(
    [2, 3, 4, 5].map((sequence) => holdsList({ closing: [3, 2] }, sequence)),
    [false, true, true, false],
  );
  assert.ok(holdsList(undefined, 7));
});
