/** What a start makes of a backup that ran when the last director was killed: outcome and After commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import { type Bench, startBench } from "./testing.js";

const HOOKS = ', RunAfterJob: "/bin/echo good %i", RunAfterFailedJob: "/bin/echo bad %i"';

const committed: CatalogJob = {
  ...{ jobId: 1, job: "web1.a", type: "B", status: "T", level: "Full", files: 7, bytes: 70, rows: 8 },
  ...{ volumes: ["Vol-0001"], endMs: 1_700_000_000_000 },
};

/** A director that finds JobId 1 of `job` as running. */
async function withKilled(
  job: string,
  work: (bench: Bench) => Promise<void>,
  type: "B" | "C" = "B",
): Promise<void> {
  const bench = await startBench(`  - {Name: web1, JobDefs: D${HOOKS}}\n`);
  try {
    const facts = { name: job, type, level: "F", client: "web1-fd", storage: "File" } as const;
    const rest = { fileSet: "Etc", pool: "Default", schedMs: 1, comment: "", priority: 10 };
    bench.db.jobs.startAfter(0);
    const request = JSON.stringify({ job });
    bench.db.jobs.create({ ...facts, ...rest, uuid: "u1", request }, () => "web1.a");
    bench.db.jobs.update(1, { status: "R", startMs: 5 });
    await work(bench);
  } finally {
    await bench.close();
  }
}

async function until(bench: Bench, ready: () => boolean): Promise<void> {
  while (!ready()) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    bench.director.messages.flush();
  }
}

/** Waits for an After command; what all of them said. */
async function hooksOf(bench: Bench): Promise<string[]> {
  const said = () => bench.texts(1).flatMap((text) => /^.*(AfterJob: \w+ 1)$/m.exec(text)?.[1] ?? []);
  await until(bench, () => said().length > 0);
  return said();
}

test("what the storage had committed by then has ended well, and its After command runs", async () => {
  await withKilled("web1", async (bench) => {
    const { script, director, db } = bench;
    script.held = () => [committed];
    director.start();
    assert.deepEqual(await hooksOf(bench), ["AfterJob: good 1"]);
    const { status, files, errors, reason, endMs, volumes } = db.jobs.get(1)!;
    assert.deepEqual([status, files, errors, reason, endMs], ["T", 7, 0, "", 1_700_000_000_000]);
    assert.deepEqual(volumes, ["Vol-0001"]);
  });
});

test("a run that still ends there is waited for; what was kept of it is incomplete, and has failed", async () => {
  await withKilled("web1", async (bench) => {
    const { script, director, db } = bench;
    let looks = 0;
    script.held = () => [{ ...committed, status: looks++ === 0 ? "R" : "I" }];
    director.start();
    assert.deepEqual(await hooksOf(bench), ["AfterJob: bad 1"]);
    assert.equal(db.jobs.get(1)?.status, "I");
    assert.equal(looks, 2);
  });
});

test("a storage that is away holds the After command up no longer than its connect timeout", {
  timeout: 50_000,
}, async () => {
  await withKilled("web1", async (bench) => {
    const { script, director, db } = bench;
    script.held = () => [committed];
    await bench.stopStoraged();
    director.start();
    assert.deepEqual(await hooksOf(bench), ["AfterJob: bad 1"]);
    assert.equal(db.jobs.get(1)?.status, "f");
  });
});

test("a job that the configuration knows no more has no commands, but its backup is good", async () => {
  await withKilled("gone", async (bench) => {
    const { script, director, db } = bench;
    script.held = () => [committed];
    director.start();
    await until(bench, () => db.jobs.get(1)?.status === "T");
    assert.ok(bench.texts(1).some((text) => text.includes("the backup is good")));
    assert.ok(!bench.texts(1).some((text) => text.includes("AfterJob")));
  });
});

test("a copy that was made in the end counts", async () => {
  await withKilled(
    "web1",
    async (bench) => {
      const { script, director, db } = bench;
      script.held = () => [{ ...committed, type: "C", copyOf: "u0" }];
      director.start();
      await until(bench, () => db.jobs.get(1)?.status === "T");
      assert.ok(bench.texts(1).some((text) => text.includes("the copy is good")));
    },
    "C",
  );
});

test("a migration that was finished has replaced its original", async () => {
  await withKilled("web1", async (bench) => {
    const { script, director, db } = bench;
    const original = { ...db.jobs.get(1)!, jobId: 7, uuid: "u0", job: "web1.0", status: "T" as const };
    db.jobs.restore(original);
    script.held = () => [{ ...committed, copyOf: "u0" }];
    director.start();
    await until(bench, () => db.jobs.get(1)?.status === "T");
    assert.deepEqual([db.jobs.get(1)?.type, db.jobs.get(7)?.type], ["B", "M"]);
  });
});
