import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readTicket } from "./testing.js";
import { READY, untilCanceled, WEB1, withBench } from "./with-bench.js";

test("a backup: requests, ticket, messages, report and record", async () => {
  await withBench("  - {Name: web1, JobDefs: D, ReadLimit: 1 MB/s, Nice: 7}\n", async (bench) => {
    const { script } = bench;
    script.filedBackup = async (_request, emit) => {
      await emit({ message: { type: "info", text: "hello from the client", timeMs: 0 } });
      await emit(READY);
      return { ok: true, files: 12, bytes: 2_000_000, bytesRead: 3_000_000, bytesSent: 500_000 };
    };
    script.storageBackup = async () => ({
      ok: true,
      files: 12,
      bytes: 2_000_000,
      bytesStored: 510_000,
      rawBytes: 1_500_000,
      volumes: ["Vol-0001", "Vol-0002"],
      volSessionId: 4,
      volSessionTime: 1_700_000_000,
      lastVolumeBytes: 777,
    });
    const record = await bench.run({ job: "web1", comment: "by test" });
    assert.equal(record.status, "T");
    assert.deepEqual([record.jobId, record.files, record.storedBytes], [1, 12, 510_000]);
    assert.deepEqual(record.volumes, ["Vol-0001", "Vol-0002"]);
    assert.match(record.job, /^web1\.\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d_\d\d$/);
    const [filed] = script.filedRequests;
    const [storage] = script.storageRequests;
    assert.ok(filed !== undefined && "fileSet" in filed && storage !== undefined && "pool" in storage);
    assert.equal(filed.readLimit, 1_000_000);
    assert.equal(filed.nice, 7);
    assert.equal(filed.ticket, storage.ticket);
    const ticket = readTicket(bench, filed.ticket);
    assert.equal(ticket.kind, "backup");
    assert.deepEqual(
      [ticket.jobId, ticket.client, ticket.storage, ticket.pool],
      [1, "web1-fd", "main-sd", "Default"],
    );
    assert.equal(storage.device, "Disk");
    assert.equal(storage.comment, "by test");
    assert.deepEqual(script.pools[0], ["Default", "Fulls"]);
    assert.deepEqual(script.revoked, ["ab"]);
    const texts = bench.texts(1);
    assert.equal(texts[0], `dir JobId 1: Start Backup JobId 1, Job=${record.job}`);
    assert.equal(texts[1], "web1-fd JobId 1: hello from the client");
    const report = texts.find((text) => text.startsWith("dir JobId 1: Basalt dir 1.2.3:"))!.split("\n");
    assert.ok(report.includes("  Volume name(s):         Vol-0001|Vol-0002"));
    assert.ok(report.includes("  Software Compression:   66.7% 3.0:1"));
    assert.equal(report.at(-2), "  Termination:            Backup OK");
  });
});

test("a storage daemon gets pools and retention rules once, and again when it was started anew", () =>
  withBench("  - {Name: web1, JobDefs: D, Keep: {Last: 3}}", async ({ run, script }) => {
    await run({ job: "web1" });
    await run({ job: "web1" });
    assert.deepEqual([script.pools.length, script.rules], [1, [2]]);
    script.startedMs += 1000;
    await run({ job: "web1" });
    await run({ job: "web1" });
    assert.equal(script.pools.length, 2);
    // Greeted once for the JobId; then asked once for each run, ahead of its own greeting.
    const each = ["ResolveParents", "Hello"];
    assert.deepEqual(script.storageAsked, ["Hello", ...each, ...each, ...each, ...each]);
    assert.ok(script.resolved.every(({ filedPort }) => filedPort! > 0));
  }));

test("lists go apart to a file daemon that knows how, not to an older one", () =>
  withBench(WEB1, async ({ run, script }) => {
    await run({ job: "web1" });
    script.protocolMinor = 2;
    await run({ job: "web1" });
    const apart = script.storageRequests.map((request) => (request as { listsApart?: boolean }).listsApart);
    assert.deepEqual(apart, [true, false]);
  }));

test("an Incremental without a Full is upgraded, with both messages, into the pool of its new level", async () => {
  const job = "  - {Name: web1, JobDefs: D, Level: Incremental, FullPool: Fulls, Base: [web1, CentOS6]}\n";
  await withBench(`${job}  - {Name: CentOS6, JobDefs: D, Level: Base}\n`, async (bench) => {
    bench.script.resolve = () => ({
      level: "Full",
      upgraded: "no-prior-full",
      bases: [12, 15],
      unresolvedBases: ["web1"],
    });
    const record = await bench.run({ job: "web1" });
    const texts = bench.texts(record.jobId).map((text) => text.replace("dir JobId 1: ", ""));
    assert.deepEqual(texts.slice(1, 6), [
      "No prior Full backup Job record found.",
      "No prior or suitable Full backup found in catalog. Doing FULL backup.",
      'No earlier backup of job "web1" to use as its own Base.',
      "Using BaseJobId(s): 12,15",
      "Sending Accurate information to the FD.",
    ]);
    assert.equal(record.level, "F");
    assert.equal(record.pool, "Fulls");
    assert.deepEqual(record.baseJobIds, [12, 15]);
    assert.equal(record.status, "T");
    assert.match(record.report, /Backup Level: {11}Full \(upgraded from Incremental\)/);
    assert.match(record.report, /Pool: {19}"Fulls" \(From Job FullPool override\)/);
    assert.match(record.report, /Base JobIds: {12}12,15/);
    assert.deepEqual(bench.script.resolved[0]?.base, ["web1", "CentOS6"]);
  });
});

test("a Base that resolves to nothing, and problems with files, make a run with warnings", async () => {
  const jobs = "  - {Name: web1, JobDefs: D, Base: CentOS6}\n  - {Name: CentOS6, JobDefs: D, Level: Base}\n";
  await withBench(jobs, async (bench) => {
    bench.script.resolve = () => ({ level: "Full", unresolvedBases: ["CentOS6"] });
    const first = await bench.run({ job: "web1" });
    assert.equal(first.status, "W");
    assert.match(bench.texts(1)[1]!, /Warning: Base job "CentOS6" has no successful Base backup/);
    bench.script.resolve = () => ({ level: "Full" });
    bench.script.filedBackup = async (_request, emit) => {
      await emit(READY);
      return { ok: true, errors: 2 };
    };
    const second = await bench.run({ job: "web1" });
    assert.equal(second.status, "W");
    assert.match(second.report, /Termination: {12}Backup OK -- with warnings/);
    assert.match(second.report, /Non-fatal FD errors: {4}2/);
  });
});

test("a client that fails takes the storage daemon down with it, and is named once", async () => {
  await withBench(WEB1, async (bench) => {
    bench.script.filedBackup = async (_request, emit) => {
      await emit(READY);
      return { ok: false, reason: "/etc: is not there" };
    };
    bench.script.storageBackup = async (_request, _emit, canceled) => {
      await untilCanceled(canceled);
      return { ok: false, canceled: true, reason: "canceled" };
    };
    const record = await bench.run({ job: "web1" });
    assert.equal(record.status, "E");
    assert.equal(record.reason, "/etc: is not there");
    assert.deepEqual(bench.script.canceled, ["storaged: /etc: is not there"]);
    const fatal = bench.texts(1).filter((text) => text.includes("Fatal error"));
    assert.deepEqual(fatal, ["dir JobId 1: Fatal error: /etc: is not there"]);
    assert.match(bench.texts(1).at(-1)!, /^dir JobId 1: Error: Basalt dir/);
    assert.match(record.report, /FD termination status: {2}Error\n {2}SD termination status: {2}Canceled/);
    assert.match(record.report, /Termination: {12}\*\*\* Backup Error \*\*\*/);
  });
});

test("a storage daemon that dies in mid-job fails the job; the client is told; After hooks run", async () => {
  const hooks = `RunAfterFailedJob: "/bin/echo after %e %i", RunAfterJob: "/bin/false"`;
  await withBench(`  - {Name: web1, JobDefs: D, ${hooks}}\n`, async (bench) => {
    bench.script.filedBackup = async (_request, emit, canceled) => {
      await emit(READY);
      await untilCanceled(canceled);
      return { ok: false, canceled: true, reason: "the storage daemon is gone" };
    };
    bench.script.storageBackup = async () => {
      void bench.stopStoraged();
      return new Promise(() => undefined);
    };
    const record = await bench.run({ job: "web1" });
    assert.equal(record.status, "E");
    assert.match(record.reason, /^Storage main-sd: connection lost/);
    assert.equal(bench.script.canceled.length, 1);
    const texts = bench.texts(1);
    assert.ok(texts.includes("dir JobId 1: AfterJob: after Error 1"));
    assert.ok(texts.includes('dir JobId 1: shell command: run AfterJob "/bin/echo after Error 1"'));
  });
});

test("a client that is away: one warning, then a fatal error", async () => {
  await withBench(WEB1, async (bench) => {
    await bench.stopFiled();
    const record = await bench.run({ job: "web1" });
    assert.equal(record.status, "E");
    const texts = bench.texts(1);
    assert.match(
      texts[1]!,
      /Warning: Could not connect to Client: web1-fd on .* ERR=Connection refused Retrying \.\.\./,
    );
    assert.match(
      texts[2]!,
      /Fatal error: Unable to connect to Client: web1-fd on 127\.0\.0\.1:\d+\. ERR=Connection refused/,
    );
    assert.match(record.report, /FD termination status:\n/);
  });
});

test("JobIds go on behind the highest that any storage daemon knows", async () => {
  await withBench(WEB1, async (bench) => {
    bench.script.highestJobId = () => 41;
    assert.equal((await bench.run({ job: "web1" })).jobId, 42);
  });
});

test("a filed one minor version older is accepted, a newer one is not", async () => {
  await withBench(WEB1, async (bench) => {
    await bench.run({ job: "web1" });
    bench.script.protocolMinor += 1;
    const newer = await bench.run({ job: "web1" });
    assert.equal(newer.status, "E");
    assert.match(newer.reason, /speaks protocol/);
  });
});

test("a reload that fails keeps the old configuration and says why; a good one takes over", async () => {
  await withBench(WEB1, async (bench) => {
    const { director, directory } = bench;
    const file = join(directory, "director.yaml");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, `${text}  - {Name: web2, JobDefs: D, Shedule: x}\n`);
    const bad = await director.reload();
    assert.equal(bad.ok, false);
    assert.match(bad.errors[0]!, /director\.yaml:\d+:\d+: .*Shedule/);
    assert.equal(director.config.jobs.size, 1);
    assert.ok(
      director.messages.take("admin").some((line) => line.includes("Please correct the configuration file")),
    );
    writeFileSync(file, `${text}  - {Name: web2, JobDefs: D}\n`);
    assert.deepEqual(await director.reload(), { ok: true, errors: [] });
    assert.equal((await bench.run({ job: "web2" })).status, "T");
    await assert.rejects(director.runJob({ job: "web3" }), {
      code: "NOT_FOUND",
      message: 'Job "web3" not found',
    });
    director.setEnabled("client", "web1-fd", false);
    await assert.rejects(director.runJob({ job: "web2" }), { code: "DISABLED" });
  });
});

test("a failed job is rescheduled as its resource says", async () => {
  const job =
    "  - {Name: web1, JobDefs: D, RescheduleOnError: yes, RescheduleInterval: 0, RescheduleTimes: 1}\n";
  await withBench(job, async (bench) => {
    bench.script.filedBackup = async () => ({ ok: false, reason: "not today" });
    await bench.run({ job: "web1" });
    await bench.director.queue.waitIdle();
    // Nothing was stored: it keeps its number.
    assert.equal(bench.db.jobs.count(), 1);
    const texts = bench.texts(1);
    assert.equal(texts.filter((text) => text.includes("Start Backup JobId 1, Job=web1.")).length, 2);
    const again = /Rescheduled Job web1\.\S+ at \S+ \S+ to re-run in 0 seconds \(\S+ \S+\)\./;
    assert.equal(texts.filter((text) => again.test(text)).length, 1);
  });
});

test("the jobs of Run start with the job at its level, and start no further ones", () => {
  const clones = `[ 'web2 level=%l since="%s" comment="of %i"', "nosuch level=Full" ]`;
  const jobs = `  - {Name: web1, JobDefs: D, Run: ${clones}}\n  - {Name: web2, JobDefs: D, Level: Incremental, Run: "web1"}\n`;
  return withBench(jobs, async ({ run, texts, director, db }) => {
    assert.equal((await run({ job: "web1" })).status, "W");
    await director.queue.waitIdle();
    assert.deepEqual(
      db.jobs.list({}).map(({ name, level, comment }) => [name, level, comment]),
      [
        ["web1", "F", ""],
        ["web2", "F", "of 1"],
      ],
    );
    assert.ok(texts(1).some((text) => /run web2 level=Full since=.*: Job queued\. JobId=2$/.test(text)));
    assert.ok(texts(1).some((text) => /Warning: Run "nosuch level=Full" started no job: /.test(text)));
  });
});
