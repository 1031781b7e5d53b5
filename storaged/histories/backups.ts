/** Steps of a history that change machines, back them up and restore them. */

import assert from "node:assert/strict";
import type { Random } from "../../test/helpers/random.js";
import { edit, JOBS } from "./machines.js";
import type { World } from "./world.js";

export async function edits(world: World, random: Random): Promise<string> {
  const number = random.below(world.machines.length);
  const text = edit(world.machines[number]!, random, world.seconds);
  return `machine ${number}: ${text.replaceAll("\0", "/")}`;
}

export async function backUp(world: World, random: Random): Promise<string> {
  const { jobName, machine, pool, base, levels } = random.pick(JOBS);
  const level = random.pick(levels);
  const tree = world.machines[machine]!;
  const { result, refusal, jobId } = await world.play.backup(tree, { jobName, level, base, pool });
  assert.equal(result.ok, true, `job ${jobId} failed: ${result.reason} ${refusal}`);
  return `job ${jobId}: ${jobName} ${level}, ${result.rows} rows, ${result.newContent} new`;
}

export async function restoreOne(world: World, random: Random): Promise<string> {
  const kept = await world.kept();
  if (kept.length === 0) return "nothing to restore";
  const job = random.pick(kept);
  await world.play.verifyJob(job);
  return `restored job ${job.jobId}`;
}

/** A backup that ends early, once or twice, and goes on; the machine may be changed in between. */
export async function backUpInParts(world: World, random: Random): Promise<string> {
  const jobs = JOBS.filter(({ levels }) => levels.some((level) => level !== "Base"));
  const { jobName, machine, pool, base, levels } = random.pick(jobs);
  const level = random.pick(levels.filter((one) => one !== "Base"));
  const tree = world.machines[machine]!;
  const wanted = { jobName, level, base, pool };
  const leaves = () =>
    ({ entries: 1 + random.below(tree.names.size), how: random.pick(["stop", "cut"] as const) }) as const;
  const { jobId } = await world.play.backup(tree, { ...wanted, leaves: leaves() });
  if (random.below(2) === 0) edit(tree, random, world.seconds);
  if (random.below(3) === 0) await world.play.resume(jobId, tree, { ...wanted, leaves: leaves() });
  const { result, refusal } = await world.play.resume(jobId, tree, wanted);
  assert.equal(result.ok, true, `job ${jobId} failed: ${result.reason} ${refusal}`);
  const all = await world.kept();
  await world.play.verifyJob(all.find((job) => job.jobId === jobId)!);
  return `job ${jobId}: ${jobName} ${level} in parts, ${result.rows} rows, ${result.newContent} new`;
}
