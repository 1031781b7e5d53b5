/** `status director`: what is scheduled, what runs, what has ended. */
import { nowMs, reportTime } from "../../../common/time.js";
import { withCommas } from "../../../common/units.js";
import { visible } from "../commands/list-jobs.js";
import type { CommandContext, Data } from "../context.js";
import {
  levelLetter,
  levelName,
  shortSize,
  statusTime,
  statusWord,
  typeLetter,
  typeName,
} from "../format.js";
import type { JobRecord, LiveView, UpcomingView } from "../port.js";
import { SOFTWARE_VERSION } from "../version.js";

const ENDED_JOBS = 10;

export async function directorStatus(context: CommandContext): Promise<void> {
  await header(context);
  await scheduled(context);
  await running(context);
  await terminated(context);
}

export async function header(context: CommandContext): Promise<void> {
  const { config, director } = context;
  const live = director.queue.list();
  const runs = live.filter((job) => job.state === "running").length;
  const { rss, heapUsed } = process.memoryUsage();
  context.data.director = {
    name: config.director.name,
    version: SOFTWARE_VERSION,
    startedMs: director.startedAtMs,
  };
  await context.say(
    `${config.director.name} Version: ${SOFTWARE_VERSION} ${process.arch}-${process.platform}`,
  );
  await context.say(`Daemon started ${reportTime(director.startedAtMs)}.`);
  await context.say(` Jobs: running=${runs}, waiting=${live.length - runs}`);
  await context.say(` Heap: heap=${withCommas(heapUsed)} rss=${withCommas(rss)}`);
  await context.say(
    ` Res: njobs=${config.jobs.size} nclients=${config.clients.size} nstores=${config.storages.size} ` +
      `npools=${config.pools.size} nfsets=${config.fileSets.size} nscheds=${config.schedules.size}`,
  );
}

/** Table lines of runs to come. */
export function scheduledLines(runs: readonly UpcomingView[], poolTitle = "Pool"): string {
  const head = `Level          Type     Pri  Scheduled          Job Name           ${poolTitle}\n${"=".repeat(83)}\n`;
  const line = (run: UpcomingView) =>
    `${run.level.padEnd(14)} ${run.type.padEnd(8)} ${String(run.priority).padStart(3)}  ` +
    `${statusTime(run.whenMs).padEnd(18)} ${run.job.padEnd(18)} ${run.pool}\n`;
  return head + runs.map(line).join("");
}

export async function scheduled(context: CommandContext): Promise<void> {
  const days = Math.min(366, Math.max(1, Number(context.args.value("days") ?? "1") || 1));
  const runs = context.director.upcoming(days).filter((run) => context.acl.allows("job", run.job));
  context.data.scheduled = runs.map((run) => ({ ...run }));
  await context.print(
    `\nScheduled Jobs:\n${runs.length > 0 ? scheduledLines(runs) : "No Scheduled Jobs.\n"}====\n`,
  );
}

/** Bacula's five-letter types. */
function shortType(type: string): string {
  return typeName(typeLetter(type)).slice(0, 4);
}

function runningLine(job: LiveView): string {
  const level = job.plan.job.type === "Backup" ? levelName(levelLetter(job.level)) : "";
  return (
    `${String(job.jobId).padStart(6)}  ${shortType(job.plan.job.type).padEnd(4)} ${level.slice(0, 4).padEnd(5)} ` +
    `${withCommas(job.progress.files).padStart(10)} ${shortSize(job.progress.bytesRead).padStart(10)} ` +
    ` ${job.plan.job.name.padEnd(17)} ${job.detail}\n`
  );
}

export async function running(context: CommandContext): Promise<void> {
  const jobs = context.director.queue.list().filter((job) => context.acl.allows("job", job.plan.job.name));
  await context.print(`\nRunning Jobs:\nConsole connected using TLS at ${statusTime(nowMs())}\n`);
  context.data.running = jobs.map((job) => ({
    jobId: job.jobId,
    job: job.job,
    name: job.plan.job.name,
    type: job.plan.job.type,
    level: job.level,
    state: job.state,
    detail: job.detail,
    startedMs: job.startedMs,
    files: job.progress.files,
    bytes: job.progress.bytesRead,
    errors: job.progress.errors,
  }));
  if (jobs.length === 0) return await context.print("No Jobs running.\n====\n");
  const head = ` JobId  Type Level     Files     Bytes  Name              Status\n${"=".repeat(70)}\n`;
  await context.print(`${head}${jobs.map(runningLine).join("")}====\n`);
}

/** Head and lines of ended jobs, as all three daemons print them. */
export function terminatedLines(records: readonly JobRecord[]): string {
  const head = ` JobId  Level      Files    Bytes   Status   Finished        Name \n${"=".repeat(68)}\n`;
  const line = (job: JobRecord) =>
    `${String(job.jobId).padStart(6)}  ${shortKind(job).padEnd(7)} ` +
    `${withCommas(job.files).padStart(8)} ${shortSize(job.bytes).padStart(10)}  ${shortStatus(job).padEnd(7)}  ` +
    `${statusTime(job.endMs).padEnd(15)} ${job.name}\n`;
  return head + records.map(line).join("");
}

/** `Full`, `Incr`, `Diff`; jobs without a level show their type. */
function shortKind(job: JobRecord): string {
  return job.type === "B" ? levelName(job.level).slice(0, 4) : typeName(job.type).slice(0, 7);
}

function shortStatus(job: JobRecord): string {
  const word = statusWord(job.status);
  return word.startsWith("OK") ? "OK" : word;
}

/** The newest ended runs, oldest first. */
export function endedJobs(
  context: CommandContext,
  { client, storages }: { client?: string; storages?: readonly string[] } = {},
): JobRecord[] {
  const { jobs } = context.director.db;
  const own = client === undefined ? {} : { client };
  const places = storages === undefined ? [own] : storages.map((storage) => ({ ...own, storage }));
  const lists = places.map((place) => jobs.list({ ...place, ended: true, order: "desc", limit: ENDED_JOBS }));
  const newest = lists.flat().sort((a, b) => b.startMs - a.startMs || b.jobId - a.jobId);
  return visible(context, newest.slice(0, ENDED_JOBS)).reverse();
}

export async function terminated(context: CommandContext): Promise<void> {
  const ended = endedJobs(context);
  context.data.terminated = terminatedData(ended);
  await printTerminated(context, ended);
}

/** Ended runs for the structured answer. */
export function terminatedData(records: readonly JobRecord[]): Data[] {
  return records.map((job) => ({
    jobId: job.jobId,
    name: job.name,
    type: job.type,
    level: job.level,
    files: job.files,
    bytes: job.bytes,
    status: job.status,
    endMs: job.endMs,
  }));
}

export async function printTerminated(context: CommandContext, records: readonly JobRecord[]): Promise<void> {
  if (records.length === 0) await context.print("\nNo Terminated Jobs.\n====\n");
  else await context.print(`\nTerminated Jobs:\n${terminatedLines(records)}\n====\n`);
}
