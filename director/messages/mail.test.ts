/** Mail and operator destinations against a real mail server on loopback. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { issueCa, issuePeer } from "../../common/tls/issue.js";
import { header, MessageBench, mailTo, NOON, until } from "./testing/message-bench.js";
import { textOf } from "./testing/smtp-server.js";

const HOUR = 3_600_000;

let bench: MessageBench;
beforeEach(async () => {
  bench = await MessageBench.open();
});
afterEach(() => bench.close());

test("a job's mail: once, after its end, with all that its types let pass", async () => {
  const resource = bench.resource([mailTo("ops@example.org, root")]);
  const center = bench.start(resource);
  const texts = [".a dot", "Caf\u00e9", "last line\nof the report"];
  bench.runJob(center, resource, { status: "W", texts });
  const [mail, ...more] = await bench.smtp.received(1);
  assert.deepEqual(more, []);
  assert.deepEqual(mail!.to, ["ops@example.org", "root"]);
  assert.equal(mail!.from, "ops@example.org");
  assert.equal(header(mail!.data, "Subject"), "Bacula: Backup OK -- with warnings of web1-fd Incremental");
  assert.equal(header(mail!.data, "From"), "Bacula <ops@example.org>");
  assert.equal(header(mail!.data, "Auto-Submitted"), "auto-generated");
  assert.equal(
    textOf(mail!).trimEnd(),
    "21-Nov 12:00 main-dir JobId 1: .a dot\n21-Nov 12:00 main-dir JobId 1: Caf\u00e9\n" +
      "21-Nov 12:00 main-dir JobId 1: last line\nof the report",
  );
  await until(() => bench.db.outbox.count() === 0);
  assert.deepEqual(bench.db.outbox.jobsWithLines(), []);
});

test("MailOnError and MailOnSuccess look at the outcome", async () => {
  const resource = bench.resource([
    mailTo("bad@x.org", "mailOnError"),
    mailTo("good@x.org", "mailOnSuccess"),
  ]);
  const center = bench.start(resource);
  for (const status of ["T", "W", "E", "A"] as const) bench.runJob(center, resource, { status });
  await bench.smtp.received(5);
  await until(() => bench.db.outbox.count() === 0);
  const seen = bench.smtp.mails.map(({ to, data }) => `${to[0]} ${header(data, "Subject")}`);
  assert.deepEqual(seen, [
    "good@x.org Bacula: Backup OK of web1-fd Incremental",
    "bad@x.org Bacula: Backup OK -- with warnings of web1-fd Incremental",
    "good@x.org Bacula: Backup OK -- with warnings of web1-fd Incremental",
    "bad@x.org Bacula: Backup Error of web1-fd Incremental",
    "bad@x.org Bacula: Backup Canceled of web1-fd Incremental",
  ]);
});

test("operator messages go at once, while the job runs", async () => {
  const resource = bench.resource([{ kind: "operator", target: "op@x.org", types: ["mount"] }]);
  const center = bench.start(resource);
  const source = { jobId: 0, name: "", messages: resource };
  center.emit(source, "info", "not for operators");
  center.emit(source, "mount", "please mount Vol-0001");
  const [mail] = await bench.smtp.received(1);
  assert.match(mail!.data, /JobId 0: please mount Vol-0001/);
  assert.equal(header(mail!.data, "Subject"), "Bacula daemon message");
});

test("a server that is away keeps nobody; the mail goes when it is back, also after a restart", async () => {
  const resource = bench.resource([mailTo("ops@x.org")]);
  await bench.smtp.close();
  const center = bench.start(resource);
  const jobId = bench.runJob(center, resource);
  await until(() => bench.db.log.list(jobId).length > 0);
  assert.match(
    bench.db.log.list(jobId)[0]!.text,
    /Error: Mail about JobId 1 to ops@x\.org .* could not be sent: mail server 127/,
  );
  assert.ok(center.take("admin").some((text) => text.includes("connection refused")));
  bench.runJob(center, resource);
  await center.close();
  assert.equal(bench.db.outbox.count(), 2);
  assert.equal(bench.db.log.list(2).length, 0, "an outage is told once");
  await bench.replaceServer();
  bench.start(bench.resource([mailTo("ops@x.org")]));
  assert.equal((await bench.smtp.received(2)).length, 2);
  await until(() => bench.db.outbox.count() === 0);
});

test("retries keep a growing distance and end after days, with an error in the catalog", async () => {
  bench.smtp.script.accepted = "451 try again later";
  const resource = bench.resource([mailTo("ops@x.org")]);
  const center = bench.start(resource);
  const jobId = bench.runJob(center, resource);
  await bench.smtp.connected(1);
  await until(() => bench.db.outbox.due("mail", Number.MAX_SAFE_INTEGER, 1)[0]!.attempts === 1);
  assert.equal(bench.db.outbox.nextMs("mail"), NOON + 60_000);
  bench.clock += 60_000;
  center.retryNow();
  await until(() => bench.db.outbox.due("mail", Number.MAX_SAFE_INTEGER, 1)[0]!.attempts === 2);
  assert.equal(bench.db.outbox.nextMs("mail"), bench.clock + 120_000);
  bench.clock += 5 * 24 * HOUR;
  center.retryNow();
  await until(() => bench.db.outbox.count() === 0);
  center.flush();
  const texts = bench.db.log.list(jobId).map(({ text }) => text);
  assert.equal(texts.length, 2);
  assert.match(texts[1]!, /was given up after 5 days: mail server .*: .*451/);
});

test("an address that is refused for good is told; the others get the mail; a temporary one gets it later", async () => {
  let greylisted = true;
  bench.smtp.script.recipient = (address) =>
    address.startsWith("gone")
      ? "550 no such user"
      : address.startsWith("grey") && greylisted
        ? "451 later"
        : "250 ok";
  const resource = bench.resource([mailTo("gone@x.org, grey@x.org, ops@x.org")]);
  const center = bench.start(resource);
  const jobId = bench.runJob(center, resource);
  await bench.smtp.received(1);
  await until(() => bench.db.outbox.due("mail", Number.MAX_SAFE_INTEGER, 1)[0]?.target === "grey@x.org");
  assert.deepEqual(bench.smtp.mails[0]!.to, ["ops@x.org"]);
  center.flush();
  assert.match(bench.db.log.list(jobId)[0]!.text, /gone@x\.org was refused: .*550/);
  greylisted = false;
  center.retryNow();
  await bench.smtp.received(2);
  assert.deepEqual(bench.smtp.mails[1]!.to, ["grey@x.org"]);
  assert.equal(
    header(bench.smtp.mails[0]!.data, "Message-ID"),
    header(bench.smtp.mails[1]!.data, "Message-ID"),
  );
});

test("STARTTLS with a login: the certificate is checked, the password comes from its file", async () => {
  const directory = scratchDirectory("mail");
  const ca = await issueCa("test");
  const issued = await issuePeer(ca, { role: "director", name: "mail" });
  bench.smtp.script.tls = { key: issued.keyPem, cert: issued.certPem };
  bench.smtp.script.login = "basalt:s3cret";
  const passwordFile = join(directory, "password");
  const caFile = join(directory, "ca.crt");
  writeFileSync(passwordFile, "s3cret\n", { mode: 0o600 });
  writeFileSync(caFile, ca.certPem);
  const login = { tls: "starttls" as const, user: "basalt", passwordFile };
  const untrusted = bench.resource([mailTo("ops@x.org")], login);
  const center = bench.start(untrusted);
  const jobId = bench.runJob(center, untrusted);
  await until(() => bench.db.log.list(jobId).length > 0);
  assert.match(bench.db.log.list(jobId)[0]!.text, /certificate/);
  assert.equal(bench.smtp.mails.length, 0);
  await center.close();
  const trusted = bench.resource([mailTo("ops@x.org")], { ...login, caFile });
  bench.start(trusted);
  const [mail] = await bench.smtp.received(1);
  assert.deepEqual([mail!.encrypted, mail!.login], [true, "basalt:s3cret"]);
  for (const { text } of bench.db.log.list(jobId)) assert.ok(!text.includes("s3cret"));
});

test("lines whose Messages resource is gone are told of", async () => {
  const jobId = bench.createJob();
  bench.db.jobs.update(jobId, { status: "T", endMs: NOON });
  bench.db.outbox.addLine({ jobId, messages: "Gone", type: "info", text: "x" });
  bench.start(bench.resource([])).flush();
  const [told] = bench.db.log.list(jobId);
  assert.match(told!.text, /1 messages were not mailed: Messages "Gone" is not in the configuration/);
  assert.deepEqual(bench.db.outbox.jobsWithLines(), []);
});

test("lines of a job survive an end in the middle of it", async () => {
  const resource = bench.resource([mailTo("ops@x.org")]);
  const center = bench.start(resource);
  const jobId = bench.createJob("F");
  center.emit({ jobId, name: "web1", messages: resource }, "info", "begun");
  await center.close();
  bench.db.jobs.update(jobId, { status: "f", endMs: NOON });
  bench.start(resource);
  const [mail] = await bench.smtp.received(1);
  assert.match(mail!.data, /JobId 1: begun/);
  assert.equal(header(mail!.data, "Subject"), "Bacula: Backup Fatal Error of web1-fd Full");
});

test("a database that takes nothing has no mail sent twice", async () => {
  const resource = bench.resource([mailTo("ops@x.org")]);
  const center = bench.start(resource);
  const { outbox } = bench.db;
  let asked = 0;
  outbox.remove = () => {
    asked++;
    throw new Error("database or disk is full");
  };
  bench.runJob(center, resource);
  await until(() => asked === 1);
  center.retryNow();
  await until(() => asked === 2);
  // The class's own again.
  Reflect.deleteProperty(outbox, "remove");
  await until(() => {
    center.retryNow();
    return outbox.count() === 0;
  });
  assert.equal(bench.smtp.mails.length, 1);
});
