import assert from "node:assert/strict";
import { test } from "node:test";
import { completeLine } from "./complete.js";
import { FakeDirector } from "./testing/fake-director.js";

test("commands, keywords, names; only what the console may use", () => {
  const director = new FakeDirector();
  assert.deepEqual(completeLine(director, "sta"), { candidates: ["status", "statistics"], fragment: "sta" });
  assert.ok(completeLine(director, "run jo").candidates.includes("job="));
  assert.deepEqual(completeLine(director, "run job=vm").candidates, ["job=vm1", "job=vm2"]);
  assert.deepEqual(completeLine(director, "restore fileset=").candidates, [
    'fileset="Full Set"',
    'fileset="Small Set"',
  ]);
  assert.deepEqual(completeLine(director, "run job=", "limited").candidates, ["job=vm1"]);
  assert.deepEqual(completeLine(director, "re", "limited").candidates, []);
  assert.deepEqual(completeLine(director, "help rest").candidates, ["restore", "restart"]);
  assert.deepEqual(completeLine(director, "update volume=V volst").candidates, ["volstatus="]);
  assert.deepEqual(completeLine(director, "update volume=V volstatus=R").candidates, [
    "volstatus=Recycle",
    "volstatus=Read-Only",
  ]);
  assert.deepEqual(completeLine(director, "prune jobs client=vm2").candidates, ["client=vm2-fd"]);
  assert.deepEqual(completeLine(director, "nosuch x").candidates, []);
  assert.deepEqual(completeLine(director, 'restore fileset="Full S'), {
    candidates: ['fileset="Full Set"'],
    fragment: 'fileset="Full S',
  });
  assert.equal(completeLine(director, 'run comment="a b" jo').fragment, "jo");
  assert.deepEqual(completeLine(director, `${"a".repeat(1_000_000)} `), { candidates: [], fragment: "" });
});
