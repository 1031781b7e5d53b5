/** `check --repair` of a volume with a flipped bit, whose every step is tried. */

import assert from "node:assert/strict";
import { POOL } from "../session/testing.js";
import { volumePath } from "../volume/label.js";
import { VOLUMES } from "./disk.js";
import type { Scenario } from "./enumerate.js";
import type { Play } from "./play.js";
import { at, ModelTree, noise } from "./tree.js";

const machine = () =>
  new ModelTree().file(at("etc/a"), "a of this machine").file(at("big"), noise(5, 2000)).file(at("b"), "b");
const other = () => new ModelTree().file(at("whole"), noise(6, 500));

/** The Full whose content is damaged, and the Incremental on it that still shows this content. */
const DAMAGED = [2, 3];

/** Flips a bit in the first data frame of a job, near its end. */
export function flip({ daemon, disk }: Pick<Play, "daemon" | "disk">, jobId: number): void {
  const frame = daemon.db
    .prepare<[number], { name: string; offset: number; bytes: number }>(
      `SELECT v.name, f.offset, f.bytes FROM frame f JOIN job j ON j.id = f.job JOIN volume v ON v.id = f.volume
       WHERE j.job_id = ? ORDER BY f.offset LIMIT 1`,
    )
    .get(jobId)!;
  const path = volumePath(VOLUMES, frame.name);
  const content = Buffer.from(disk.store.contents(path));
  const place = frame.offset + frame.bytes - 20;
  content[place] = content[place]! ^ 1;
  disk.store.place(path, content);
}

/** Nobody else has lost anything; the damage is found; the next backup that meets the content heals the jobs. */
async function mend(play: Play): Promise<void> {
  let broken = 0;
  for (const job of await play.daemon.goodJobs()) {
    if (!DAMAGED.includes(job.jobId)) await play.verifyJob(job);
    else {
      await play.verifyJobOrError(job);
      broken += await play.verifyJob(job).then(
        () => 0,
        () => 1,
      );
    }
  }
  const findings = await play.daemon.operations.check(true);
  const named = new Set(findings.flatMap(({ jobIds }) => jobIds));
  assert.ok(findings.length > 0, "the damage is not found again");
  // The file is told of the job whose own list has it.
  if (broken > 0) assert.ok(named.has(DAMAGED[0]!), "the damaged job is not named");
  await play.mustBackUp(machine(), { jobName: "again" });
}

const flipped: Scenario = {
  name: "check --repair of a flipped bit",
  damaged: true,
  pools: [{ ...POOL, maximumVolumeJobs: 1 }],
  prepare: async (play) => {
    await play.mustBackUp(other(), { jobName: "other" });
    await play.mustBackUp(machine());
    await play.mustBackUp(machine().file(at("b"), "another b", 2000), { level: "Incremental" });
    flip(play, 2);
  },
  run: async (play) => void (await play.daemon.operations.check(true)),
  mend,
};

/** The repair was through; the backup that heals is what is cut off. */
const healed: Scenario = {
  ...flipped,
  name: "the backup that stores damaged content again",
  prepare: async (play) => {
    await flipped.prepare!(play);
    await play.daemon.operations.check(true);
  },
  run: async (play) => void (await play.backup(machine(), { jobName: "healer" })),
};

export const REPAIRS: readonly Scenario[] = [flipped, healed];
