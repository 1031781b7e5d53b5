/** A job's mail, through the whole director. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SmtpServer, textOf } from "./messages/testing/smtp-server.js";
import { type Bench, startBench } from "./testing.js";
import { READY } from "./with-bench.js";

const WEB1 = "  - {Name: web1, JobDefs: D}\n";

/** Runs `work` with a director whose Messages resource mails through a server of the test's. */
async function withMail(work: (bench: Bench, smtp: SmtpServer) => Promise<void>, jobs = WEB1): Promise<void> {
  const smtp = new SmtpServer();
  const port = await smtp.listen();
  const bench = await startBench(jobs);
  try {
    const file = join(bench.directory, "director.yaml");
    const mail = `Mail: {ops@x.org: "all"}, Operator: {op@x.org: mount}, MailServer: {Address: 127.0.0.1, Port: ${port}}`;
    const text = readFileSync(file, "utf8").replace("Catalog: all}", `Catalog: all, ${mail}}`);
    writeFileSync(file, text);
    assert.deepEqual(await bench.director.reload(), { ok: true, errors: [] });
    bench.director.messages.start();
    await work(bench, smtp);
  } finally {
    await bench.director.messages.close();
    await bench.close();
    await smtp.close();
  }
}

test("one mail at the end of a job, with its report; operator messages before", () =>
  withMail(async ({ run, script }, smtp) => {
    script.storageBackup = async (_request, emit) => {
      await emit({ message: { type: "mount", text: "Please label a volume.", timeMs: 0 } });
      await smtp.received(1);
      return { ok: true };
    };
    const record = await run({ job: "web1" });
    const [operator, mail, ...more] = await smtp.received(2);
    assert.deepEqual(more, []);
    assert.deepEqual(operator!.to, ["op@x.org"]);
    assert.match(operator!.data, new RegExp(`^Subject: Bacula: Intervention needed for ${record.job}$`, "m"));
    assert.deepEqual(mail!.to, ["ops@x.org"]);
    assert.match(mail!.data, /^Subject: Bacula: Backup OK of web1-fd Full$/m);
    assert.match(textOf(mail!), /Start Backup JobId 1, Job=web1\./);
    assert.match(textOf(mail!), /Please label a volume\./);
    assert.match(textOf(mail!), / {2}Termination: {12}Backup OK/);
  }));

test("a mail server that says nothing holds up neither jobs nor the director's end", () =>
  withMail(async ({ run, db }, smtp) => {
    smtp.script.greeting = "";
    assert.equal((await run({ job: "web1" })).status, "T");
    await smtp.connected(1);
    assert.equal((await run({ job: "web1" })).status, "T");
    assert.equal(db.outbox.count(), 2);
  }));

test("the mail of a job that its director did not survive tells of that", () =>
  withMail(async ({ db, director }, smtp) => {
    const { jobId } = db.jobs.create(
      {
        ...{
          uuid: "u",
          name: "web1",
          type: "B",
          level: "F",
          client: "web1-fd",
          fileSet: "Etc",
          pool: "Default",
        },
        ...{ storage: "File", priority: 10, schedMs: 1, comment: "", request: '{"job":"web1"}' },
      },
      () => "web1.2026-11-21_03.00.00_01",
    );
    db.jobs.update(jobId, { status: "R", startMs: 1 });
    db.outbox.addLine({ jobId, messages: "Standard", type: "info", text: "said before" });
    director.start();
    const [mail] = await smtp.received(1);
    assert.match(mail!.data, /^Subject: Bacula: Backup Fatal Error of web1-fd Full$/m);
    assert.match(textOf(mail!), /said before/);
    assert.match(textOf(mail!), /The director ended while Job web1\.2026-11-21_03\.00\.00_01 was running/);
  }));

test("each attempt of a job that is done again has a mail with its own outcome", () =>
  withMail(async ({ run, script, director }, smtp) => {
    let runs = 0;
    script.filedBackup = async (_request, emit) => {
      await emit(READY);
      return runs++ === 0 ? { ok: false, reason: "not today" } : { ok: true };
    };
    await run({ job: "web1" });
    await director.queue.waitIdle();
    const [first, second] = await smtp.received(2);
    assert.match(first!.data, /^Subject: Bacula: Backup Error of web1-fd Full$/m);
    assert.match(textOf(first!), /Rescheduled Job web1\./);
    assert.match(second!.data, /^Subject: Bacula: Backup OK of web1-fd Full$/m);
  }, "  - {Name: web1, JobDefs: D, RescheduleOnError: yes, RescheduleInterval: 0, RescheduleTimes: 1}\n"));
