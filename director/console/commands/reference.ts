/** `reference`: which Bases would save most for machines, and what machines differ in from theirs. */

import type { Command, CommandContext } from "../context.js";
import { granted, pickResource, RESOURCE } from "../prompts.js";
import { advise } from "../reference/advise.js";
import { drift, type Which } from "../reference/drift.js";
import { Fleet } from "../reference/fleet.js";
import { adviceText, driftText } from "../reference/print.js";
import type { Skipped } from "../reference/types.js";

/** Entries named of each kind. */
const TOP = 10;
const MAX_TOP = 10_000;

export const reference: Command = {
  name: "reference",
  summary: "Which Bases would save most, and what machines differ in from theirs",
  usage: [
    "reference advise [job=NAME …] [client=NAME] [json]",
    "reference drift job=NAME … | jobid=N | client=NAME | all [top=N] [json]",
  ],
  keywords: ["advise", "drift", "job=", "vm=", "jobid=", "client=", "all", "top=", "json"],
  async run(context) {
    await context.useCatalog();
    if (context.args.has("advise")) return await runAdvise(context);
    if (context.args.has("drift")) return await runDrift(context);
    await context.fail("Usage: reference advise | drift; help reference tells more.");
  },
};

async function runAdvise(context: CommandContext): Promise<void> {
  const advice = await advise(context);
  await checkAny(context, advice);
  Object.assign(context.data, advice);
  await print(context, advice, adviceText(advice));
}

async function runDrift(context: CommandContext): Promise<void> {
  const { args } = context;
  const text = args.value("top") ?? String(TOP);
  if (!/^\d{1,5}$/.test(text) || Number(text) > MAX_TOP)
    return void (await context.fail(`top=${text}: not a number from 0 to ${MAX_TOP}`));
  const found = await drift(context, Number(text), await whichOf(context));
  await checkAny(context, found);
  Object.assign(context.data, found);
  await print(context, found, driftText(found));
}

async function whichOf(context: CommandContext): Promise<Which> {
  const { args } = context;
  const jobId = args.value("jobid");
  if (jobId !== undefined && !/^[1-9]\d{0,8}$/.test(jobId))
    return await context.fail(`Expected a positive integer, got: ${jobId}`);
  if (jobId !== undefined) return { jobId: Number(jobId) };
  if (args.has("all") || args.values("job", "jobname", "vm", "client", "fd").length > 0) return "named";
  const jobs = new Fleet(context).jobs.filter(({ base }) => base.length > 0);
  const names = jobs.map(({ name }) => name);
  return { job: await pickResource(context, RESOURCE.job, granted(context, RESOURCE.job, names)) };
}

/** Fails when nothing could be compared. */
async function checkAny(
  context: CommandContext,
  { machines, skipped }: { machines: readonly unknown[]; skipped: readonly Skipped[] },
): Promise<void> {
  if (machines.length > 0) return;
  const reasons = skipped.map(({ machine, reason }) => `${machine}: ${reason}`);
  await context.fail(reasons.length === 0 ? "No Job is there to be compared." : reasons.join("\n"));
}

/** In JSON mode the session itself sends what is in `context.data`. */
async function print(context: CommandContext, found: object, text: string): Promise<void> {
  await context.print(context.args.has("json") ? `${JSON.stringify(found, null, 2)}\n` : text);
}
