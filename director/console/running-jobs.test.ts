/** Commands about jobs that run or have ended: stop, restart, setbandwidth, and what RunScripts may say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../../common/log.js";
import { runScriptCommand } from "./run-script.js";
import { FakeDirector, transcript } from "./testing/fake-director.js";

test("restart by number says what it cannot do", async () => {
  const director = new FakeDirector();
  const text = await transcript(director, ["restart jobid=2,999"]);
  assert.match(text, /^JobId 2 has ended well: there is nothing to restart\.$/m);
  assert.match(text, /^JobId 999 is not in the catalog\.$/m);
  assert.deepEqual(director.resumed, []);
});

test("restart asks how the jobs ended", async () => {
  const text = await transcript(new FakeDirector(), ["restart", "."]);
  assert.match(
    text,
    /You have the following choices:\n {5}1: Incomplete\n {5}2: Canceled\n {5}3: Failed\n {5}4: All\nSelect termination code: +\(1-4\): /,
  );
});

test("setbandwidth needs a job that runs, or a client", async () => {
  const text = await transcript(new FakeDirector(), ["setbandwidth limit=3MB/s jobid=77"]);
  assert.match(text, /^Warning Job 77 is not running\.$/m);
});

test("a RunScript may not ask, wait or end, and gets the lines of what it does", async () => {
  const director = new FakeDirector();
  const log = createLog("test", { level: "silent" });
  const lines = await runScriptCommand(director, "list jobid=2", log);
  assert.ok(
    lines.some((line) => line.includes("| 2 ")),
    lines.join("\n"),
  );
  for (const line of ["wait", "quit", "restore all", "nonsense", ".jobs"])
    await assert.rejects(runScriptCommand(director, line, log), /is not allowed in a RunScript/);
});
