/** `run`: start a job, with a summary and questions unless `yes` is given. */
import { parsePercent } from "../../../common/config/parts.js";
import { BackupError } from "../../../common/errors.js";
import { nowMs, parseBaculaTime } from "../../../common/time.js";
import { parseYesNo } from "../../../common/units.js";
import { VERIFY_LEVELS } from "../../config/job-spec.js";
import type { JobLevel, JobType } from "../../config/types.js";
import type { Command, CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import type { RunRequest } from "../port.js";
import { granted, pickResource, RESOURCE, type ResourceKind, selectResource } from "../prompts.js";
import { confirmRun } from "../run-dialog.js";

export const run: Command = {
  name: "run",
  summary: "Run a job",
  usage: [
    "run job=NAME [level=LEVEL] [client=NAME] [fileset=NAME] [pool=NAME] [storage=NAME] [priority=N]",
    '    [when="YYYY-MM-DD HH:MM:SS"] [accurate=yes|no] [comment=TEXT] [expectedmatch=N%] [yes]',
  ],
  keywords: [
    ...["job=", "level=", "client=", "fileset=", "pool=", "storage=", "nextpool=", "priority="],
    ...["when=", "accurate=", "comment=", "spooldata=", "where=", "jobid=", "alljobid="],
    ...["expectedmatch=", "yes"],
  ],
  async run(context) {
    await context.useCatalog();
    const { args, config } = context;
    const kind = RESOURCE.job;
    if (!args.has(...kind.keywords)) await context.say("A job name must be specified.");
    const names = runnable(context);
    const bare = args.list.find((arg) => arg.value === undefined && names.includes(arg.text))?.text;
    const job =
      args.value(...kind.keywords) === undefined && bare !== undefined
        ? bare
        : await selectResource(context, kind, names);
    if (config.jobs.get(job)?.type === "Restore") {
      return void (await context.fail(
        `Job "${job}" restores: use the restore command to choose what.\nJob not run.`,
      ));
    }
    const type = config.jobs.get(job)?.type;
    const request: RunRequest = { job, ...(await given(context, type)) };
    if (request.expectedMatchPercent !== undefined && config.jobs.get(job)?.reference === undefined)
      return void (await context.fail(
        `Job "${job}" has no Reference: expectedmatch means nothing.\nJob not run.`,
      ));
    await confirmRun(context, request, args.has("yes"));
  },
};

function runnable(context: CommandContext): string[] {
  return [...context.config.jobs.keys()].filter(
    (name) => context.director.isEnabled("job", name) || context.args.value("job") === name,
  );
}

/** Everything said by keyword. @throws BackupError VALUE_INVALID; Abandoned after a word that is not valid */
async function given(context: CommandContext, type: JobType | undefined): Promise<Partial<RunRequest>> {
  const { args, config } = context;
  const level = args.value("level");
  const when = args.value("when");
  const accurate = args.value("accurate");
  const comment = args.value("comment");
  const priority = args.value("priority");
  const values: Partial<RunRequest> = {};
  if (type === "Verify") Object.assign(values, await verifyValues(context, level));
  else if (level !== undefined) values.level = await levelNamed(context, level);
  if (type !== "Verify") Object.assign(values, await jobsValues(context));
  if (when !== undefined) values.whenMs = startTime(when);
  if (accurate !== undefined) values.accurate = parseYesNo(accurate);
  if (args.value("cloned") !== undefined && parseYesNo(args.value("cloned")!)) values.cloned = true;
  const match = args.value("expectedmatch");
  if (match !== undefined) values.expectedMatchPercent = parsePercent(match);
  if (comment !== undefined) values.comment = comment;
  if (priority !== undefined) values.priority = await positive(context, priority);
  const named = async (kind: ResourceKind, names: Iterable<string>): Promise<string | undefined> => {
    const name = args.value(...kind.keywords);
    if (name === undefined) return undefined;
    const list = granted(context, kind, names);
    if (list.includes(name)) return name;
    await context.say(`${kind.label} "${name}" not found`);
    return await pickResource(context, kind, list);
  };
  const client = await named(RESOURCE.client, config.clients.keys());
  const fileSet = await named(RESOURCE.fileSet, config.fileSets.keys());
  const pool = await named(RESOURCE.pool, config.pools.keys());
  const storage = await named(RESOURCE.storage, config.storages.keys());
  const nextPool = await named(RESOURCE.nextPool, config.pools.keys());
  return {
    ...values,
    ...(nextPool === undefined ? {} : { nextPool }),
    ...(client === undefined ? {} : { client }),
    ...(fileSet === undefined ? {} : { fileSet }),
    ...(pool === undefined ? {} : { pool }),
    ...(storage === undefined ? {} : { storage }),
  };
}

/** Jobs to copy or migrate, or to make a VirtualFull of. */
async function jobsValues(context: CommandContext): Promise<Partial<RunRequest>> {
  const text = context.args.value("jobid", "alljobid");
  if (text === undefined) return {};
  const jobIds = parseIdList(text);
  if (jobIds !== undefined && jobIds.length > 0) return { jobIds };
  await context.say(`JobId "${text}" not valid.`);
  return await context.fail("Job not run.");
}

/** Level of a Verify job, and the run it is about. */
async function verifyValues(
  context: CommandContext,
  level: string | undefined,
): Promise<Partial<RunRequest>> {
  const jobId = context.args.value("jobid");
  const found = VERIFY_LEVELS.find((each) => each.toLowerCase() === level?.toLowerCase());
  if (level !== undefined && found === undefined) {
    await context.say(`Level "${level}" not valid.`);
    return await context.fail("Job not run.");
  }
  if (jobId !== undefined && !/^[1-9]\d{0,9}$/.test(jobId)) {
    await context.say(`JobId "${jobId}" not valid.`);
    return await context.fail("Job not run.");
  }
  return {
    ...(found === undefined ? {} : { verifyLevel: found }),
    ...(jobId === undefined ? {} : { verifyJobId: Number(jobId) }),
  };
}

const LEVELS: readonly JobLevel[] = ["Full", "Incremental", "Differential", "Base", "VirtualFull"];

/** A level in any case; a wrong one ends the command. */
export async function levelNamed(context: CommandContext, text: string): Promise<JobLevel> {
  const level = LEVELS.find((each) => each.toLowerCase() === text.toLowerCase());
  if (level !== undefined) return level;
  await context.say(`Level "${text}" not valid.`);
  return await context.fail("Job not run.");
}

async function positive(context: CommandContext, text: string): Promise<number> {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  await context.say("Priority must be a positive integer.");
  return await context.fail("Job not run.");
}

/** Milliseconds of a typed time; the past counts as now. @throws BackupError VALUE_INVALID */
export function startTime(text: string): number {
  const time = parseBaculaTime(text);
  if (time === undefined) {
    throw new BackupError("VALUE_INVALID", `Invalid time "${text}": it should be YYYY-MM-DD HH:MM:SS`);
  }
  return Math.max(time, nowMs());
}
