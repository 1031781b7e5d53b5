/** `setbandwidth`: how fast the backups of a client, or one that runs, may send. */
import { formatSpeed, parseSpeed } from "../../../common/units.js";
import type { BandwidthReply__Output as BandwidthReply } from "../../../proto/generated/basalt/v1/BandwidthReply.js";
import type { Command, CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import type { LiveView } from "../port.js";
import { RESOURCE, selectResource } from "../prompts.js";

const TIMEOUT_MS = 10_000;

export const setbandwidth: Command = {
  name: "setbandwidth",
  summary: "Limit the network speed of running and future backups",
  usage: ["setbandwidth limit=SPEED client=NAME | jobid=N[,M] | job=NAME | ujobid=JOB"],
  keywords: ["limit=", "client=", "jobid=", "job=", "ujobid="],
  async run(context) {
    const { args, config } = context;
    const text = args.value("limit") ?? (await context.ask("Enter new bandwidth limit: "));
    const bytesPerSec = parseSpeed(text);
    context.data.limit = bytesPerSec;
    const named = args.find("jobid", "job", "jobname", "ujobid");
    if (named?.value !== undefined) return await limitJobs(context, named.key, named.value, bytesPerSec);
    const client = await selectResource(context, RESOURCE.client, config.clients.keys());
    await limit(context, client, { jobUuid: "", bytesPerSec });
    await context.say(`2000 OK Limiting bandwidth to ${formatSpeed(bytesPerSec)} on running and future jobs`);
  },
};

async function limitJobs(
  context: CommandContext,
  key: string,
  value: string,
  bytesPerSec: number,
): Promise<void> {
  const jobs = context.director.queue.list().filter((job) => isNamed(job, key, value));
  if (jobs.length === 0) return await context.fail(`Warning Job ${value} is not running.`);
  for (const { uuid, job, plan } of jobs) {
    const client = plan.client?.name;
    const changed = client === undefined ? 0 : await limit(context, client, { jobUuid: uuid, bytesPerSec });
    if (changed > 0)
      await context.say(`2000 OK Limiting bandwidth to ${formatSpeed(bytesPerSec)} on running job ${job}`);
    else await context.say(`Warning Job ${job} does not send yet, or not any more.`);
  }
}

function isNamed(job: LiveView, key: string, value: string): boolean {
  if (key === "jobid") return parseIdList(value)?.includes(job.jobId) ?? false;
  return job.job === value || (key !== "ujobid" && job.plan.job.name === value);
}

async function limit(
  { director, signal }: CommandContext,
  client: string,
  request: { jobUuid: string; bytesPerSec: number },
): Promise<number> {
  const filed = await director.daemons.filed(client, { signal });
  const options = { timeoutMs: TIMEOUT_MS, signal };
  return (await filed.unary<BandwidthReply>("Filed", "SetBandwidth", request, options)).jobs;
}
