import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { profileFolder } from "./basalt.js";
import { MemoryTrace } from "./trace.js";

test("each line of the trace says of which installation and repetition it is", () => {
  const dir = mkdtempSync(join(tmpdir(), "trace-"));
  try {
    const file = join(dir, "trace.tsv");
    const trace = new MemoryTrace(file);
    const pids = { filed: process.pid };
    trace.follow({ repetition: 0, tool: "basalt", step: "first" }, pids)();
    trace.follow({ repetition: 1, tool: "basalt +50 ms", step: "first" }, pids)();
    trace.close();
    const [head, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
    assert.equal(head, "seconds\trepetition\ttool\tstep\tdaemon\trss_bytes");
    assert.deepEqual(
      new Set(lines.map((line) => line.split("\t").slice(1, -1).join())),
      new Set(["1,basalt,first,filed", "2,basalt +50 ms,first,filed"]),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("each installation, repetition and step has profiles of its own", () => {
  const about = { repetition: 0, tool: "basalt", step: "VM Full on Base, vm1" };
  assert.equal(profileFolder("/p", about), "/p/basalt/1/VM-Full-on-Base-vm1");
  assert.equal(profileFolder("/p", { ...about, repetition: 1 }), "/p/basalt/2/VM-Full-on-Base-vm1");
  assert.equal(
    profileFolder("/p", { ...about, tool: "basalt +50 ms" }),
    "/p/basalt-50-ms/1/VM-Full-on-Base-vm1",
  );
});
