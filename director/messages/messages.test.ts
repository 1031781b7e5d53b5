import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../../common/log.js";
import type { MessageDestination, MessagesResource } from "../config/types-messages.js";
import { DirectorDb } from "../db/database.js";
import { MessageCenter } from "./center.js";
import { accepts } from "./filter.js";
import { formatMessage, type MessageType } from "./types.js";

const TIME = new Date(2026, 10, 21, 3, 23, 28).getTime();

function center(destinations: MessageDestination[]): {
  db: DirectorDb;
  messages: MessageCenter;
  resource: MessagesResource;
} {
  const db = DirectorDb.open(":memory:");
  const resource = { name: "Standard", destinations };
  const log = createLog("test", { level: "silent" });
  const messages = new MessageCenter({ db, name: "main-dir", log, daemonMessages: () => undefined });
  return { db, messages, resource };
}

test("types: all, names and exclusions, the last one that fits counts", () => {
  const cases: [string[], MessageType, boolean][] = [
    [["all"], "skipped", true],
    [["all", "!skipped"], "skipped", false],
    [["all", "!skipped"], "info", true],
    [["error", "fatal"], "warning", false],
    [["error", "fatal"], "fatal", true],
    [["!skipped", "all"], "skipped", true],
    [["All", " !Restored"], "restored", false],
    [[], "fatal", false],
  ];
  for (const [types, type, expected] of cases) {
    assert.equal(accepts(types, type), expected, `${types.join()} for ${type}`);
  }
});

test("form of a message", () => {
  assert.equal(formatMessage(TIME, "web1-fd", 7, "info", "done"), "21-Nov 03:23 web1-fd JobId 7: done");
  assert.equal(
    formatMessage(TIME, "main-dir", 7, "fatal", "no."),
    "21-Nov 03:23 main-dir JobId 7: Fatal error: no.",
  );
  assert.equal(
    formatMessage(TIME, "main-dir", 0, "warning", "x"),
    "21-Nov 03:23 main-dir JobId 0: Warning: x",
  );
});

test("console and catalog get what their types allow", () => {
  const { db, messages, resource } = center([
    { kind: "console", types: ["all", "!skipped"] },
    { kind: "catalog", types: ["error"] },
  ]);
  const job = { jobId: 3, name: "web1", messages: resource };
  let told = 0;
  const off = messages.onPending(() => told++);
  messages.emit(job, "skipped", "a socket", { timeMs: TIME });
  messages.emit(job, "info", "hello", { timeMs: TIME, daemon: "web1-fd" });
  messages.emit(job, "error", "broken", { timeMs: TIME });
  assert.equal(messages.pending("admin"), 2);
  assert.equal(told, 1);
  off();
  assert.deepEqual(messages.take("admin"), [
    "21-Nov 03:23 web1-fd JobId 3: hello",
    "21-Nov 03:23 main-dir JobId 3: Error: broken",
  ]);
  assert.deepEqual(messages.take("admin"), []);
  assert.deepEqual(
    db.log.list(3).map((entry) => entry.text),
    ["21-Nov 03:23 main-dir JobId 3: Error: broken"],
  );
  db.close();
});

test("what is written with messages: one transaction, consoles hear of it later, and neither takes the other along", () => {
  const { db, messages, resource } = center([{ kind: "console", types: ["all"] }]);
  const job = { jobId: 3, name: "web1", messages: resource };
  let told = 0;
  messages.onPending(() => told++);
  messages.emit(job, "info", "one", { timeMs: TIME });
  messages.flush(() => assert.deepEqual([db.box.pending("admin"), told], [1, 0]));
  assert.equal(told, 1);
  const fails = (): void => {
    throw new Error("disk full");
  };
  messages.emit(job, "info", "two", { timeMs: TIME });
  assert.throws(() => messages.flush(fails), /disk full/);
  assert.deepEqual([messages.take("admin").length, told], [2, 2]);
  db.box.add = fails;
  messages.emit(job, "info", "three", { timeMs: TIME });
  messages.flush(() => db.setCounter("also", 7));
  assert.deepEqual([db.counter("also"), told], [7, 2]);
  db.close();
});

test("append adds, file starts anew with each job", () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-messages-"));
  const append = join(directory, "append");
  const file = join(directory, "file");
  const { db, messages, resource } = center([
    { kind: "append", target: append, types: ["all"] },
    { kind: "file", target: file, types: ["all"] },
    { kind: "append", target: join(directory, "no", "such"), types: ["all"] },
  ]);
  messages.emit({ jobId: 1, name: "a", messages: resource }, "info", "one", { timeMs: TIME });
  messages.emit({ jobId: 2, name: "a", messages: resource }, "info", "two", { timeMs: TIME });
  messages.emit({ jobId: 2, name: "a", messages: resource }, "info", "three", { timeMs: TIME });
  assert.equal(readFileSync(append, "utf8").split("\n").length, 4);
  assert.equal(
    readFileSync(file, "utf8"),
    "21-Nov 03:23 main-dir JobId 2: two\n21-Nov 03:23 main-dir JobId 2: three\n",
  );
  db.close();
  rmSync(directory, { recursive: true });
});

test("messages of jobs that a console may not see are not shown", () => {
  const { db, messages, resource } = center([{ kind: "console", types: ["all"] }]);
  messages.emit({ jobId: 1, name: "secret", messages: resource }, "info", "x", { timeMs: TIME });
  messages.emit({ jobId: 2, name: "mine", messages: resource }, "info", "y", { timeMs: TIME });
  assert.deepEqual(
    messages.take("admin", 10, (name) => name === "mine"),
    ["21-Nov 03:23 main-dir JobId 2: y"],
  );
  assert.ok(messages.wants(resource, "restored"));
  assert.equal(messages.wants(undefined, "restored"), false);
  db.close();
});
