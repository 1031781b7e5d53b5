import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import { type NearRetention, nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { POOL } from "../session/testing.js";
import type { PruneOrder, PurgeOrder, RetentionOutcome } from "./orders.js";
import type { PruneRule } from "./plan.js";

const DAY = 86_400;
const NOW = Date.UTC(2026, 9, 1, 12);
const SIGNAL = new AbortController().signal;
const RULE: PruneRule = {
  ...{ jobName: "", client: "", pool: "", jobRetention: 10 * DAY, fileRetention: DAY, consolidate: false },
};
const PRUNE: PruneOrder = {
  ...{ kind: "jobs", client: "", jobName: "", pool: "", volume: "", dry: false, rules: [RULE] },
  zone: { timeZone: "UTC", utcOffsetMinutes: 0 },
};
const PURGE: PurgeOrder = { jobIds: [], client: "", jobName: "", volume: "", rebase: false, dry: false };
/** One job a volume. */
const SINGLE = { ...POOL, maximumVolumeJobs: 1, volumeRetention: 5 * DAY, recycle: true };

const day = (number: number) => setClock(() => NOW + number * DAY * 1000);
afterEach(() => setClock());

const tree = (seed: number) =>
  new ModelTree().file(at("etc/a"), `a ${seed}`).file(at("b"), noise(seed, 2000));

async function staged(work: (play: Play, near: NearRetention) => Promise<void>): Promise<void> {
  day(0);
  const play = await new Play({ pools: [SINGLE] }).start();
  try {
    await work(play, nearRetention(play.daemon));
  } finally {
    await play.end();
  }
}

const told = ({ decisions }: RetentionOutcome) =>
  decisions.map(({ job, action, reason }) => `${job.jobId} ${action}: ${reason}`);

async function statuses({ daemon }: Play): Promise<string[]> {
  const volumes = await daemon.catalog.reader.listVolumes("", "");
  return volumes.map(({ name, status }) => `${name} ${status}`);
}

/** A Full, an Incremental on it, and a younger Full. */
async function threeRuns(play: Play): Promise<void> {
  await play.mustBackUp(tree(1));
  await play.mustBackUp(tree(1).file(at("c"), "c"), { level: "Incremental" });
  day(8);
  await play.mustBackUp(tree(2));
  day(11);
}

test("a dry prune says what would go and why the rest stays, and does nothing", () =>
  staged(async (play, { retention }) => {
    await threeRuns(play);
    const outcome = await retention.prune({ ...PRUNE, dry: true }, SIGNAL);
    assert.deepEqual(told(outcome), [
      "1 delete: goes: ended 2026-10-01, Job Retention = 10 days",
      "2 delete: goes: ended 2026-10-01, Job Retention = 10 days",
      "3 keep: kept: younger than Job Retention = 10 days",
    ]);
    assert.equal(outcome.pruned, 0);
    await play.verify();
  }));

test("prune removes the runs, and volumes that nobody needs become Purged; a second one finds nothing", () =>
  staged(async (play, { retention }) => {
    await threeRuns(play);
    const outcome = await retention.prune(PRUNE, SIGNAL);
    assert.equal(outcome.pruned, 2);
    assert.deepEqual(outcome.purgedVolumes, ["Vol-0001", "Vol-0002"]);
    for (const jobId of [1, 2]) play.ledger.set(jobId, "gone");
    await play.verify();
    await play.verifyNothingLeft();
    const again = await retention.prune(PRUNE, SIGNAL);
    assert.deepEqual([again.pruned, again.purgedVolumes], [0, []]);
  }));

test("the last good run stays whatever its age, and so does its list", () =>
  staged(async (play, { retention }) => {
    await play.mustBackUp(tree(1));
    day(4000);
    assert.deepEqual(told(await retention.prune(PRUNE, SIGNAL)), [
      "1 keep: kept: newest good run of its job",
    ]);
    const files = await retention.prune({ ...PRUNE, kind: "files" }, SIGNAL);
    assert.deepEqual(told(files), ["1 keep: kept: newest good run of its job"]);
    await play.verify();
  }));

test("with consolidate the first staying run takes over what it needs, and restores equal", () =>
  staged(async (play, { retention }) => {
    await play.mustBackUp(tree(1));
    for (let i = 2; i <= 4; i++) {
      await play.mustBackUp(tree(1).file(at(`more${i}`), `m${i}`), { level: "Incremental" });
    }
    const keep = { last: 2, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 0 };
    const outcome = await retention.prune(
      { ...PRUNE, rules: [{ ...RULE, keep, consolidate: true }] },
      SIGNAL,
    );
    assert.deepEqual(told(outcome), [
      "1 delete: goes: not among last 2",
      "2 delete: goes: not among last 2",
      "3 rebase: kept: takes over what it needs of JobId 1, 2",
      "4 keep: kept: last 1 of 2",
    ]);
    for (const jobId of [1, 2]) play.ledger.set(jobId, "gone");
    await play.verify();
    const [third] = (await play.daemon.goodJobs()).filter(({ jobId }) => jobId === 3);
    assert.deepEqual([third!.level, third!.chain], ["Full", []]);
  }));

test("a purge of what others lie over is refused with their numbers; with rebase it is done", () =>
  staged(async (play, { retention }) => {
    await play.mustBackUp(tree(1), { jobName: "ref", level: "Base" });
    await play.mustBackUp(tree(1).file(at("own"), "own"), { base: ["ref"] });
    const refused = await retention.purgeJobs({ ...PURGE, jobIds: [1, 9] }, SIGNAL);
    assert.equal(refused.refused, true);
    assert.deepEqual(told(refused), ["1 refused: needed by Full JobId 2: purge those too, or rebase them"]);
    assert.deepEqual(refused.messages, ["JobId 9 is not in the catalog of this storage."]);
    await play.verify();
    const done = await retention.purgeJobs({ ...PURGE, jobIds: [1], rebase: true }, SIGNAL);
    assert.deepEqual([done.refused, done.pruned], [false, 1]);
    play.ledger.set(1, "gone");
    await play.verify();
  }));

test("a volume with content of other jobs is not purged; after a vacuum of it, it is", () =>
  staged(async (play, { retention, vacuum }) => {
    await play.mustBackUp(tree(1), { jobName: "a" });
    await play.mustBackUp(tree(1), { jobName: "b" });
    const refused = await retention.purgeJobs({ ...PURGE, volume: "Vol-0001" }, SIGNAL);
    assert.equal(refused.refused, true);
    assert.match(
      refused.messages[0]!,
      /content on Volume "Vol-0001" is needed by JobId 2; "vacuum" moves it/,
    );
    await play.verify();
    await vacuum({ volume: "Vol-0001" });
    assert.ok((await statuses(play)).includes("Vol-0001 Purged"));
    await play.verify();
    await play.verifyNothingLeft();
  }));

test("volume retention frees volumes whatever the runs' own, for a job that needs one too", () =>
  staged(async (play, { retention }) => {
    await threeRuns(play);
    const rules = [{ ...RULE, jobRetention: 0 }];
    const dry = await retention.prune({ ...PRUNE, rules, kind: "volume", dry: true }, SIGNAL);
    assert.deepEqual(told(dry), [
      '1 delete: goes: Volume "Vol-0001", Volume Retention = 5 days',
      '2 delete: goes: Volume "Vol-0002", Volume Retention = 5 days',
    ]);
    const young = await retention.prune({ ...PRUNE, rules, kind: "volume", volume: "Vol-0003" }, SIGNAL);
    assert.deepEqual(young.messages, ['Volume "Vol-0003" is younger than Volume Retention = 5 days.']);
    await play.daemon.catalog.writer.syncPools([{ ...SINGLE, maximumVolumes: 3, autoPrune: true }]);
    await play.mustBackUp(tree(4));
    for (const jobId of [1, 2]) play.ledger.set(jobId, "gone");
    await play.verify();
    assert.equal((await statuses(play)).length, 3);
  }));

test("jobs are rebased by number to stand on their own", () =>
  staged(async (play, near) => {
    await threeRuns(play);
    const said: string[] = [];
    const reporter = new Reporter(async ({ message }) => void said.push(message?.text ?? ""));
    assert.deepEqual(await near.retention.rebase([2, 77], reporter, SIGNAL), [2]);
    assert.match(said.join(), /JobId 77 is not a finished backup/);
    assert.equal((await near.retention.purgeJobs({ ...PURGE, jobIds: [1] }, SIGNAL)).refused, false);
    play.ledger.set(1, "gone");
    await play.verify();
  }));
