import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nowMs, setClock } from "../common/time.js";
import { lockWorkingDirectory } from "../common/working-directory.js";
import { CertificateWatch } from "./certificates.js";
import { JobRegister } from "./job/register.js";
import { startBench } from "./testing.js";
import { WEB1, withBench } from "./with-bench.js";

const DAY_MS = 86_400_000;

test("a start after a crash: running jobs have failed, waiting ones are queued again, nothing runs twice", async () => {
  const jobs = '  - {Name: web1, JobDefs: D, RunAfterFailedJob: "/bin/echo cleaned %i"}\n';
  const bench = await startBench(jobs);
  const { db, director, script } = bench;
  const request = { job: "web1", comment: "again" };
  const common = {
    name: "web1",
    type: "B",
    level: "F",
    client: "web1-fd",
    storage: "File",
    priority: 10,
  } as const;
  const rest = {
    fileSet: "Etc",
    pool: "Default",
    schedMs: 1,
    comment: "again",
    request: JSON.stringify(request),
  };
  db.jobs.startAfter(0);
  db.jobs.create({ ...common, ...rest, uuid: "u1" }, () => "web1.a");
  db.jobs.update(1, { status: "R", startMs: 5 });
  db.jobs.create({ ...common, ...rest, uuid: "u2" }, () => "web1.b");
  db.jobs.create({ ...common, ...rest, uuid: "u3", request: '{"job":"gone"}' }, () => "gone.c");
  director.start();
  const again = await director.queue.waitJob(2);
  assert.equal(again?.status, "T");
  assert.equal(again?.uuid, "u2");
  assert.equal(script.filedRequests.length, 1);
  assert.equal(db.jobs.get(1)?.status, "f");
  assert.match(db.jobs.get(1)?.reason ?? "", /ended while Job web1\.a was running/);
  assert.equal(db.jobs.get(3)?.status, "f");
  while (script.canceled.length < 2 || !bench.texts(1).some((text) => text.includes("AfterJob: cleaned 1"))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    director.messages.flush();
  }
  assert.deepEqual(script.canceled.sort(), [
    "filed: the director was restarted",
    "storaged: the director was restarted",
  ]);
  await bench.close();
});

test("stopping marks running backups as incomplete and keeps waiting ones", async () => {
  const bench = await startBench("  - {Name: web1, JobDefs: D}\n");
  const { db, director, script } = bench;
  const started = new Promise<void>((resolve) => {
    script.filedBackup = async (_request, _emit, canceled) => {
      resolve();
      await new Promise<void>((end) => canceled.addEventListener("abort", () => end()));
      return { ok: false, canceled: true };
    };
  });
  const running = await director.runJob({ job: "web1" });
  const waiting = await director.runJob({ job: "web1", whenMs: nowMs() + DAY_MS });
  await started;
  await director.stop();
  // A backup may go on later, with what its storage daemon has kept.
  assert.equal(db.jobs.get(running)?.status, "I");
  assert.equal(db.jobs.get(running)?.reason, "The director was stopped.");
  assert.equal(db.jobs.get(waiting)?.status, "C");
  await assert.rejects(director.runJob({ job: "web1" }), { code: "SHUTDOWN" });
  await bench.close();
});

test("what a stop cuts off has failed, but what had ended before keeps its outcome", async () => {
  await withBench(WEB1, async ({ db, director }) => {
    const register = new JobRegister(db);
    const [ended, runs] = [1, 2].map(() => register.create(director.plan({ job: "web1" })));
    db.jobs.update(ended!.jobId, { status: "T", reason: "" });
    db.jobs.update(runs!.jobId, { status: "R" });
    for (const live of [ended!, runs!]) register.cutOff(live, "The director was stopped.");
    const [good, cut] = [db.jobs.get(1)!, db.jobs.get(2)!];
    assert.deepEqual([good.status, good.reason], ["T", ""]);
    assert.deepEqual([cut.status, cut.reason], ["A", "The director was stopped."]);
  });
});

test("no JobId is handed out before every storage daemon has answered, or is disabled", async () => {
  const bench = await startBench("  - {Name: web1, JobDefs: D}\n");
  bench.script.highestJobId = () => {
    throw new Error("not yet");
  };
  await assert.rejects(bench.director.runJob({ job: "web1" }), { code: "JOBID_UNKNOWN" });
  assert.equal(bench.db.jobs.count(), 0);
  bench.script.highestJobId = () => 9;
  assert.equal((await bench.run({ job: "web1" })).jobId, 10);
  await bench.close();
});

test("two directors cannot work in one directory", () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-lock-"));
  const lock = lockWorkingDirectory(directory, "director");
  assert.throws(() => lockWorkingDirectory(directory, "director"), {
    code: "ALREADY_RUNNING",
    message: `another director (process ${process.pid}) works in ${directory}`,
  });
  lock.release();
  lockWorkingDirectory(directory, "director").release();
  assert.throws(() => lockWorkingDirectory(join(directory, "none"), "director"), {
    code: "WORKING_DIRECTORY",
  });
  rmSync(directory, { recursive: true });
});

test("certificates that end within 30 days are warned of at first sight, then daily", () => {
  let now = Date.UTC(2026, 10, 21);
  setClock(() => now);
  const warned: string[] = [];
  const own = { validTo: "Dec 01 00:00:00 2026 GMT", subject: "CN=main-dir" } as X509Certificate;
  const watch = new CertificateWatch(own, (text) => warned.push(text));
  const peer = { role: "filed" as const, name: "web1-fd", fingerprint: "ab" };
  watch.met({ ...peer, expiresMs: now + 31 * DAY_MS });
  assert.equal(warned.length, 0);
  now += 2 * DAY_MS;
  watch.check();
  assert.equal(warned.length, 2);
  assert.match(warned[0]!, /main-dir expires in 8 days/);
  assert.match(warned[1]!, /the certificate of filed "web1-fd" expires in 29 days/);
  watch.met({ ...peer, expiresMs: now + 29 * DAY_MS });
  assert.equal(warned.length, 2);
  now += DAY_MS;
  watch.check();
  assert.equal(warned.length, 4);
  setClock();
});
