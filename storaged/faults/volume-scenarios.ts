/** Operations on volumes whose every step is tried. */

import { POOL } from "../session/testing.js";
import type { Scenario } from "./enumerate.js";
import type { Play } from "./play.js";
import { at, ModelTree, noise } from "./tree.js";

const tree = (seed: number) =>
  new ModelTree().file(at("etc/a"), `a ${seed}`).file(at("b"), noise(seed, 3000));

/** One job per volume, at most three of them, used in a circle. */
const CIRCLE = { ...POOL, maximumVolumeJobs: 1, recycle: true, labelFormat: "Vol-" };

/** A job that is deleted again, so that nobody needs its volume: it is Purged. */
async function purgedVolume(play: Play, seed: number): Promise<string> {
  const { deleter, catalog } = play.daemon;
  const jobId = await play.mustBackUp(tree(seed), { jobName: `gone-${seed}` });
  const all = { jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const [job] = await catalog.reader.listJobs(all);
  await deleter.delete([job!.id]);
  play.ledger.set(jobId, "gone");
  return job!.volumes[0]!;
}

const prepare = async (play: Play) => {
  await play.mustBackUp(tree(1), { jobName: "kept" });
  await purgedVolume(play, 2);
};

const purged = async (play: Play): Promise<string> => {
  const volumes = await play.daemon.catalog.reader.listVolumes("", "");
  return volumes.find(({ status }) => status === "Purged")!.name;
};

const recycle: Scenario = {
  name: "a job on a recycled volume",
  pools: [CIRCLE],
  prepare,
  run: async (play) => void (await play.backup(tree(3), { jobName: "new" })),
};

const truncate: Scenario = {
  name: "truncate",
  pools: [CIRCLE],
  prepare,
  run: async (play) =>
    void (await play.daemon.desk.admin.truncate(await purged(play)).catch(() => undefined)),
};

const relabel: Scenario = {
  name: "relabel",
  pools: [CIRCLE],
  prepare,
  run: async (play) =>
    void (await play.daemon.desk.admin
      .relabel(await purged(play), "Renamed", POOL.name)
      .catch(() => undefined)),
};

const scratch: Scenario = {
  name: "a job on a volume of the Scratch pool",
  pools: [CIRCLE, { ...POOL, name: "Scratch", poolType: "Scratch" }],
  prepare: async (play) => {
    await play.mustBackUp(tree(1), { jobName: "kept" });
    await play.daemon.desk.label("Spare", "Scratch", "", 0);
  },
  run: async (play) => void (await play.backup(tree(3), { jobName: "new" })),
};

const emptied: Scenario = {
  name: "a purge that empties the volume and moves it to its RecyclePool",
  pools: [
    { ...CIRCLE, truncateOnPurge: true, recyclePool: "Spare" },
    { ...POOL, name: "Spare" },
  ],
  prepare: async (play) => void (await play.mustBackUp(tree(1), { jobName: "kept" })),
  run: async (play) => {
    const { result } = await play.backup(tree(2), { jobName: "gone" });
    if (result.ok !== true) return;
    const { deleter, catalog } = play.daemon;
    const jobId = play.ledger.nextJobId - 1;
    const all = { jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
    const [job] = await catalog.reader.listJobs(all);
    play.ledger.set(jobId, "open");
    await deleter.delete([job!.id]).then(
      () => play.ledger.set(jobId, "gone"),
      () => undefined,
    );
  },
};

export const VOLUME_SCENARIOS: readonly Scenario[] = [recycle, truncate, relabel, scratch, emptied];
