import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Sqlite from "better-sqlite3";
import { startBench } from "../testing.js";
import { WEB1, withBench } from "../with-bench.js";

test("hooks: output, codes as single words, a failing one ends the job before its daemons", async () => {
  const jobs = `
  - {Name: my job, JobDefs: D, RunBeforeJob: "/bin/sh -c 'echo $1; exit 3' x %n"}
  - {Name: soft, JobDefs: D, ClientRunBeforeJob: "/hooks/snap %n '%c x'", RunScript: {Command: /bin/false, RunsWhen: Before, FailJobOnError: no, RunsOnClient: no}}
`;
  await withBench(jobs, async (bench) => {
    const record = await bench.run({ job: "my job" });
    const texts = bench.texts(1).map((text) => text.replace("dir JobId 1: ", ""));
    assert.equal(texts[1], `shell command: run BeforeJob "/bin/sh -c echo $1; exit 3 x my job"`);
    assert.equal(texts[2], "BeforeJob: my job");
    assert.equal(
      texts[3],
      "Error: Runscript: BeforeJob returned non-zero status=3. ERR=Child exited with code 3",
    );
    assert.equal(record.status, "E");
    assert.equal(bench.script.filedRequests.length, 0);
    const soft = await bench.run({ job: "soft" });
    assert.equal(soft.status, "W");
    const [request] = bench.script.filedRequests;
    assert.deepEqual(
      request?.hooks.map(({ command, before }) => [command, before]),
      [["/hooks/snap soft 'web1-fd x'", true]],
    );
  });
});

test("a restore: selection, report, and a count that differs", async () => {
  const jobs = `${WEB1}  - {Name: Restore, JobDefs: D, Type: Restore, Where: /tmp/r}\n`;
  await withBench(jobs, async (bench) => {
    await bench.run({ job: "web1" });
    bench.script.filedRestore = async (_request, emit) => {
      await emit({ message: { type: "saved", text: "/tmp/r/etc/passwd", timeMs: 0 } });
      return { ok: true, files: 5, bytes: 1000 };
    };
    const rules = [{ path: Buffer.from("/etc"), include: true, recursive: true }];
    const restore = { selection: { jobIds: [1], rules }, client: "web1-fd", restoreClient: "web1-fd" };
    const good = await bench.run({ job: "Restore", restore: { ...restore, filesExpected: 5 } });
    assert.equal(good.status, "T");
    assert.equal(good.type, "R");
    assert.match(
      good.report,
      /Restore Client: {9}"web1-fd"\n {2}Where: {18}\/tmp\/r\n {2}Replace: {16}Always/,
    );
    assert.match(good.report, /Files Expected: {9}5\n {2}Files Restored: {9}5\n/);
    assert.match(good.report, /Termination: {12}Restore OK\n/);
    const texts = bench.texts(2);
    assert.match(texts[0]!, /Start Restore Job Restore\./);
    assert.equal(texts[1], "dir JobId 2: Restoring files from JobId(s) 1");
    assert.ok(texts.includes("web1-fd JobId 2: /tmp/r/etc/passwd"));
    const [, request] = bench.script.filedRequests;
    assert.ok(request !== undefined && "where" in request);
    assert.equal(request.where, "/tmp/r");
    assert.equal(request.reportFiles, true);
    const short = await bench.run({
      job: "Restore",
      restore: { ...restore, filesExpected: 6, where: "/", replace: "never" },
    });
    assert.equal(short.status, "W");
    assert.match(short.report, /Where: {18}\/\n {2}Replace: {16}Never/);
    assert.match(short.report, /Termination: {12}Restore OK -- warning file count mismatch/);
  });
});

test("admin jobs run their hooks; a Verify job without a run to verify says so", async () => {
  const jobs = `${WEB1}  - {Name: adm, JobDefs: D, Type: Admin, RunBeforeJob: /bin/echo hi}\n  - {Name: ver, JobDefs: D, Type: Verify, Level: Data, VerifyJob: web1}\n`;
  await withBench(jobs, async (bench) => {
    const admin = await bench.run({ job: "adm" });
    assert.equal(admin.status, "T");
    assert.match(admin.report, /Termination: {12}Admin OK/);
    assert.ok(bench.texts(1).includes("dir JobId 1: BeforeJob: hi"));
    const verify = await bench.run({ job: "ver" });
    assert.equal(verify.status, "E");
    assert.match(verify.reason, /job "web1" has no finished backup that could be verified/);
  });
});

test("a database that takes no messages loses them, not the end of the job", async () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-full-"));
  const file = join(directory, "director.db");
  const bench = await startBench(WEB1, file);
  const other = new Sqlite(file);
  try {
    // As when the disk is full: what was written since the transaction began is gone.
    const full = "BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END";
    other.exec(`CREATE TRIGGER full AFTER INSERT ON log WHEN NEW.text LIKE '%Termination:%' ${full}`);
    assert.equal((await bench.run({ job: "web1" })).status, "T");
    assert.deepEqual(
      bench.texts(1).filter((text) => text.includes("Termination:")),
      [],
    );
    other.exec(`DROP TRIGGER full; CREATE TRIGGER full AFTER UPDATE ON job WHEN NEW.status = 'T' ${full}`);
    assert.equal((await bench.run({ job: "web1" })).status, "R");
    assert.ok(bench.texts(2).some((text) => text.includes("Termination:")));
  } finally {
    other.close();
    await bench.close();
    rmSync(directory, { recursive: true });
  }
});

test("a job whose start the database does not record fails without having run", async () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-start-"));
  const file = join(directory, "director.db");
  const bench = await startBench(WEB1, file);
  const other = new Sqlite(file);
  try {
    const full = "BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END";
    other.exec(`CREATE TRIGGER full AFTER UPDATE ON job WHEN NEW.status = 'R' ${full}`);
    const record = await bench.run({ job: "web1" });
    assert.equal(record.status, "E");
    assert.match(record.reason, /^the director's database cannot record the start of the job: .*disk full/);
    assert.ok(bench.texts(1).some((text) => text.includes("Fatal error: the director's database")));
    assert.match(record.report, /Termination: {12}\*\*\* Backup Error \*\*\*\n/);
    assert.equal(bench.script.storageRequests.length, 0);
    other.exec("DROP TRIGGER full");
    assert.equal((await bench.run({ job: "web1" })).status, "T");
  } finally {
    other.close();
    await bench.close();
    rmSync(directory, { recursive: true });
  }
});

test("the end of a job and all that it said come to the database as one", async () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-end-"));
  const file = join(directory, "director.db");
  const bench = await startBench(WEB1, file);
  const reader = new Sqlite(file, { readonly: true });
  try {
    const { jobs, log } = bench.db;
    const outside = (sql: string): unknown => reader.prepare(sql).pluck().get();
    const seen: unknown[] = [];
    const update = jobs.update.bind(jobs);
    jobs.update = (jobId, columns) => {
      update(jobId, columns);
      if (columns.status !== "T") return;
      seen.push(log.list(jobId).some(({ text }) => text.includes("Termination:")));
      seen.push(outside("SELECT count(*) FROM log WHERE text LIKE '%Termination:%'"));
      seen.push(outside("SELECT status FROM job"));
    };
    await bench.run({ job: "web1" });
    assert.deepEqual(seen, [true, 0, "R"]);
  } finally {
    reader.close();
    await bench.close();
    rmSync(directory, { recursive: true });
  }
});
