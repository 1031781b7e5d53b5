/** Steps of a history that remove jobs. What a kept job needs must be refused, and nothing else. */

import assert from "node:assert/strict";
import type { Random } from "../../test/helpers/random.js";
import type { JobListing } from "../catalog/types.js";
import { goingIn, keepLast, prune, purgeJobs, purgeVolume } from "../faults/retention-play.js";
import type { RetentionOutcome } from "../retention/orders.js";
import type { World } from "./world.js";

/** Kept jobs outside `going` that lie over one of them. */
function dependantsOf(kept: readonly JobListing[], going: ReadonlySet<number>): JobListing[] {
  return kept.filter(
    ({ jobId, chain, bases }) => !going.has(jobId) && [...chain, ...bases].some((below) => going.has(below)),
  );
}

const numbersOf = (jobs: Iterable<number>) => [...jobs].join();

/** Deletes; must be refused exactly when another kept job lies over one of these. */
async function remove(world: World, jobs: readonly JobListing[]): Promise<string> {
  const going = new Set(jobs.map(({ jobId }) => jobId));
  const needed = dependantsOf(await world.kept(), going);
  const outcome = await purgeJobs(world.play, [...going]);
  const text = `delete ${numbersOf(going)}`;
  if (!outcome.refused) {
    assert.equal(needed.length, 0, `${text}: ${numbersOf(needed.map((job) => job.jobId))} need them`);
    assert.deepEqual(goingIn(outcome).sort(), [...going].sort());
    return text;
  }
  const named = new Set(outcome.decisions.flatMap(({ neededBy }) => neededBy));
  assert.deepEqual([...named].sort(), needed.map(({ jobId }) => jobId).sort(), `${text}: refused for these`);
  return `${text}: refused, needed by ${numbersOf(named)}`;
}

/** Any one job. */
export async function deleteOne(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  return kept.length === 0 ? "nothing to delete" : remove(world, [random.pick(kept)]);
}

/** The older a job the likelier, together with all that lies over it. */
export async function deleteSome(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  if (kept.length < 6) return "too few to delete";
  const going = new Set([kept[Math.min(random.below(kept.length), random.below(kept.length))]!.jobId]);
  for (let size = 0; size < going.size; ) {
    size = going.size;
    for (const { jobId } of dependantsOf(kept, going)) going.add(jobId);
  }
  return remove(
    world,
    kept.filter(({ jobId }) => going.has(jobId)),
  );
}

/** A job's dependants are made to stand without it; then it goes. */
export async function rebaseAndDelete(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  if (kept.length === 0) return "nothing to rebase";
  const { jobId } = random.pick(kept);
  const outcome = await purgeJobs(world.play, [jobId], true);
  assert.equal(outcome.refused, false, outcome.messages.join());
  assert.deepEqual(goingIn(outcome), [jobId]);
  return `rebase and delete ${jobId}${await rewritten(world, outcome)}`;
}

/** Restores what was rewritten. */
async function rewritten(world: World, outcome: RetentionOutcome): Promise<string> {
  const numbers = new Set(
    outcome.decisions.filter(({ action }) => action === "rebase").map(({ job }) => job.jobId),
  );
  for (const job of await world.kept()) if (numbers.has(job.jobId)) await world.play.verifyJob(job);
  return numbers.size === 0 ? "" : `, rewritten ${numbersOf(numbers)}`;
}

/** A job stands on its own from now on. */
export async function rebaseAlone(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  if (kept.length === 0) return "nothing to rebase";
  const { jobId } = random.pick(kept);
  await world.play.daemon.operations.rebase([jobId]);
  const job = (await world.kept()).find((one) => one.jobId === jobId)!;
  assert.deepEqual([...job.chain, ...job.bases], [], `job ${jobId} still lies over others`);
  await world.play.verifyJob(job);
  return `job ${jobId} stands alone`;
}

/** Of every job the newest runs stay, and what they need. */
export async function pruneSome(world: World, random: Random): Promise<string> {
  const last = 1 + random.below(4);
  const consolidate = random.below(3) === 0;
  const before = await world.kept();
  const outcome = await prune(world.play, [keepLast(last, consolidate)]);
  const gone = new Set(goingIn(outcome));
  const names = new Set(before.map(({ jobName }) => jobName));
  for (const name of names) {
    const runs = before.filter(({ jobName, type }) => jobName === name && type === "B");
    runs.sort((a, b) => b.startMs - a.startMs || b.jobId - a.jobId);
    for (const { jobId } of runs.slice(0, last))
      assert.ok(!gone.has(jobId), `${jobId} of ${name} was pruned`);
  }
  return `prune keeps ${last}${consolidate ? ", folded" : ""}: ${numbersOf(gone)}${await rewritten(world, outcome)}`;
}

/** Lists leave the catalog and their jobs stay: not those of newest runs, nor of what a list that stays lies over. */
export async function dropLists(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  if (kept.length === 0) return "no lists to drop";
  const chosen = kept.filter(() => random.below(2) === 0).map(({ jobId }) => jobId);
  const outcome = await world.play.daemon.operations.purgeFiles(chosen);
  const after = await world.kept();
  assert.deepEqual(numbersOf(after.map((job) => job.jobId)), numbersOf(kept.map((job) => job.jobId)));
  const gone = new Set(
    outcome.decisions.filter(({ action }) => action === "files").map(({ job }) => job.jobId),
  );
  const absent = new Set(after.filter((job) => job.listDropped).map(({ jobId }) => jobId));
  for (const jobId of gone) assert.ok(absent.has(jobId), `the list of ${jobId} is still there`);
  for (const { jobId, chain, bases } of after) {
    const below = [...chain, ...bases].filter((number) => gone.has(number));
    if (!absent.has(jobId))
      assert.equal(below.length, 0, `${jobId} lies over the list of ${numbersOf(below)}`);
  }
  return `lists of ${numbersOf(gone)} dropped`;
}

/** The jobs on a volume go, and the volume is purged, unless others need them or content on it. */
export async function purgeOneVolume(world: World, random: Random): Promise<string> {
  const volumes = await world.play.daemon.catalog.reader.listVolumes("", "");
  if (volumes.length < 4) return "too few volumes to purge";
  const { name } = random.pick(volumes);
  const rebase = random.below(3) === 0;
  const outcome = await purgeVolume(world.play, name, rebase);
  if (outcome.refused) {
    const kept = new Set((await world.kept()).map(({ jobId }) => jobId));
    for (const { neededBy } of outcome.decisions)
      for (const jobId of neededBy)
        assert.ok(kept.has(jobId), `${name}: needed by ${jobId}, which is not there`);
    return `purge ${name}: refused`;
  }
  return `purge ${name}: ${numbersOf(goingIn(outcome))}${await rewritten(world, outcome)}`;
}
