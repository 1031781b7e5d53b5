import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { endDaemon } from "./bacula.js";

test("ending a daemon that a signal has ended before returns at once", async () => {
  const daemon = spawn("sleep", ["600"]);
  daemon.kill("SIGKILL");
  await once(daemon, "exit");
  await endDaemon(daemon);
  assert.equal(daemon.signalCode, "SIGKILL");
});

test("a daemon that runs is ended", async () => {
  const daemon = spawn("sleep", ["600"]);
  await endDaemon(daemon);
  assert.equal(daemon.signalCode, "SIGTERM");
});
