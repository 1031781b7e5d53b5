import assert from "node:assert/strict";
import { test } from "node:test";
import { filesOf } from "../faults/disk.js";
import { type NearRetention, nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { verifyRescan } from "../faults/rescan.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { POOL } from "../session/testing.js";
import type { PlanJob } from "./closure.js";
import type { PruneOrder } from "./orders.js";

const SMALL = { ...POOL, maximumVolumeBytes: 20_000, recycle: true };
const SIGNAL = new AbortController().signal;
const LAST_ONE = { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 0 };
const PRUNE: PruneOrder = {
  ...{ kind: "jobs", client: "", jobName: "", pool: "", volume: "", dry: false },
  zone: { timeZone: "UTC", utcOffsetMinutes: 0 },
  rules: [
    ...[
      {
        jobName: "",
        client: "",
        pool: "",
        jobRetention: 0,
        fileRetention: 0,
        keep: LAST_ONE,
        consolidate: true,
      },
    ],
  ],
};

function tree(from: number, to: number): ModelTree {
  const made = new ModelTree();
  for (let i = from; i < to; i++) made.file(at(`d${i % 3}/file${i}`), noise(i, 3000));
  return made;
}

type Race = (play: Play, near: NearRetention) => Promise<void>;

/** What goes is settled in the ledger by what is still listed. */
async function settle(play: Play, work: Promise<unknown>): Promise<void> {
  await work;
  const good = new Set((await play.daemon.goodJobs()).map(({ jobId }) => jobId));
  for (const [jobId, { state }] of play.ledger.jobs) {
    if (state === "kept" && !good.has(jobId)) play.ledger.set(jobId, "gone");
  }
}

const prune: Race = (play, { retention }) => settle(play, retention.prune(PRUNE, SIGNAL));

/** Every finished job in turn, newest first; those that are needed are refused. */
const purge: Race = async (play, { retention }) => {
  const all = { client: "", jobName: "", volume: "", dry: false, rebase: false };
  for (const { jobId } of (await play.daemon.goodJobs()).reverse()) {
    await settle(play, retention.purgeJobs({ ...all, jobIds: [jobId] }, SIGNAL));
  }
};

const vacuum: Race = async (_play, near) => void (await near.vacuum());

/** Everything that can take something away. */
const everything: Race = async (play, near) => {
  // What was moved once is to be kept at its new place, too.
  await vacuum(play, near);
  await purge(play, near);
  await vacuum(play, near);
  await prune(play, near);
};

/** Content of deleted jobs beside that of kept ones, a chain on a Base, and volumes that could be used again. */
async function prepared(): Promise<Play> {
  const play = await new Play({ pools: [SMALL] }).start();
  await play.mustBackUp(tree(0, 4), { jobName: "ref", level: "Base" });
  await play.mustBackUp(tree(0, 12), { jobName: "old", filesPerFrame: 1 });
  await play.mustBackUp(tree(3, 6).file(at("x"), noise(77, 3000)), { jobName: "vm", base: ["ref"] });
  await play.mustBackUp(tree(3, 7), { jobName: "vm", level: "Incremental", base: ["ref"] });
  await play.mustBackUp(tree(11, 13), { jobName: "other" });
  const [old] = (await play.daemon.goodJobs()).filter(({ jobName }) => jobName === "old");
  await play.daemon.deleter.delete([old!.id]);
  play.ledger.set(old!.jobId, "gone");
  return play;
}

/** A backup that stands still before its message `step` while `race` runs to its end. False: it has fewer messages. */
async function raced(level: string, race: Race, step: number): Promise<boolean> {
  const play = await prepared();
  try {
    const near = nearRetention(play.daemon);
    let messages = 0;
    const beforeSend = async () => {
      if (++messages === step) await race(play, near);
    };
    const wanted = { jobName: "vm", level, base: ["ref"], filesPerFrame: 2, beforeSend };
    await play.mustBackUp(tree(2, 14), wanted);
    await play.verify();
    await play.verifyNothingLeft();
    if (step % 4 === 0) await verifyRescan(filesOf(play.daemon.store), play.ledger, [SMALL]);
    return messages >= step;
  } finally {
    await play.end();
  }
}

for (const [name, race] of Object.entries({ prune, purge, vacuum, everything })) {
  for (const level of ["Full", "Incremental"]) {
    test(`${name} at every message of a running ${level} takes nothing that it was told is known`, async () => {
      let step = 1;
      while (await raced(level, race, step)) step++;
      assert.ok(step > 8, `the job has ${step - 1} messages`);
    });
  }
}

test("what a running job compares with stays, and says so", async () => {
  const play = await prepared();
  try {
    const { retention } = nearRetention(play.daemon);
    let kept: [string, string][] = [];
    const reached = async (moment: string) => {
      if (moment !== "claimed") return;
      const { decisions } = await retention.prune({ ...PRUNE, dry: true }, SIGNAL);
      kept = decisions.map(({ job, reason }: { job: PlanJob; reason: string }) => [job.job, reason]);
      const purged = await retention.purgeJobs(
        { jobIds: [4], client: "", jobName: "", volume: "", dry: false, rebase: true },
        SIGNAL,
      );
      assert.equal(purged.refused, true);
      assert.match(purged.decisions[0]!.reason, /needed by JobId 6, which is running/);
    };
    await play.mustBackUp(tree(2, 9), { jobName: "vm", level: "Incremental", base: ["ref"], reached });
    assert.deepEqual(
      kept.filter(([job]) => job.startsWith("vm")),
      [
        ["vm.3", "kept: JobId 6, which is running, needs it"],
        ["vm.4", "kept: last 1 of 1"],
      ],
    );
    await play.verify();
  } finally {
    await play.end();
  }
});
