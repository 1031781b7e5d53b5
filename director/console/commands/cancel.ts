/** `cancel` and `stop`: running and waiting jobs, by number, by name, or all. */
import type { Command, CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import type { LiveView } from "../port.js";
import { yesNo } from "../prompts.js";

export const cancel: Command = {
  name: "cancel",
  summary: "Cancel running or waiting jobs",
  usage: [
    "cancel jobid=N[,M] [yes]",
    "cancel job=NAME",
    "cancel ujobid=JOB",
    "cancel all yes",
    "cancel inactive jobid=N",
  ],
  keywords: ["jobid=", "job=", "ujobid=", "all", "inactive", "yes"],
  run: (context) => end(context, "cancel"),
};

export const stop: Command = {
  name: "stop",
  summary: "End backups and keep what they have stored; see restart",
  usage: ["stop jobid=N[,M] [yes]", "stop job=NAME", "stop ujobid=JOB", "stop all yes"],
  keywords: ["jobid=", "job=", "ujobid=", "all", "yes"],
  run: (context) => end(context, "stop"),
};

type Verb = "cancel" | "stop";

async function end(context: CommandContext, verb: Verb): Promise<void> {
  const { args, director } = context;
  const live = director.queue.list().filter((job) => context.acl.allows("job", job.plan.job.name));
  const named = args.find("jobid", "job", "jobname", "ujobid");
  const jobs =
    named?.value !== undefined
      ? await byName(context, live, named.key, named.value)
      : await chosen(context, live, verb);
  if (jobs === undefined) return;
  const lines: string[] = [];
  for (const job of jobs) {
    const by = `by console ${context.console}.`;
    const told =
      verb === "cancel"
        ? await director.cancel(job.jobId, `Canceled ${by}`)
        : await director.stopJob(job.jobId, `Stopped ${by}`);
    // It may have ended while the question stood.
    lines.push(...(told.length > 0 ? told : [`Warning Job JobId=${job.jobId} is not running.`]));
  }
  context.data.jobIds = jobs.map((job) => job.jobId);
  for (const line of lines) await context.say(line);
}

async function byName(
  context: CommandContext,
  live: readonly LiveView[],
  key: string,
  value: string,
): Promise<LiveView[] | undefined> {
  if (key === "jobid") {
    const ids = parseIdList(value);
    if (ids === undefined) return await context.fail(`Expected a positive integer, got: ${value}`);
    const found: LiveView[] = [];
    for (const id of ids) {
      const job = live.find((each) => each.jobId === id);
      if (job === undefined) await context.say(`Warning Job JobId=${id} is not running.`);
      else found.push(job);
    }
    return found;
  }
  const exact = live.filter((job) => job.job === value || (key !== "ujobid" && job.plan.job.name === value));
  // As in Bacula the beginning of a run's name is enough.
  const begun = key === "ujobid" ? [] : live.filter((job) => value !== "" && job.job.startsWith(value));
  const found = exact.length > 0 ? exact : begun;
  if (found.length === 0) return await context.fail(`Warning Job ${value} is not running.`);
  return found.slice(0, 1);
}

/** Without a name: all, the only one, or an answer such as `1,3`; confirmed unless `yes` is given. */
async function chosen(
  context: CommandContext,
  live: readonly LiveView[],
  verb: Verb,
): Promise<LiveView[] | undefined> {
  if (live.length === 0) return await context.fail("No Jobs running.");
  const sure = context.args.has("yes");
  let jobs: LiveView[];
  if (context.args.has("all")) jobs = [...live];
  else if (live.length === 1) {
    await context.say(`Automatically selected Job: ${title(live[0]!)}`);
    jobs = [live[0]!];
  } else jobs = await fromList(context, live, verb);
  if (sure) return jobs;
  // The question comes for a single one too, as scripts that answer it expect.
  if (!context.args.has("all")) for (const job of jobs) await context.say(title(job));
  if (
    await yesNo(context, `Confirm ${verb} of ${jobs.length} Job${jobs.length === 1 ? "" : "s"} (yes/no): `)
  ) {
    return jobs;
  }
  return undefined;
}

function title(job: LiveView): string {
  return `JobId=${job.jobId} Job=${job.job}`;
}

async function fromList(context: CommandContext, live: readonly LiveView[], verb: Verb): Promise<LiveView[]> {
  const items = live.map((job, index) => `${String(index + 1).padStart(6)}: ${title(job)}\n`).join("");
  await context.print(`Select Job(s):\n${items}`);
  for (;;) {
    const answer = await context.ask(`Choose Job list to ${verb} (1-${live.length}): `);
    const numbers = parseIdList(answer);
    if (numbers === undefined) await context.say(`Expected a positive integer, got: ${answer}`);
    else if (numbers.some((number) => number > live.length)) {
      await context.say(`Please enter a number between 1 and ${live.length}`);
    } else return numbers.map((number) => live[number - 1]!);
  }
}
