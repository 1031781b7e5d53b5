/** What prune, purge and delete say: what goes and why the rest stays, refusals with the runs that stand against it. */
import type { RetentionItem__Output } from "../../../proto/generated/basalt/v1/RetentionItem.js";
import type { RetentionReply__Output } from "../../../proto/generated/basalt/v1/RetentionReply.js";
import { consolidatedText, markingText } from "../../retention/auto-prune.js";
import { catalogJobs, catalogVolumes, levelOf, type StoredJob } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { levelName, listTime } from "../format.js";

const PLAN_COLUMNS = [
  "JobId",
  "Job",
  "Client",
  "Level",
  "EndTime",
  "JobBytes",
  "Action",
  "NeededBy",
  "Reason",
];

/** Numbers shown in a cell or a line before `…`. */
const SHOWN_IDS = 20;

/** Runs with what becomes of them and why, those that go first. */
export async function printPlan(
  context: CommandContext,
  items: readonly RetentionItem__Output[],
): Promise<void> {
  const { acl } = context;
  const shown = items.filter(
    (item) => acl.allows("job", jobNameOf(item.job)) && acl.allowsClient(item.client),
  );
  const sorted = shown.sort(
    (a, b) => Number(a.action === "keep") - Number(b.action === "keep") || a.jobId - b.jobId,
  );
  await context.records("plan", PLAN_COLUMNS, sorted.map(planRow));
}

function planRow(item: RetentionItem__Output) {
  return {
    JobId: item.jobId,
    Job: item.job,
    Client: item.client,
    Level: item.level.length === 1 ? levelName(item.level) : item.level,
    EndTime: listTime(item.endMs),
    JobBytes: item.bytes,
    Action: item.action,
    NeededBy: idsText(item.neededBy),
    Reason: item.reason,
  };
}

/** `1,2,3`, cut after twenty. */
export function idsText(ids: readonly number[]): string {
  return ids.length <= SHOWN_IDS ? ids.join(",") : `${ids.slice(0, SHOWN_IDS).join(",")}, … (${ids.length})`;
}

/** Lines that belong to every outcome: what the daemon said, consolidated runs, volumes that are empty now. */
export async function printEffects(context: CommandContext, reply: RetentionReply__Output): Promise<void> {
  for (const line of reply.messages) await context.say(line);
  for (const item of reply.items) {
    if (item.action !== "rebase") continue;
    context.append("consolidated", item.jobId);
    await context.say(consolidatedText(item));
  }
  for (const volume of await seenVolumes(context, reply.purgedVolumes)) {
    context.append("purgedVolumes", volume);
    await context.say(markingText(volume));
  }
}

/** Names of volumes whose pool the console may see. */
async function seenVolumes(context: CommandContext, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0 || context.acl.grantsAll("pool")) return names;
  const seen = new Set((await catalogVolumes(context, {})).map((volume) => volume.name));
  return names.filter((name) => seen.has(name));
}

/** `vm1` of `vm1.2026-11-21_03.00.00_05`. */
function jobNameOf(job: string): string {
  return job.replace(/\.\d{4}-\d\d-\d\d_[\d.]+_\d+$/, "");
}

/** How a refusal ends. */
export interface RefusalWords {
  /** `Nothing was purged`. */
  what: string;
  /** The command to repeat once the way is free. */
  again: string;
  /** Lines on the way out when no run stands in another's way. */
  hint?: readonly string[];
}

/** Says why nothing was done: each refused run with those that need it, and the way out. Ends the command. */
export async function refuse(
  context: CommandContext,
  reply: RetentionReply__Output,
  { what, again, hint }: RefusalWords,
): Promise<never> {
  const refused = reply.items.filter((item) => item.action === "refused");
  const needing = [...new Set(refused.flatMap((item) => item.neededBy))].sort((a, b) => a - b);
  const known = await namesOf(context, needing);
  for (const line of reply.messages) await context.say(line);
  for (const item of refused) {
    context.append("refused", { JobId: item.jobId, Reason: item.reason, NeededBy: [...item.neededBy] });
    // A volume that is refused has no JobId, and its reason is among the messages.
    if (item.jobId > 0) await context.say(`JobId ${item.jobId} ${item.job}: ${item.reason}`);
    else if (!reply.messages.includes(item.reason)) await context.say(item.reason);
    for (const jobId of item.neededBy)
      await context.say(`    ${dependantText(jobId, known.get(jobId), item)}`);
  }
  context.data.dependants = needing.map((jobId) => dependantData(jobId, known.get(jobId)));
  const over = [...known.values()].filter((job) => refused.some((item) => liesOver(job, item.jobId)));
  if (over.length > 0) {
    const ids = over.map((job) => job.jobId).sort((a, b) => a - b);
    await context.say(
      `To let go of them, give the runs that need them lists of their own:  rebase jobid=${ids.join(",")}`,
    );
  }
  for (const line of hint ?? []) if (over.length === 0) await context.say(line);
  if (over.length > 0 || hint !== undefined) await context.say(`and then again:  ${again}`);
  return await context.fail(`${what}.`);
}

/** True when a run's list needs that of another: a rebase frees it. Needing its content is another matter. */
function liesOver(job: StoredJob, jobId: number): boolean {
  return job.jobId !== jobId && (job.bases.includes(jobId) || job.chain.includes(jobId));
}

function dependantData(jobId: number, job: StoredJob | undefined) {
  return {
    JobId: jobId,
    Name: job?.jobName ?? null,
    Client: job?.client ?? null,
    Level: job === undefined ? null : levelOf(job),
  };
}

function dependantText(jobId: number, job: StoredJob | undefined, item: RetentionItem__Output): string {
  if (job === undefined) return `needed by JobId ${jobId}`;
  const how = job.bases.includes(item.jobId)
    ? "as its Base"
    : liesOver(job, item.jobId)
      ? "below its own list"
      : "for content";
  const level = levelName(levelOf(job)) || job.level;
  return `needed by JobId ${jobId} ${job.jobName} (${level}, Client ${job.client}) ${how}`;
}

async function namesOf(context: CommandContext, jobIds: readonly number[]): Promise<Map<number, StoredJob>> {
  if (jobIds.length === 0) return new Map();
  const jobs = await catalogJobs(context, { jobIds: [...jobIds] });
  return new Map(jobs.map((job) => [job.jobId, job]));
}
