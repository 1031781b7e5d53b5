/** `wait`: until nothing runs, until one job ended, or until a job asks for a volume. */
import { Abandoned, type Command, type CommandContext } from "../context.js";
import { statusName } from "../format.js";

export const wait: Command = {
  name: "wait",
  summary: "Wait until no job runs, or until one has ended",
  usage: ["wait", "wait jobid=N", "wait jobname=NAME", "wait ujobid=JOB", "wait mount"],
  keywords: ["jobid=", "jobname=", "ujobid=", "mount", "timeout="],
  async run(context) {
    const { args, director } = context;
    const signal = limited(context);
    try {
      if (args.has("mount")) return await waitMount(context, signal);
      const named = args.find("jobid", "jobname", "job", "ujobid");
      if (named?.value === undefined) return await director.queue.waitIdle(signal);
      const jobId = await jobIdOf(context, named.key, named.value);
      const record = (await director.queue.waitJob(jobId, signal)) ?? director.db.jobs.get(jobId);
      if (record === undefined) return void (await context.fail(`JobId ${jobId} is not found.`));
      context.data.jobId = record.jobId;
      context.data.status = record.status;
      await context.print(
        `JobId=${record.jobId}\nJobStatus=${statusName(record.status)} (${record.status})\n`,
      );
    } catch (error) {
      if (context.signal.aborted) throw new Abandoned("interrupted");
      if (signal.aborted) return void (await context.fail("Wait timed out."));
      throw error;
    }
  },
};

/** The command's signal, joined by `timeout=SECONDS` when given. */
function limited(context: CommandContext): AbortSignal {
  const seconds = Number(context.args.value("timeout") ?? "0");
  if (!(seconds > 0) || seconds > 2_000_000) return context.signal;
  return AbortSignal.any([context.signal, AbortSignal.timeout(seconds * 1000)]);
}

async function jobIdOf(context: CommandContext, key: string, value: string): Promise<number> {
  const { director } = context;
  if (key === "jobid") {
    if (!/^\d{1,9}$/.test(value)) return await context.fail(`Expected a positive integer, got: ${value}`);
    return Number(value);
  }
  const live = director.queue
    .list()
    .find((job) => (key === "ujobid" ? job.job : job.plan.job.name) === value);
  if (live !== undefined) return live.jobId;
  const filter = key === "ujobid" ? { job: value } : { name: value };
  const last = director.db.jobs.list({ ...filter, limit: 1, order: "desc" })[0];
  return last?.jobId ?? (await context.fail(`Job "${value}" not found`));
}

async function waitMount(context: CommandContext, signal: AbortSignal): Promise<void> {
  const { queue } = context.director;
  const waits = () => queue.list().some((job) => /appendable|mount|volume/i.test(job.detail));
  while (!waits()) {
    if (queue.list().length === 0) return;
    await new Promise<void>((resolve, reject) => {
      const off = queue.on("change", () => {
        off();
        resolve();
      });
      signal.addEventListener(
        "abort",
        () => {
          off();
          reject(new Abandoned("interrupted"));
        },
        { once: true },
      );
      if (signal.aborted) reject(new Abandoned("interrupted"));
    });
  }
}
