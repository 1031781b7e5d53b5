/** `restart` (or `resume`): backups that were stopped, cancelled or failed go on under their own JobId. */
import type { StatusLetter } from "../../db/records.js";
import type { Command, CommandContext } from "../context.js";
import { JOB_COLUMNS, jobRow } from "../format.js";
import { parseIdList } from "../grammar.js";
import type { JobRecord } from "../port.js";
import { choose } from "../prompts.js";
import { visible } from "./list-jobs.js";

const ENDS: Readonly<Record<string, readonly StatusLetter[]>> = {
  Incomplete: ["I"],
  Canceled: ["A"],
  Failed: ["E", "f"],
  All: ["I", "A", "E", "f"],
};

/** Runs shown to choose from. */
const MAX_SHOWN = 100;

function command(name: string): Command {
  return {
    name,
    summary: "Let incomplete, canceled or failed backups go on under their JobId",
    usage: [`${name} [incomplete|canceled|failed|all] [jobid=N[,M]] [job=NAME] [client=NAME]`],
    keywords: ["incomplete", "canceled", "failed", "all", "jobid=", "job=", "client="],
    run: restartJobs,
  };
}

export const restart = command("restart");
export const resume = command("resume");

async function restartJobs(context: CommandContext): Promise<void> {
  await context.useCatalog();
  const given = context.args.value("jobid");
  const jobIds = given === undefined ? await chosenIds(context) : await idList(context, given);
  for (const jobId of jobIds) {
    const record = context.director.db.jobs.get(jobId);
    if (record === undefined || visible(context, [record]).length === 0) {
      await context.say(`JobId ${jobId} is not in the catalog.`);
    } else if (!ENDS.All!.includes(record.status)) {
      const why = record.status === "C" || record.status === "R" ? "waits or runs already" : "has ended well";
      await context.say(`JobId ${jobId} ${why}: there is nothing to restart.`);
    } else {
      await context.director.resumeJob(jobId);
      context.append("jobIds", jobId);
      await context.say(`Job queued. JobId=${jobId}`);
    }
  }
}

/** By how it ended, then by number. */
async function chosenIds(context: CommandContext): Promise<number[]> {
  const { args } = context;
  const words = Object.keys(ENDS);
  let word = words.find((each) => args.has(each.toLowerCase()));
  word ??=
    words[await choose(context, { heading: HEADING, items: words, question: "Select termination code: " })]!;
  const records = backups(context, ENDS[word]!);
  await context.records("jobs", JOB_COLUMNS, records.map(jobRow));
  if (records.length === 0) return [];
  const ids = await idList(context, await context.ask("Enter the JobId list to select: "));
  return ids.filter((jobId) => records.some((record) => record.jobId === jobId));
}

const HEADING = "You have the following choices:";

function backups(context: CommandContext, status: readonly StatusLetter[]): JobRecord[] {
  const name = context.args.value("job", "jobname");
  const client = context.args.value("client");
  const filter = { ...(name === undefined ? {} : { name }), ...(client === undefined ? {} : { client }) };
  const newest = { ...filter, status, type: "B", order: "desc", limit: MAX_SHOWN } as const;
  return visible(context, context.director.db.jobs.list(newest)).reverse();
}

async function idList(context: CommandContext, text: string): Promise<number[]> {
  return parseIdList(text) ?? (await context.fail(`Expected a positive integer, got: ${text}`));
}
