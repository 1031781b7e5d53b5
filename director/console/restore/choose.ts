/** The ways to say which runs a restore draws from: keywords, or the menu. */
import { baculaTime, nowMs, parseBaculaTime } from "../../../common/time.js";
import { byRestoreList, listNamed } from "../bvfs/restore-list.js";
import { catalogJobs, isRestorable, levelOf, type StoredJob } from "../catalog.js";
import { chainBefore, withoutCopies } from "../chain.js";
import type { CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import { granted, RESOURCE, selectNamed } from "../prompts.js";
import { type Choice, type Names, storageOf } from "./choice.js";
import { menu } from "./menu.js";
import { addNames } from "./names.js";
import { printRuns, sayIds } from "./print.js";

/** Runs chosen by keyword or menu; undefined when the user gave up. */
export async function chooseRuns(context: CommandContext): Promise<Choice | undefined> {
  const { args } = context;
  const list = listNamed(args.values("file"));
  if (list !== undefined) return await byRestoreList(context, list);
  const names = await namesGiven(context);
  const ids = args.value("jobid");
  if (ids !== undefined) return await byIds(context, ids, names);
  const moment = await momentGiven(context);
  if (names !== undefined) return await newestOfClient(context, moment ?? nowMs(), names);
  if (args.has("select")) return await byClient(context, moment ?? nowMs());
  // `current` and `before=` only answer the menu's question for the moment.
  return await menu(context, moment);
}

async function namesGiven(context: CommandContext): Promise<Names | undefined> {
  const names: Names = { files: [], directories: [] };
  const { args } = context;
  if (!args.has("file", "directory")) return undefined;
  for (const typed of args.values("file")) await addNames(context, names.files, typed);
  for (const typed of args.values("directory")) await addNames(context, names.directories, typed);
  return names;
}

/** The moment of `before=`, now for `current`; undefined without either. */
async function momentGiven(context: CommandContext): Promise<number | undefined> {
  const text = context.args.value("before");
  if (text === undefined) return context.args.has("current") ? nowMs() : undefined;
  const moment = parseBaculaTime(text);
  return moment ?? (await context.fail("Improper date format."));
}

/** `jobid=`: exactly these runs. */
export async function byIds(context: CommandContext, text: string, names?: Names): Promise<Choice> {
  const ids = parseIdList(text);
  if (ids === undefined) return await context.fail(`Invalid JobId in list: ${text}`);
  const jobs = await catalogJobs(context, { jobIds: ids });
  for (const id of ids) {
    const job = jobs.find((each) => each.jobId === id);
    if (job === undefined)
      return await context.fail(`Unable to get Job record for JobId=${id}: it is not in the catalog.`);
    if (!isRestorable(job))
      return await context.fail(`JobId=${id} did not end well (status ${job.status}): nothing to restore.`);
  }
  if (names === undefined) await sayIds(context, jobs);
  return { storage: await storageOf(context, jobs), client: jobs.at(-1)!.client, jobs, names };
}

/** Client and FileSet asked for, the newest state before the moment. */
export async function byClient(context: CommandContext, beforeMs: number, client?: string): Promise<Choice> {
  const choice = await findRuns(context, beforeMs, client ?? (await clientName(context)));
  await sayIds(context, choice.jobs);
  return choice;
}

/** The runs that make up a client's state, which are shown. */
export async function findRuns(context: CommandContext, beforeMs: number, client: string): Promise<Choice> {
  const jobs = await runsOf(context, client);
  const fileSet = await fileSetName(context, jobs);
  const chain = chainBefore(
    jobs.filter((job) => job.fileSet === fileSet),
    beforeMs,
  );
  if (chain.length === 0) return await context.fail(`No Full backup before ${baculaTime(beforeMs)} found.`);
  await printRuns(context, chain);
  return { storage: await storageOf(context, chain), client, jobs: chain, names: undefined };
}

/** Runs of a client that a state can be made of; with `copies` their copies, with `pool=` those of one pool. */
async function runsOf(context: CommandContext, client: string): Promise<StoredJob[]> {
  const pool = context.args.value("pool");
  if (pool !== undefined && !granted(context, RESOURCE.pool, context.config.pools.keys()).includes(pool))
    return await context.fail(`Error: Pool resource "${pool}" does not exist.`);
  const jobs = (await catalogJobs(context, { client })).filter(
    (job) => levelOf(job) !== "B" && (pool === undefined || job.pool === pool),
  );
  return withoutCopies(jobs, context.args.has("copies"));
}

/** Clients with records or in the configuration, sorted by name. */
export async function clientName(context: CommandContext): Promise<string> {
  const known = new Set(context.config.clients.keys());
  const given = context.args.value(...RESOURCE.client.keywords);
  if (given === undefined || !known.has(given)) {
    for (const job of context.director.db.jobs.list({ type: "B" })) known.add(job.client);
  }
  const names = granted(context, RESOURCE.client, known)
    .filter((name) => name !== "")
    .sort();
  const words = { label: "Client", heading: "Defined Clients:", question: "Select the Client" };
  return await selectNamed(context, given, { ...words, names });
}

async function fileSetName(context: CommandContext, jobs: readonly StoredJob[]): Promise<string> {
  const names = [...new Set(jobs.filter(isRestorable).map((job) => job.fileSet))].sort();
  const given = context.args.value("fileset");
  if (names.length === 0)
    return given ?? (await context.fail(`No Full backup before ${baculaTime(nowMs())} found.`));
  const { label, heading, question } = RESOURCE.fileSet;
  return await selectNamed(context, given, { label, heading, question, names });
}

/** For named files no FileSet is asked: the newest states of all FileSets of the client together. */
export async function newestOfClient(
  context: CommandContext,
  beforeMs: number,
  names: Names,
  given?: string,
): Promise<Choice> {
  const client = given ?? (await clientName(context));
  const jobs = await runsOf(context, client);
  const wanted = context.args.value("fileset");
  const sets = new Set(
    jobs.filter((job) => wanted === undefined || job.fileSet === wanted).map((job) => job.fileSet),
  );
  const chains = [...sets].map((set) =>
    chainBefore(
      jobs.filter((job) => job.fileSet === set),
      beforeMs,
    ),
  );
  const all = chains.flat().sort((a, b) => a.startMs - b.startMs || a.jobId - b.jobId);
  if (all.length === 0) return await context.fail(`No Full backup before ${baculaTime(beforeMs)} found.`);
  return { storage: await storageOf(context, all), client, jobs: all, names };
}
