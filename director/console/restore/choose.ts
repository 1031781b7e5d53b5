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
  const names = namesGiven(context);
  const ids = args.value("jobid");
  if (ids !== undefined) return await byIds(context, ids, names);
  const beforeMs = await momentGiven(context);
  if (names !== undefined) return await newestOfClient(context, beforeMs, names);
  if (args.has("select", "current", "before")) return await byClient(context, beforeMs);
  return await menu(context);
}

function namesGiven(context: CommandContext): Names | undefined {
  const names: Names = { files: [], directories: [] };
  const { args } = context;
  if (!args.has("file", "directory")) return undefined;
  for (const typed of args.values("file")) addNames(context, names.files, typed);
  for (const typed of args.values("directory")) addNames(context, names.directories, typed);
  return names;
}

/** The moment of `before=`; now without one. */
async function momentGiven(context: CommandContext): Promise<number> {
  const text = context.args.value("before");
  if (text === undefined) return nowMs();
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
  await sayIds(context, jobs);
  return { storage: await storageOf(context, jobs), client: jobs.at(-1)!.client, jobs, names };
}

/** Client and FileSet asked for, the newest state before the moment. */
export async function byClient(context: CommandContext, beforeMs: number): Promise<Choice> {
  const client = await clientName(context);
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

/** Runs of a client that a state can be made of; with `copies` their copies. */
async function runsOf(context: CommandContext, client: string): Promise<StoredJob[]> {
  const jobs = (await catalogJobs(context, { client })).filter((job) => levelOf(job) !== "B");
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
): Promise<Choice> {
  const client = await clientName(context);
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
