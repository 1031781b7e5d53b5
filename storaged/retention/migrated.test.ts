import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { RecordKind } from "../../common/format/frame.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { filesOf, VOLUMES } from "../faults/disk.js";
import { Play } from "../faults/play.js";
import { scannedDisk, verifyRescan } from "../faults/rescan.js";
import { copyJob } from "../faults/retention-play.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { POOL } from "../session/testing.js";
import { Survey } from "../volume/extract/survey.js";
import { TEST_JOB } from "../volume/fixture.js";
import { newLabel } from "../volume/label.js";
import { VolumeWriter } from "../volume/writer.js";
import { rebaseAlone } from "./rebase.js";

const POOLS: readonly PoolDefinition[] = ["Above", "First", "Second", "Third", "Fourth", "Fifth"].map(
  (name) => ({
    ...{ ...POOL, name, labelFormat: `${name}-`, maximumVolumeJobs: 1, recycle: true, truncateOnPurge: true },
  }),
);

async function migrate(play: Play, jobId: number, pool: string): Promise<number> {
  const job = (await play.daemon.goodJobs()).find((one) => one.jobId === jobId)!;
  const { ok, reason } = await copyJob(play, job, pool, true);
  assert.equal(ok, true, reason);
  return Math.max(...play.ledger.kept());
}

/** Every job restores, from this catalog and from one that is made of the volumes alone. */
async function check(play: Play): Promise<void> {
  await play.verify();
  await verifyRescan(filesOf(play.daemon.store), play.ledger, POOLS);
}

test("what lies over a job is found on volumes when that was migrated several times, and nothing in between is left", async () => {
  const play = await new Play({ pools: POOLS }).start();
  try {
    const tree = new ModelTree().file(at("a"), noise(1, 5000)).file(at("b"), "b");
    await play.mustBackUp(tree, { pool: "Above", level: "Base", jobName: "reference" });
    const first = await play.mustBackUp(tree.file(at("c"), "c"), { pool: "First", base: ["reference"] });
    const { uuid } = (await play.daemon.goodJobs()).find(({ jobId }) => jobId === first)!;
    const over = { level: "Incremental", base: ["reference"], pool: "Above" };
    const above = await play.mustBackUp(tree.file(at("b"), "another b"), over);
    let newest = first;
    for (const pool of ["Second", "Third", "Fourth"]) {
      newest = await migrate(play, newest, pool);
      const { catalog, desk } = play.daemon;
      for (const volume of await catalog.reader.listVolumes("", "")) await desk.admin.purge(volume);
      await check(play);
    }
    const volumes = await play.daemon.catalog.reader.listVolumes("", "");
    assert.deepEqual(
      volumes.filter(({ lastWrittenMs }) => lastWrittenMs === 0).map(({ name }) => name),
      ["First-0001", "Second-0001", "Third-0001"],
    );
    // A list that is written anew says so too.
    const { catalog, desk, store } = play.daemon;
    const listed = (await play.daemon.goodJobs()).find(({ jobId }) => jobId === newest)!;
    const reporter = new Reporter(async () => undefined);
    const { signal } = new AbortController();
    const options = { catalog, desk, storage: "sd", reporter, signal };
    assert.deepEqual(await rebaseAlone(options, [listed.id]), [newest]);
    await check(play);
    const survey = await Survey.of(store, [...store.paths()], async () => undefined);
    try {
      assert.equal(survey.job(String(above))?.parents.at(-1), uuid);
      assert.equal(survey.jobOrCopy(uuid)?.jobId, newest);
    } finally {
      await survey.close();
    }
    await goOnAfterScan(play, newest);
  } finally {
    await play.end();
  }
});

/** What the volumes said of a migrated job is known when it is migrated once more. */
async function goOnAfterScan({ daemon, ledger }: Play, jobId: number): Promise<void> {
  const { disk } = await scannedDisk(filesOf(daemon.store));
  const play = new Play({ pools: POOLS, disk, ledger });
  try {
    await play.start();
    await migrate(play, jobId, "Fifth");
    const { catalog, desk } = play.daemon;
    for (const volume of await catalog.reader.listVolumes("", "")) await desk.admin.purge(volume);
    await check(play);
  } finally {
    await play.end();
  }
}

test("of many migrations of which none can be restored the scan looks at each once", async () => {
  const play = await new Play({ pools: POOLS }).start();
  try {
    const tree = new ModelTree().file(at("a"), "a");
    await play.mustBackUp(tree, { pool: "First" });
    const { uuid } = (await play.daemon.goodJobs())[0]!;
    await play.mustBackUp(tree.file(at("b"), "b"), { level: "Incremental", pool: "Above" });
    const { store } = play.daemon;
    const path = `${VOLUMES}/Chain-0001`;
    const facts = { volume: "Chain-0001", pool: "First", mediaType: "File", storage: "sd", createdMs: 1 };
    const writer = await VolumeWriter.create(store, path, newLabel(facts));
    const prior = [uuid];
    for (let jobId = 100; jobId < 140; jobId++) {
      const job = { ...TEST_JOB, jobUuid: randomUUID(), jobId };
      const counts = { status: "T", endMs: jobId, rows: 1, files: 1, bytes: 1 };
      const over = { parents: [], bases: [], volumes: [], copyOf: prior[0], prior: prior.slice(1) };
      await writer.appendRecord(RecordKind.jobEnd, { ...job, ...counts, ...over });
      prior.unshift(job.jobUuid);
    }
    await writer.close();
    const files = new Map([...filesOf(store)].filter(([name]) => !name.endsWith("First-0001")));
    const { disk, complaints } = await scannedDisk(files);
    disk.remove();
    assert.ok(
      complaints.some((text) => /^JobId 2 .* is left out: it lies over/.test(text)),
      complaints.join("\n"),
    );
  } finally {
    await play.end();
  }
});
