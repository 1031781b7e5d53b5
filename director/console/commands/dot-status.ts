/** `.status`: parts of a status, as text, or after `.api 1` or `.api 2` as `key=value` lines. */
import { sameDaemon } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { levelLetter, listTime, statusName, typeLetter } from "../format.js";
import type { JobRecord, LiveView, UpcomingView } from "../port.js";
import { RESOURCE, selectResource } from "../prompts.js";
import { clientStatus } from "../status/client.js";
import { directorStatus, endedJobs, header, running, scheduled, terminated } from "../status/director.js";
import { scheduleStatus } from "../status/schedule.js";
import { statisticsOf } from "../status/statistics.js";
import { storageStatus } from "../status/storage.js";
import type { Cell } from "../table.js";
import { SOFTWARE_VERSION } from "../version.js";

const OK = "1000 OK .status\n";
const SECTIONS = ["header", "running", "terminated", "scheduled", "devices", "statistics"];

export const dotStatus: Command = {
  name: ".status",
  summary: "Parts of a status",
  usage: [
    ".status dir current | last | header | running | terminated | scheduled | statistics",
    ".status client=NAME [header | running | terminated]",
    ".status storage=NAME [header | running | terminated | devices]",
  ],
  keywords: ["dir", "client=", "storage=", "current", "last", ...SECTIONS],
  async run(context) {
    const { args, config } = context;
    const section = args.list.find(({ key }) => SECTIONS.includes(key))?.key ?? "";
    if (args.has("client", "fd")) {
      const client = await selectResource(context, RESOURCE.client, config.clients.keys());
      if (context.state.terse === true && section !== "") return await terseClient(context, client, section);
      return await clientStatus(context, client, section);
    }
    if (args.has("storage", "sd")) {
      const storage = await selectResource(context, RESOURCE.storage, config.storages.keys());
      if (context.state.terse === true && section !== "")
        return await terseStorage(context, storage, section);
      return await storageStatus(context, storage, section);
    }
    if (args.has("current")) return await current(context);
    if (args.has("last")) return await last(context);
    if (context.state.terse === true && section !== "") return await terseDirector(context, section);
    await textOf(context, section);
  },
};

async function textOf(context: CommandContext, section: string): Promise<void> {
  const parts: Readonly<Record<string, (context: CommandContext) => Promise<void>>> = {
    header,
    running,
    terminated,
    scheduled,
    statistics: (each) => each.print(lines(Object.entries(statisticsOf(each)))),
  };
  const part = parts[section];
  if (part !== undefined) return await part(context);
  if (context.args.has("schedule")) return await scheduleStatus(context);
  await directorStatus(context);
}

function shortLine(jobId: number, status: string, errors: number): string {
  return `JobId=${jobId} JobStatus=${status} JobErrors=${errors}\n`;
}

function letterOf(job: LiveView): string {
  return job.state === "running" ? "R" : "C";
}

function live(context: CommandContext): LiveView[] {
  return context.director.queue.list().filter((job) => context.acl.allows("job", job.plan.job.name));
}

/** What runs or waits, a line each. */
async function current(context: CommandContext): Promise<void> {
  const jobs = live(context);
  context.data.jobs = jobs.map((job) => ({ jobId: job.jobId, state: job.state, detail: job.detail }));
  const text = jobs.map((job) => shortLine(job.jobId, letterOf(job), job.progress.errors)).join("");
  await context.print(OK + text);
}

/** The run that ended last. */
async function last(context: CommandContext): Promise<void> {
  const ended = endedJobs(context).slice(-1);
  context.data.jobs = ended.map(({ jobId, status, errors }) => ({ jobId, status, errors }));
  const text = ended.map(({ jobId, status, errors }) => shortLine(jobId, status, errors)).join("");
  await context.print(OK + text);
}

type Pairs = readonly (readonly [key: string, value: Cell])[];

function lines(pairs: Pairs): string {
  return pairs
    .map(([key, value]) => `${key}=${value === true ? 1 : value === false ? 0 : (value ?? "")}\n`)
    .join("");
}

/** Records with an empty line before each. */
function blocks(records: readonly Pairs[]): string {
  return records.map((record) => `\n${lines(record)}`).join("");
}

/** A moment in both forms that programs read. */
function moment(key: string, timeMs: number): Pairs {
  return [
    [`${key}_epoch`, Math.floor(timeMs / 1000)],
    [key, listTime(timeMs)],
  ];
}

async function terseDirector(context: CommandContext, section: string): Promise<void> {
  if (section === "header") return await context.print(lines(headerPairs(context)));
  if (section === "statistics") return await context.print(lines(Object.entries(statisticsOf(context))));
  if (section === "running") return await context.print(blocks(live(context).map(livePairs)));
  if (section === "terminated") return await context.print(blocks(endedJobs(context).map(endedPairs)));
  if (section !== "scheduled") return;
  const days = Math.min(366, Math.max(1, Number(context.args.value("days") ?? "1") || 1));
  const runs = context.director.upcoming(days).filter((run) => context.acl.allows("job", run.job));
  await context.print(blocks(runs.map(upcomingPairs)));
}

function headerPairs({ config, director }: CommandContext): Pairs {
  return [
    ["name", config.director.name],
    ["version", SOFTWARE_VERSION],
    ["uname", `${process.arch}-${process.platform}`],
    ...moment("started", director.startedAtMs),
    ["jobs_running", director.queue.list().filter(({ state }) => state === "running").length],
    ["njobs", config.jobs.size],
    ["nclients", config.clients.size],
    ["nstores", config.storages.size],
    ["npools", config.pools.size],
    ["nfsets", config.fileSets.size],
    ["nscheds", config.schedules.size],
  ];
}

function livePairs(job: LiveView): Pairs {
  const { plan, progress } = job;
  return [
    ["jobid", job.jobId],
    ["level", plan.job.type === "Backup" ? levelLetter(job.level) : " "],
    ["type", typeLetter(plan.job.type)],
    ["status", letterOf(job)],
    ["status_desc", job.detail],
    ["comment", ""],
    ["jobbytes", progress.bytesRead],
    ["jobfiles", progress.files],
    ["job", job.job],
    ["name", plan.job.name],
    ["clientname", plan.client?.name ?? ""],
    ["fileset", plan.job.fileSet],
    ["storage", plan.storage?.name ?? ""],
    ["pool", plan.pool?.name ?? ""],
    ["priority", plan.job.priority],
    ...moment("schedtime", job.queuedMs),
    ...moment("starttime", job.startedMs),
    ["errors", progress.errors],
  ];
}

function endedPairs(job: JobRecord): Pairs {
  return [
    ["jobid", job.jobId],
    ["level", job.level],
    ["type", job.type],
    ["status", job.status],
    ["status_desc", statusName(job.status)],
    ["jobbytes", job.bytes],
    ["jobfiles", job.files],
    ["job", job.job],
    ["name", job.name],
    ...moment("starttime", job.startMs),
    ...moment("endtime", job.endMs),
    ["errors", job.errors],
  ];
}

function upcomingPairs(run: UpcomingView): Pairs {
  return [
    ["name", run.job],
    ["level", run.level],
    ["type", run.type],
    ["priority", run.priority],
    ...moment("schedtime", run.whenMs),
    ["pool", run.pool],
    ["schedule", run.schedule],
  ];
}

async function terseClient(context: CommandContext, client: string, section: string): Promise<void> {
  if (section === "terminated")
    return await context.print(blocks(endedJobs(context, { client }).map(endedPairs)));
  const status = await context.director.daemons.filedStatus(client);
  if (section === "header") return await context.print(lines(daemonPairs(client, status)));
  if (section !== "running") return;
  const records = status.running.map(
    (job): Pairs => [
      ...stateOf(job),
      ...progressOf(job.progress?.files, job.progress?.bytesRead),
      ...moment("starttime", Number(job.startedMs)),
      ["errors", Number(job.progress?.errors ?? 0)],
    ],
  );
  await context.print(blocks(records));
}

async function terseStorage(context: CommandContext, storage: string, section: string): Promise<void> {
  const storages = sameDaemon(context, storage);
  if (section === "terminated")
    return await context.print(blocks(endedJobs(context, { storages }).map(endedPairs)));
  const status = await context.director.daemons.storagedStatus(storage);
  if (section === "header") return await context.print(lines(daemonPairs(storage, status)));
  if (section === "devices") {
    const records = status.devices.map(
      (device): Pairs => [
        ["name", device.name],
        ["archive_device", device.path],
        ["media_type", device.mediaType],
        ["volume", device.volume],
        ["pool", device.pool],
        ["writers", device.writers],
        ["volume_bytes", Number(device.volumeBytes)],
      ],
    );
    return await context.print(blocks(records));
  }
  if (section !== "running") return;
  const records = status.running.map(
    (job): Pairs => [
      ...stateOf(job),
      ["pool", job.pool],
      ["device", job.device],
      ["volume", job.volume],
      ...progressOf(job.progress?.files, job.progress?.bytesStored),
      ...moment("starttime", Number(job.startedMs)),
    ],
  );
  await context.print(blocks(records));
}

/** What both daemons say of a job that they carry out. */
function stateOf(running: { jobId: number; job: string; kind: string; level: string; state: string }): Pairs {
  return [
    ["jobid", running.jobId],
    ["job", running.job],
    ["type", running.kind],
    ["level", running.level],
    ["status_desc", running.state],
  ];
}

function progressOf(files: number | undefined, bytes: number | undefined): Pairs {
  return [
    ["jobfiles", Number(files ?? 0)],
    ["jobbytes", Number(bytes ?? 0)],
  ];
}

function daemonPairs(name: string, status: { version: string; startedMs: number; rssBytes: number }): Pairs {
  return [
    ["name", name],
    ["version", status.version],
    ...moment("started", Number(status.startedMs)),
    ["memory_rss", Number(status.rssBytes)],
  ];
}
