/** Operations that remove, rewrite and move what is stored, whose every step is tried. */

import type { PoolDefinition } from "../catalog/writer-pools.js";
import { POOL } from "../session/testing.js";
import type { Scenario } from "./enumerate.js";
import type { Play } from "./play.js";
import { copyJob, keepLast, prune, purgeJobs, purgeVolume, virtualFull } from "./retention-play.js";
import { at, ModelTree } from "./tree.js";

/** One job a volume, used again once nobody needs it. */
const ONE_JOB: PoolDefinition = { ...POOL, maximumVolumeJobs: 1, recycle: true };
const SECOND: PoolDefinition = { ...POOL, name: "Second-Pool", labelFormat: "Second-" };

const machine = () =>
  new ModelTree().file(at("etc/a"), "a").file(at("etc/b"), "b of all").link(at("etc/c"), at("etc/b"));
const changed = () => machine().file(at("etc/a"), "changed", 2000).file(at("own"), "own").remove(at("etc/c"));

async function listed(play: Play, jobId: number) {
  return (await play.daemon.goodJobs()).find((job) => job.jobId === jobId)!;
}

/** 1: another job's Full; 2: a Full, 3: an Incremental on it. */
async function chain(play: Play): Promise<void> {
  await play.mustBackUp(machine(), { jobName: "other" });
  await play.mustBackUp(machine().file("big", "not so big"));
  await play.mustBackUp(changed(), { level: "Incremental" });
}

/** 1: a Base, 2: a Full on it, 3: an Incremental. */
async function baseAndFull(play: Play): Promise<void> {
  await play.mustBackUp(machine(), { level: "Base", jobName: "reference" });
  await play.mustBackUp(changed(), { base: ["reference"] });
  await play.mustBackUp(changed().file("new", "new"), { level: "Incremental", base: ["reference"] });
}

const deletion: Scenario = {
  name: "deleting a Full and its Incremental",
  pools: [ONE_JOB],
  prepare: chain,
  run: async (play) => void (await purgeJobs(play, [2, 3])),
};

const pruned: Scenario = {
  name: "a prune that keeps the newest runs",
  pools: [ONE_JOB],
  prepare: async (play) => {
    await chain(play);
    await play.mustBackUp(changed().file("newest", "n"));
  },
  run: async (play) => void (await prune(play, [keepLast(1)])),
};

const consolidated: Scenario = {
  name: "a prune that folds old runs into the newest",
  pools: [ONE_JOB],
  prepare: chain,
  run: async (play) => void (await prune(play, [keepLast(1, true)])),
};

const rebased: Scenario = {
  name: "a rebase away from a Base, and its deletion",
  pools: [ONE_JOB],
  prepare: baseAndFull,
  run: async (play) => void (await purgeJobs(play, [1], true)),
};

const unlisted: Scenario = {
  name: "file lists that are dropped and read again",
  pools: [ONE_JOB],
  prepare: async (play) => {
    await chain(play);
    await play.mustBackUp(changed().file("newest", "n"));
  },
  run: async (play) => {
    await play.daemon.operations.purgeFiles([2, 3]);
    await play.daemon.restoreListed(await listed(play, 3));
  },
};

const recycled: Scenario = {
  name: "purging a volume and using it again",
  pools: [ONE_JOB],
  prepare: chain,
  run: async (play) => {
    await purgeVolume(play, "Vol-0003");
    await play.backup(changed(), { jobName: "again" });
  },
};

const made: Scenario = {
  name: "a VirtualFull",
  prepare: baseAndFull,
  run: async (play) => void (await virtualFull(play, await listed(play, 3), POOL.name)),
};

const copied: Scenario = {
  name: "a copy to another pool",
  pools: [POOL, SECOND],
  prepare: baseAndFull,
  run: async (play) => void (await copyJob(play, await listed(play, 2), SECOND.name)),
};

const migrated: Scenario = {
  name: "a migration to another pool",
  pools: [ONE_JOB, SECOND],
  prepare: baseAndFull,
  run: async (play) => void (await copyJob(play, await listed(play, 2), SECOND.name, true)),
};

const vacuumed: Scenario = {
  name: "a vacuum of a volume that holds little",
  pools: [{ ...POOL, maximumVolumeJobs: 2, recycle: true }],
  prepare: async (play) => {
    // Volume 1: a job that goes and one whose content others use; both records of the next are on volume 2.
    await play.mustBackUp(machine().file("big", Buffer.alloc(3000, "big")), { jobName: "other" });
    await play.mustBackUp(machine());
    await play.mustBackUp(changed(), { jobName: "third" });
    await purgeJobs(play, [1]);
  },
  run: async (play) => {
    await play.daemon.operations.empty(101);
  },
};

export const RETENTION: readonly Scenario[] = [
  ...[deletion, pruned, consolidated, rebased, unlisted, recycled],
  ...[made, copied, migrated, vacuumed],
];
