import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "./log.js";
import { orderDebug, traceFile } from "./trace.js";

test("setdebug: more lines, and they go to NAME.trace until trace=0", (context) => {
  const workingDirectory = mkdtempSync(join(tmpdir(), "basalt-trace-"));
  const daemon = { name: "my-fd", workingDirectory };
  context.after(() => {
    orderDebug(daemon, { level: 0, trace: false });
    rmSync(workingDirectory, { recursive: true });
  });
  const usual: string[] = [];
  const log = createLog("filed", { level: "info", format: "text", write: (line) => void usual.push(line) });
  const part = log.child({ jobId: 7 });
  part.debug("before");
  orderDebug(daemon, { level: 5, trace: true });
  part.debug("in detail");
  part.trace("in all detail");
  part.info("as ever");
  orderDebug(daemon, { trace: false });
  part.debug("to the usual place");
  orderDebug(daemon, { level: 0 });
  part.debug("after");
  const text = readFileSync(traceFile(daemon), "utf8");
  assert.match(text, /^setdebug level=5\n.*in detail jobId=7\n.*as ever jobId=7\n$/);
  assert.equal(statSync(traceFile(daemon)).mode & 0o777, 0o600);
  assert.deepEqual(
    usual.map((line) => /filed: (.*) jobId/.exec(line)?.[1]),
    ["as ever", "to the usual place"],
  );
});

test("a trace file that cannot be made is an error with its name", () => {
  const daemon = { name: "my-fd", workingDirectory: "/nonexistent" };
  assert.throws(() => orderDebug(daemon, { trace: true }), /\/nonexistent\/my-fd\.trace cannot be written/);
});
