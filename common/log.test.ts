import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { BackupError } from "./errors.js";
import { createLog } from "./log.js";
import { baculaTime, messageTime, parseBaculaTime, setClock } from "./time.js";

afterEach(() => setClock());

function capture(format: "json" | "text") {
  const lines: string[] = [];
  setClock(() => new Date(2026, 10, 21, 3, 23, 28).getTime());
  return { lines, log: createLog("director", { level: "info", format, write: (line) => lines.push(line) }) };
}

test("plain lines", () => {
  const { lines, log } = capture("text");
  log.info("started", { jobId: 7, client: "web 1" });
  log.debug("not shown");
  log.warn("odd", { err: new BackupError("X", "disk full") });
  assert.deepEqual(lines, [
    '2026-11-21 03:23:28 info  director: started jobId=7 client="web 1"\n',
    "2026-11-21 03:23:28 warn  director: odd: disk full\n",
  ]);
});

test("a child's fields replace its parent's, each once", () => {
  const { lines, log } = capture("json");
  log.child({ scope: "queue", jobId: 1 }).child({ jobId: 2 }).info("x");
  assert.equal(lines[0]!.match(/jobId/g)!.length, 1);
  const record = JSON.parse(lines[0]!) as Record<string, unknown>;
  assert.deepEqual([record.scope, record.jobId, record.level, record.msg], ["queue", 2, "info", "x"]);
});

test("secrets are masked", () => {
  const { lines, log } = capture("json");
  log.info("x", { password: "hunter2", peer: { key: "hunter2" } });
  log.info("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----");
  assert.ok(!lines.join("").includes("hunter2"));
});

test("times", () => {
  const at = new Date(2026, 10, 21, 3, 23, 28).getTime();
  assert.equal(baculaTime(at), "2026-11-21 03:23:28");
  assert.equal(messageTime(at), "21-Nov 03:23");
  assert.equal(parseBaculaTime("2026-11-21 03:23:28"), at);
  assert.equal(parseBaculaTime("2026-02-30"), undefined);
});
