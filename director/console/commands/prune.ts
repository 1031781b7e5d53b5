/** `prune`: what the retention directives let go of: runs, file lists, runs on expired volumes, old figures and logs. */
import { nowMs } from "../../../common/time.js";
import { formatDuration, parseDuration } from "../../../common/units.js";
import type { PruneRule } from "../../../proto/generated/basalt/v1/PruneRule.js";
import type { RetentionItem__Output } from "../../../proto/generated/basalt/v1/RetentionItem.js";
import { prunedText } from "../../retention/auto-prune.js";
import { type PruneKind, type PruneLimits, pruneAt } from "../../retention/prune.js";
import { forgetExpired } from "../../retention/records.js";
import { pruneRules, type Rules } from "../../retention/rules.js";
import { storageDaemons, wholeStorage } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import type { JobRecord } from "../port.js";
import { choose, RESOURCE, selectResource, yesModNo, yesNo } from "../prompts.js";
import { printEffects, printPlan } from "../retention/outcome.js";
import { ownClient, requireScope } from "../retention/scope.js";
import { selectVolume } from "../retention/volumes.js";

/** Words that stand for every client and pool. */
const EVERYTHING = ["all", "fromallpools", "allpools", "fromallclients", "allclients"];

export const prune: Command = {
  name: "prune",
  summary: "Prune expired jobs, file lists, volumes, statistics",
  usage: [
    "prune jobs|files [client=NAME | job=NAME | pool=NAME | all] [dry] [yes]",
    "prune volume=NAME [dry] [yes]",
    "prune expired volume [pool=NAME] [dry] [yes]",
    "prune stats [dry] [yes]",
    "prune all [dry] [yes]",
  ],
  keywords: [
    ...["jobs", "files", "volume=", "expired", "volume", "stats", "all", "client=", "job=", "pool="],
    ...["storage=", "dry", "yes"],
  ],
  async run(context) {
    await context.useCatalog();
    const { args } = context;
    if (args.has("stats", "statistics")) return await pruneStatistics(context);
    if (args.has("files")) return await pruneRuns(context, "files");
    if (args.has("jobs")) return await pruneRuns(context, "jobs");
    if (args.has("volume", "volumename") || args.has("expired")) return await pruneVolume(context);
    if (args.has(...EVERYTHING)) return await pruneAll(context);
    const kinds = ["Files", "Jobs", "Volume", "Stats"];
    const heading = "You have the following choices:";
    const picked = await choose(context, { heading, items: kinds, question: "Choose item to prune" });
    if (picked === 3) return await pruneStatistics(context);
    if (picked === 2) return await pruneVolume(context);
    await pruneRuns(context, picked === 0 ? "files" : "jobs");
  },
};

function isDry(context: CommandContext): boolean {
  return context.args.has("dry", "dryrun");
}

/** Limits of `prune jobs|files`; without any a client is asked for. */
async function limitsOf(context: CommandContext): Promise<PruneLimits> {
  const { args, config } = context;
  const limits: PruneLimits = {};
  const pool = args.value("pool");
  const job = args.value("job", "jobname");
  if (pool !== undefined) {
    context.require("pool", pool, "Pool");
    if (!config.pools.has(pool)) return await context.fail(`Pool "${pool}" not found`);
    limits.pool = pool;
  }
  if (job !== undefined) {
    context.require("job", job, "Job");
    limits.jobName = job;
  }
  const named = pool !== undefined || job !== undefined || args.has(...EVERYTHING);
  if (args.value("client", "fd") !== undefined || !named)
    limits.client = await selectResource(context, RESOURCE.client, config.clients.keys());
  requireScope(context, limits);
  return { ...limits, ...ownClient(context, limits) };
}

async function pruneRuns(context: CommandContext, kind: "jobs" | "files"): Promise<void> {
  const limits = await limitsOf(context);
  const rules = await confirmedRules(context, kind, limits);
  if (rules !== undefined) await pruneEverywhere(context, kind, { limits, rules });
}

/** The rules to prune by, after the question; undefined: not to be done. */
async function confirmedRules(
  context: CommandContext,
  kind: "jobs" | "files",
  limits: PruneLimits,
): Promise<Rules | undefined> {
  const rules = pruneRules(context.whole.config);
  if (isDry(context) || context.args.has("yes")) return rules;
  const word = kind === "jobs" ? "Job" : "File";
  const client = context.config.clients.get(limits.client ?? "");
  const seconds = kind === "jobs" ? client?.jobRetentionSec : client?.fileRetentionSec;
  if (seconds !== undefined && seconds > 0)
    await context.say(`The current ${word} retention period is: ${formatDuration(seconds)} `);
  await context.say("What Job and Pool resources say outranks it; `dry` tells what would go.");
  const answer = await yesModNo(context, "Continue? (yes/mod/no): ");
  if (answer === "no") return undefined;
  return answer === "yes" ? rules : withPeriod(rules, kind, await askPeriod(context, word));
}

async function askPeriod(context: CommandContext, word: string): Promise<number> {
  for (;;) {
    const answer = await context.ask(`Enter new ${word} retention period: `);
    try {
      const seconds = parseDuration(answer);
      if (seconds > 0) return seconds;
    } catch {
      // Told below.
    }
    await context.say("Invalid period.");
  }
}

/** The same rules with one period for all, in place of any Keep. */
function withPeriod(rules: Rules, kind: "jobs" | "files", seconds: number): PruneRule[] {
  if (kind === "files") return rules.map((rule) => ({ ...rule, fileRetention: seconds }));
  return rules.map(({ keep: _keep, ...rule }) => ({ ...rule, jobRetention: seconds }));
}

interface Work {
  limits: PruneLimits;
  rules: Rules;
}

async function pruneEverywhere(context: CommandContext, kind: PruneKind, work: Work): Promise<void> {
  const dry = isDry(context);
  const { limits, rules } = work;
  const items: RetentionItem__Output[] = [];
  const { signal, whole } = context;
  for (const storage of targets(context)) {
    const caller = await wholeStorage(context, storage);
    const call = { ...limits, kind, rules, dry };
    const reply = await pruneAt(caller, call, { records: whole.db.jobs, signal });
    items.push(...reply.items);
    if (!dry) await printEffects(context, reply);
    else for (const line of reply.messages) await context.say(line);
  }
  const forgotten = kind === "jobs" ? await forget(context, work, dry) : [];
  if (dry) {
    await printPlan(context, items);
    return await printDrySummary(context, { kind, items, forgotten });
  }
  if (kind !== "volume") await printPruned(context, { kind, items, forgotten });
}

function targets(context: CommandContext): string[] {
  const given = context.args.value("storage", "sd");
  if (given === undefined) return storageDaemons(context);
  context.require("storage", given, "Storage");
  return [given];
}

function forget(context: CommandContext, { limits, rules }: Work, dry: boolean): Promise<JobRecord[]> {
  const { whole } = context;
  const { client, pool, jobName } = limits;
  return forgetExpired({
    config: whole.config,
    records: whole.db.jobs,
    storaged: (storage) => wholeStorage(context, storage),
    rules,
    dry,
    filter: {
      ...(client === undefined ? {} : { client }),
      ...(pool === undefined ? {} : { pool }),
      ...(jobName === undefined ? {} : { name: jobName }),
    },
  });
}

interface Found {
  kind: PruneKind;
  items: readonly RetentionItem__Output[];
  /** Records of the director's own. */
  forgotten: readonly JobRecord[];
}

function goesWord(kind: PruneKind): string {
  return kind === "files" ? "files" : "delete";
}

async function printDrySummary(context: CommandContext, { kind, items, forgotten }: Found): Promise<void> {
  const going = items.filter((item) => item.action === goesWord(kind)).length;
  const what = kind === "files" ? "file lists" : "Jobs";
  context.data.would = { pruned: going, records: forgotten.length };
  await context.say(`${going} of ${items.length} ${what} would be pruned. Nothing was changed.`);
  if (forgotten.length > 0)
    await context.say(
      `${forgotten.length} more records of runs that no storage daemon holds would be pruned.`,
    );
}

/** One line per client, or that there was nothing. */
async function printPruned(context: CommandContext, { kind, items, forgotten }: Found): Promise<void> {
  const counts = new Map<string, number>();
  const add = (client: string) => counts.set(client, (counts.get(client) ?? 0) + 1);
  for (const item of items) if (item.action === goesWord(kind)) add(item.client);
  for (const record of forgotten) add(record.client);
  const word = kind === "files" ? "files" : "jobs";
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  context.data[`pruned${word === "jobs" ? "Jobs" : "Files"}`] = total;
  if (counts.size === 0) return await context.say(prunedText(word, 0, ""));
  for (const [client, count] of counts) await context.say(prunedText(word, count, client));
}

/** `prune volume=V`, `prune volume` (asks), `prune expired volume`. */
async function pruneVolume(context: CommandContext): Promise<void> {
  const { args } = context;
  const rules = pruneRules(context.whole.config);
  if (args.has("expired")) {
    const pool = args.value("pool");
    if (pool !== undefined) context.require("pool", pool, "Pool");
    else if (!context.acl.grantsAll("pool")) context.require("pool", "*all*", "Pool");
    requireScope(context, {});
    const sure =
      isDry(context) || args.has("yes") || (await yesNo(context, "Prune all expired Volumes? (yes/no): "));
    if (!sure) return;
    return await pruneEverywhere(context, "volume", { limits: pool === undefined ? {} : { pool }, rules });
  }
  const volume = await selectVolume(context);
  requireScope(context, {});
  if (!isDry(context) && !args.has("yes")) {
    await context.say(`The current Volume retention period is: ${formatDuration(volume.retention)} `);
    if (!(await yesNo(context, "Continue? (yes/no): "))) return;
  }
  const caller = await wholeStorage(context, volume.storage);
  const { whole, signal } = context;
  const call = { kind: "volume" as const, rules, volume: volume.name, dry: isDry(context) };
  const reply = await pruneAt(caller, call, { records: whole.db.jobs, signal });
  if (isDry(context)) {
    for (const line of reply.messages) await context.say(line);
    await printPlan(context, reply.items);
    return await printDrySummary(context, { kind: "volume", items: reply.items, forgotten: [] });
  }
  const pruned = reply.items.filter((item) => item.action === "delete").length;
  context.data.prunedJobs = pruned;
  if (pruned === 0) await context.say(`Found no Job associated with the Volume "${volume.name}" to prune.`);
  else {
    const jobs = `${pruned} Job${pruned === 1 ? "" : "s"}`;
    await context.say(`Pruned ${jobs} on Volume "${volume.name}" from catalog.`);
  }
  await printEffects(context, reply);
}

async function pruneStatistics(context: CommandContext): Promise<void> {
  const seconds = context.config.director.statisticsRetentionSec;
  const before = nowMs() - seconds * 1000;
  const { history } = context.director.db;
  const sure = isDry(context) || context.args.has("yes");
  if (!sure) {
    await context.say(`The current Statistics retention period is: ${formatDuration(seconds)} `);
    if (!(await yesNo(context, "Continue? (yes/no): "))) return;
  }
  const found = isDry(context) ? history.expired(before) : history.prune(before);
  Object.assign(context.data, found);
  const verb = isDry(context) ? "Would prune" : "Pruned";
  await context.say(`${verb} ${found.figures} Jobs from JobHisto and ${found.logLines} lines from Log.`);
}

/** Everything that is expired, file lists first. */
async function pruneAll(context: CommandContext): Promise<void> {
  const sure = isDry(context) || context.args.has("yes");
  if (!sure && !(await yesNo(context, "Prune everything that is expired? (yes/no): "))) return;
  const work = { limits: {}, rules: pruneRules(context.whole.config) };
  requireScope(context, {});
  await pruneEverywhere(context, "files", work);
  await pruneEverywhere(context, "jobs", work);
}
