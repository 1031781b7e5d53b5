/** The menu that `restore` shows when nothing says which runs to use. */
import { displayPath } from "../../../common/format/path.js";
import { baculaTime, nowMs, parseBaculaTime } from "../../../common/time.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import { callStorage, catalogJob, catalogJobs, isRestorable, levelOf, storageDaemons } from "../catalog.js";
import { chainBefore, idsOf, withoutCopies } from "../chain.js";
import { visible } from "../commands/list-jobs.js";
import { printSql } from "../commands/sqlquery.js";
import type { CommandContext } from "../context.js";
import { listTime } from "../format.js";
import { fromWire } from "../names.js";
import { choose } from "../prompts.js";
import { SqlSession } from "../sql/sql-session.js";
import type { Row } from "../table.js";
import { type Choice, type Names, storageOf } from "./choice.js";
import { byClient, byIds, clientName, findRuns, newestOfClient } from "./choose.js";
import { addNames } from "./names.js";
import { sayIds } from "./print.js";

const ITEMS: readonly string[] = [
  "List last 20 Jobs run",
  "List Jobs where a given File is saved",
  "Enter list of comma separated JobIds to select",
  "Enter SQL list command",
  "Select the most recent backup for a client",
  "Select backup for a client before a specified time",
  "Enter a list of files to restore",
  "Enter a list of files to restore before a specified time",
  "Find the JobIds of the most recent backup for a client",
  "Find the JobIds for a backup for a client before a specified time",
  "Enter a list of directories to restore for found JobIds",
  "Select full restore to a specified Job date",
  "Cancel",
];

const INTRODUCTION = `
First you select one or more JobIds that contain files
to be restored. You will be presented several methods
of specifying the JobIds. Then you will be allowed to
select which files from those JobIds are to be restored.

To select the JobIds, you have the following choices:`;

/** What was answered on the way, and is not asked again. */
interface Answered {
  moment: number | undefined;
  client: string | undefined;
  /** JobIds that items 9 and 10 found. */
  found: string | undefined;
}

/** Shows the menu until runs are chosen; undefined after Cancel. `moment`: the state of when is wanted, if that is known. */
export async function menu(context: CommandContext, moment: number | undefined): Promise<Choice | undefined> {
  const answered: Answered = { moment, client: undefined, found: undefined };
  const now = (): number => moment ?? nowMs();
  for (let heading = INTRODUCTION; ; heading = "To select the JobIds, you have the following choices:") {
    const item = 1 + (await choose(context, { heading, items: ITEMS, question: "Select item: " }));
    switch (item) {
      case 1:
        await lastJobs(context);
        break;
      case 2:
        await jobsWithFile(context, await clientOf(context, answered));
        break;
      case 3:
        return await byIds(context, await context.ask("Enter JobId(s), comma separated, to restore: "));
      case 4:
        await sqlList(context);
        break;
      case 5:
        return await byClient(context, now(), await clientOf(context, answered));
      case 6: {
        const before = await momentOf(context, answered);
        return await byClient(context, before, await clientOf(context, answered));
      }
      case 7:
        return await namedFiles(context, now(), await clientOf(context, answered));
      case 8: {
        const before = await momentOf(context, answered);
        return await namedFiles(context, before, await clientOf(context, answered));
      }
      case 9:
        await find(context, now(), answered);
        break;
      case 10:
        await find(context, await momentOf(context, answered), answered);
        break;
      case 11:
        return await namedDirectories(context, answered);
      case 12:
        return await toJob(context);
      default:
        return undefined;
    }
  }
}

/** One statement. Who may use `sqlquery` may use this. */
async function sqlList(context: CommandContext): Promise<void> {
  const sql = await context.ask("Enter SQL list command: ");
  if (!context.acl.allows("command", "sqlquery"))
    return await context.say("sqlquery: is not allowed for this console.");
  const session = new SqlSession(context);
  try {
    await printSql(context, session, sql, "table");
  } finally {
    session.close();
  }
}

async function clientOf(context: CommandContext, answered: Answered): Promise<string> {
  answered.client ??= await clientName(context);
  return answered.client;
}

async function momentOf(context: CommandContext, { moment }: Answered): Promise<number> {
  return moment ?? (await askMoment(context));
}

async function find(context: CommandContext, beforeMs: number, answered: Answered): Promise<void> {
  const { jobs } = await findRuns(context, beforeMs, await clientOf(context, answered));
  answered.found = idsOf(jobs).join(",");
}

async function namedFiles(context: CommandContext, beforeMs: number, client: string): Promise<Choice> {
  return await newestOfClient(context, beforeMs, await askNames(context, "file"), client);
}

async function namedDirectories(context: CommandContext, answered: Answered): Promise<Choice | undefined> {
  const { found } = answered;
  if (found !== undefined) await context.say(`You have already selected the following JobIds: ${found}`);
  const ids = found ?? (await context.ask("Enter JobId(s), comma separated, to restore: "));
  if (ids === "") return undefined;
  await clientOf(context, answered);
  return await byIds(context, ids, await askNames(context, "directory"));
}

async function askMoment(context: CommandContext): Promise<number> {
  await context.print(
    "The restored files will the most current backup\nBEFORE the date you specify below.\n\n",
  );
  for (;;) {
    const moment = parseBaculaTime(await context.ask("Enter date as YYYY-MM-DD HH:MM:SS :"));
    if (moment !== undefined) return moment;
    await context.say("Improper date format.");
  }
}

/** Names until an empty line. */
async function askNames(context: CommandContext, what: "file" | "directory"): Promise<Names> {
  const names: Names = { files: [], directories: [] };
  await context.print(
    what === "file"
      ? "Enter file names with paths, or < to enter a filename\ncontaining a list of file names with paths, and terminate\nthem with a blank line.\n"
      : "Enter full directory names or start the name\nwith a < to indicate it is a filename containing a list\nof directories and terminate them with a blank line.\n",
  );
  const prompt = what === "file" ? "Enter full filename: " : "Enter directory name: ";
  for (;;) {
    const typed = await context.ask(prompt);
    if (typed === "") return names;
    await addNames(context, what === "file" ? names.files : names.directories, typed);
  }
}

async function lastJobs(context: CommandContext): Promise<void> {
  const records = context.director.db.jobs.list({ type: "B", status: ["T", "W"], order: "desc", limit: 20 });
  const rows = visible(context, records).map((job) => ({
    JobId: job.jobId,
    Client: job.client,
    StartTime: listTime(job.startMs),
    JobLevel: job.level,
    JobFiles: job.files,
    JobBytes: job.bytes,
  }));
  await context.records("jobs", ["JobId", "Client", "StartTime", "JobLevel", "JobFiles", "JobBytes"], rows);
}

const FOUND_LIMIT = 500;

async function jobsWithFile(context: CommandContext, client: string): Promise<void> {
  const pattern = await context.ask("Enter Filename (no path):");
  const jobs = new Map((await catalogJobs(context, { client })).map((job) => [job.jobId, job]));
  const rows: Row[] = [];
  for (const storage of storageDaemons(context)) {
    const caller = await callStorage(context, storage);
    const request = { client, pattern, limit: FOUND_LIMIT };
    for await (const page of caller.stream<EntryPage__Output>("Storaged", "FindEntries", request, {
      signal: context.signal,
    })) {
      for (const entry of page.entries) {
        const job = jobs.get(entry.jobId);
        if (job === undefined) continue;
        const Name = displayPath(fromWire(entry.path));
        rows.push({
          JobId: job.jobId,
          Name,
          StartTime: listTime(job.startMs),
          JobType: "B",
          JobStatus: job.status,
          JobFiles: job.files,
          JobBytes: job.bytes,
        });
      }
    }
  }
  const columns = ["JobId", "Name", "StartTime", "JobType", "JobStatus", "JobFiles", "JobBytes"];
  await context.records("found", columns, rows);
}

/** The state that one run left: its Full and what came up to it. */
async function toJob(context: CommandContext): Promise<Choice> {
  const text = await context.ask("Enter JobId to get the state to restore: ");
  if (!/^\d{1,9}$/.test(text)) return await context.fail(`Expected a positive integer, got: ${text}`);
  const job = await catalogJob(context, Number(text));
  await context.say(`Selecting jobs to build the Full state at ${baculaTime(job.startMs)}`);
  if (levelOf(job) === "B" && isRestorable(job)) {
    await sayIds(context, [job]);
    return { storage: await storageOf(context, [job]), client: job.client, jobs: [job], names: undefined };
  }
  const same = (await catalogJobs(context, { client: job.client, fileSet: job.fileSet })).filter(
    (each) => each.jobName === job.jobName,
  );
  const chain = chainBefore(withoutCopies(same, job.type === "C"), job.startMs);
  if (chain.length === 0)
    return await context.fail(`No Full backup before ${baculaTime(job.startMs)} found.`);
  await sayIds(context, chain);
  return { storage: await storageOf(context, chain), client: job.client, jobs: chain, names: undefined };
}
