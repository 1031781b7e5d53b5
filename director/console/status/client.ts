/** `status client`: what the file daemon says of itself, and its jobs that have ended. */
import { displayPath } from "../../../common/format/path.js";
import { nowMs, reportTime } from "../../../common/time.js";
import { withCommas } from "../../../common/units.js";
import type { FiledJobStatus__Output } from "../../../proto/generated/basalt/v1/FiledJobStatus.js";
import type { CommandContext } from "../context.js";
import { statusTime } from "../format.js";
import { fromWire } from "../names.js";
import { endedJobs, printTerminated, terminatedData } from "./director.js";

/** `section`: header, running or terminated alone; "" for all of it. */
export async function clientStatus(context: CommandContext, client: string, section = ""): Promise<void> {
  const resource = context.config.clients.get(client)!;
  await context.say(`Connecting to Client ${client} at ${resource.address}:${resource.port}`);
  const status = await context.director.daemons.filedStatus(client);
  const ended = endedJobs(context, { client });
  context.append("clients", {
    name: client,
    version: status.version,
    startedMs: status.startedMs,
    rssBytes: status.rssBytes,
    running: status.running.map((job) => ({
      jobId: job.jobId,
      job: job.job,
      kind: job.kind,
      state: job.state,
      files: job.progress?.files ?? 0,
      bytes: job.progress?.bytesRead ?? 0,
    })),
    terminated: terminatedData(ended),
  });
  if (section === "" || section === "header")
    await context.print(
      `\n${client} Version: ${status.version}\n` +
        `Daemon started ${reportTime(status.startedMs)}. Jobs: running=${status.running.length}.\n` +
        ` Heap: rss=${withCommas(status.rssBytes)}\n`,
    );
  if (section === "" || section === "running") await running(context, status.running);
  if (section === "" || section === "terminated") await printTerminated(context, ended);
}

async function running(context: CommandContext, jobs: readonly FiledJobStatus__Output[]): Promise<void> {
  await context.print("\nRunning Jobs:\n");
  for (const job of jobs) await context.print(runningText(job));
  await context.say(`Director connected at: ${statusTime(nowMs())}`);
  if (jobs.length === 0) await context.say("No Jobs running.");
  await context.say("====");
}

function runningText(job: FiledJobStatus__Output): string {
  const seconds = Math.max(1, (nowMs() - job.startedMs) / 1000);
  const bytes = job.progress?.bytesRead ?? 0;
  const path =
    job.progress === null || job.progress === undefined ? "" : displayPath(fromWire(job.progress.path));
  const kind = job.kind === "Restore" ? "Restore" : "Backup";
  const level = kind === "Restore" ? "" : `${job.level} `;
  return (
    `JobId ${job.jobId} Job ${job.job} is running.\n` +
    `    ${level}${kind} Job started: ${statusTime(job.startedMs)}\n` +
    `    Files=${withCommas(job.progress?.files ?? 0)} Bytes=${withCommas(bytes)} ` +
    `AveBytes/sec=${withCommas(bytes / seconds)} Errors=${withCommas(job.progress?.errors ?? 0)}\n` +
    (/reference machine/.test(job.state) ? `    State: ${job.state}\n` : "") +
    (path === "" ? "" : `    Processing file: ${path}\n`)
  );
}
