/** Steps of a history that make jobs out of jobs, move content, and look for damage where there is none. */

import assert from "node:assert/strict";
import { basename } from "node:path";
import type { Random } from "../../test/helpers/random.js";
import { wholeImage } from "../faults/disk.js";
import { Play } from "../faults/play.js";
import { verifyRescan } from "../faults/rescan.js";
import { copyJob, virtualFull } from "../faults/retention-play.js";
import { isHarmless, isMovedAway } from "./harmless.js";
import { POOLS } from "./machines.js";
import type { World } from "./world.js";

export async function makeVirtualFull(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  const runs = kept.filter(({ level, type }) => level !== "Base" && type === "B");
  if (runs.length === 0) return "nothing to make a VirtualFull of";
  const { jobName, client, fileSet } = random.pick(runs);
  const newest = runs
    .filter((job) => job.jobName === jobName && job.client === client && job.fileSet === fileSet)
    .reduce((a, b) => (b.startMs > a.startMs || (b.startMs === a.startMs && b.jobId > a.jobId) ? b : a));
  const { pool } = random.pick(POOLS.map(({ name }) => ({ pool: name })));
  const result = await virtualFull(world.play, newest, pool);
  assert.equal(result.ok, true, `VirtualFull of ${newest.jobId} failed: ${result.reason}`);
  await restoreNewest(world);
  return `VirtualFull of ${newest.jobId} (${jobName}) in ${pool}`;
}

async function restoreNewest(world: World): Promise<void> {
  const kept = await world.kept();
  await world.play.verifyJob(kept.reduce((a, b) => (b.jobId > a.jobId ? b : a)));
}

export async function copySome(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  if (kept.length === 0) return "nothing to copy";
  const original = random.pick(kept.filter(({ type }) => type === "B"));
  if (original === undefined) return "nothing to copy";
  const migrate = random.below(2) === 0;
  const pool = random.pick(POOLS).name;
  if (pool === original.pool) return "it lies there already";
  const result = await copyJob(world.play, original, pool, migrate);
  const what = `${migrate ? "migration" : "copy"} of ${original.jobId} to ${pool}`;
  assert.equal(result.ok, true, `${what} failed: ${result.reason}`);
  if (migrate) {
    const still = (await world.play.daemon.goodJobs()).some(({ jobId }) => jobId === original.jobId);
    assert.equal(still, false, `${what}: the original is still there`);
    world.play.ledger.set(original.jobId, "gone");
  }
  await restoreNewest(world);
  return what;
}

export async function vacuumSome(world: World, random: Random): Promise<string> {
  const percent = random.pick([30, 60, 101]);
  const { frames, volumes } = await world.play.daemon.operations.empty(percent);
  return `vacuum below ${percent} %: ${frames} frames moved, emptied ${volumes.join()}`;
}

export async function checkAll(world: World): Promise<string> {
  const findings = await world.play.daemon.operations.check(true);
  assert.deepEqual(
    findings.map(({ kind, volume, text }) => `${kind} ${volume} ${text}`),
    [],
  );
  return "check found nothing";
}

/** One flipped bit in a copy of the volumes: found, and no restore gives anything wrong. */
export async function damage(world: World, random: Random): Promise<string> {
  const { disk, ledger } = world.play;
  const image = wholeImage(disk);
  const files = [...image.volumes].filter(([, content]) => content.length > 2000);
  if (files.length === 0) return "nothing to damage";
  const [path, content] = random.pick(files);
  const at = random.below(content.length);
  const broken = Buffer.from(content);
  broken[at] = broken[at]! ^ (1 << random.below(8));
  const volumes = new Map([...image.volumes, [path, broken]]);
  const play = await new Play({ pools: POOLS, image: { ...image, volumes }, ledger }).start();
  try {
    const { status } = (await play.daemon.catalog.reader.listVolumes("", basename(path)))[0]!;
    const findings = await play.daemon.operations.check(true);
    if (status !== "Purged" && status !== "Recycle") {
      const { db } = play.daemon;
      const found =
        findings.length > 0 ||
        isHarmless(db, path, content, broken, at) ||
        (await isMovedAway(disk.store, db, path, at));
      assert.ok(found, `bit flipped at ${at} of ${path} was not found`);
    }
    const lost = new Set(findings.flatMap(({ jobIds }) => jobIds));
    for (const job of await play.daemon.goodJobs()) {
      if (!lost.has(job.jobId)) await play.verifyJob(job);
      else await play.verifyJobOrError(job);
    }
    return `damage at ${at} of ${path}: ${findings.length} findings, jobs ${[...lost].join()}`;
  } finally {
    await play.end();
  }
}

export async function rescan(world: World): Promise<string> {
  await world.play.verify([]);
  const { disk, ledger } = world.play;
  await verifyRescan(wholeImage(disk).volumes, ledger, POOLS);
  return `scan found ${ledger.kept().length} jobs`;
}
