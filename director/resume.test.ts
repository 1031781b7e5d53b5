/** Backups that go on, or are found to be finished, under a JobId that was used before. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../common/scratch-directory.js";
import type { CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import { type Bench, startBench } from "./testing.js";

const READY = { state: { state: "ready", detail: "" } };

async function withBench(directives: string, work: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = await startBench(`  - {Name: web1, JobDefs: D${directives}}\n`);
  try {
    await work(bench);
  } finally {
    await bench.close();
  }
}

const committed = (job: string): CatalogJob => ({
  ...{ jobId: 1, job, type: "B", status: "T", level: "Full", files: 7, bytes: 70, rows: 8 },
  ...{ volumes: ["Vol-0001"], endMs: 1_700_000_000_000 },
});

test("what the storage committed while the connection was away is not done again", async () => {
  const file = join(scratchDirectory("resume"), "web1.bsr");
  await withBench(`, WriteBootstrap: ${file}`, async ({ script, director, db, texts }) => {
    script.filedBackup = async (_request, emit) => {
      await emit(READY);
      return { ok: false, reason: "lost" };
    };
    script.storageBackup = async () => ({ ok: false, reason: "lost" });
    const jobId = await director.runJob({ job: "web1" });
    const failed = (await director.queue.waitJob(jobId))!;
    assert.equal(failed.status, "E");
    script.held = () => [
      { ...committed("another.1"), files: 1 },
      { ...committed(failed.job), status: "I" },
      committed(failed.job),
    ];
    script.resolve = (request) => ({
      level: request.level,
      committed: request.jobId === jobId && request.job === failed.job,
    });
    await director.resumeJob(jobId);
    await director.queue.waitIdle();
    const record = db.jobs.get(jobId)!;
    assert.deepEqual([record.status, record.files, record.bytes, record.level], ["T", 7, 70, "F"]);
    assert.deepEqual(record.volumes, ["Vol-0001"]);
    assert.match(record.report, /Termination: {12}Backup OK/);
    assert.ok(
      texts(jobId).some((text) => /had finished JobId 1 at .* already: nothing is done again/.test(text)),
    );
    assert.equal(readFileSync(file, "utf8"), `# ${failed.job} Full\n`);
    assert.equal(script.filedRequests.length, 1, "the client was not asked again");
  });
});

for (const [how, stored] of [
  ["under its JobId", 0],
  ["under a new one", 5],
] as const) {
  test(`AllowDuplicateJobs: no does not mind a run that is done again ${how}`, async () => {
    const again =
      ", AllowDuplicateJobs: no, RescheduleOnError: yes, RescheduleInterval: 0, RescheduleTimes: 1";
    await withBench(again, async ({ script, run, director, db, texts }) => {
      let runs = 0;
      script.filedBackup = async (_request, emit) => {
        await emit(READY);
        return runs++ === 0 ? { ok: false, reason: "not today", bytes: stored } : { ok: true };
      };
      const { jobId } = await run({ job: "web1" });
      await director.queue.waitIdle();
      const last = db.jobs.count();
      assert.equal(last, stored === 0 ? 1 : 2);
      assert.equal(db.jobs.get(last)?.status, "T", texts(last).join("\n"));
      assert.equal(runs, 2);
      assert.ok(!texts(jobId).some((text) => text.includes("Duplicate")));
    });
  });
}

test("a stop while the storage waits for a volume is told to both at once", async () => {
  await withBench("", async ({ script, director }) => {
    let waits: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      waits = resolve;
    });
    let storageEnded = false;
    // The client hangs in what it sends: nobody takes it.
    script.filedBackup = async (_request, emit) => {
      await emit(READY);
      while (!storageEnded) await new Promise((resolve) => setTimeout(resolve, 5));
      return { ok: false, reason: "the connection broke" };
    };
    script.storageBackup = async (_request, emit, canceled) => {
      await emit({ state: { state: "waiting", detail: "" } });
      waits();
      await new Promise<void>((resolve) => canceled.addEventListener("abort", () => resolve()));
      storageEnded = true;
      return { ok: false, incomplete: true, files: 3, reason: "stopped" };
    };
    const jobId = await director.runJob({ job: "web1" });
    await waiting;
    while (director.queue.get(jobId)?.detail === "is running") await new Promise(setImmediate);
    await director.stopJob(jobId);
    const record = await director.queue.waitJob(jobId);
    assert.deepEqual([record?.status, record?.files], ["I", 3]);
  });
});
