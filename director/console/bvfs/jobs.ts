/** `.bvfs_update`, `.bvfs_get_jobids`, `.bvfs_get_volumes`, `.bvfs_decode_lstat`. */
import { BackupError } from "../../../common/errors.js";
import { parseBaculaTime } from "../../../common/time.js";
import { catalogJob, catalogJobs, isRestorable, levelOf, type StoredJob } from "../catalog.js";
import { chainBefore, idsOf, withoutCopies } from "../chain.js";
import type { Command, CommandContext } from "../context.js";
import { filePlace } from "../sql/ids.js";
import { decodeLstat } from "../sql/lstat.js";
import { runsGiven } from "./view.js";

export const bvfsUpdate: Command = {
  name: ".bvfs_update",
  summary: "Nothing to be done: file lists can be browsed as soon as a run has ended",
  usage: [".bvfs_update [jobid=N[,M]]"],
  keywords: ["jobid="],
  run: async () => undefined,
};

export const getJobIds: Command = {
  name: ".bvfs_get_jobids",
  summary: "JobIds that make up the state after a run, or the runs of a client",
  usage: [
    ".bvfs_get_jobids jobid=N | ujobid=JOB [all]",
    ".bvfs_get_jobids client=NAME [start=TIME] [end=TIME] [limit=N] [count]",
  ],
  keywords: ["jobid=", "ujobid=", "all", "client=", "start=", "end=", "limit=", "count"],
  async run(context) {
    const { args } = context;
    const client = args.value("client");
    const ids = idsOf(client === undefined ? await chainOf(context) : await runsOf(context, client));
    context.data.jobIds = ids;
    await context.say(args.has("count") && client !== undefined ? String(ids.length) : ids.join(","));
  },
};

/** Backups of a client by time; `limit`: the newest. */
async function runsOf(context: CommandContext, client: string): Promise<StoredJob[]> {
  const { args } = context;
  const moment = (key: string, otherwise: number): number => {
    const text = args.value(key);
    if (text === undefined) return otherwise;
    const time = /^\d{9,11}$/.test(text) ? Number(text) * 1000 : parseBaculaTime(text);
    if (time === undefined) throw new BackupError("USAGE", `${key}=${text}: must be YYYY-MM-DD HH:MM:SS`);
    return time;
  };
  const [start, end] = [moment("start", 0), moment("end", Number.POSITIVE_INFINITY)];
  const all = withoutCopies(await catalogJobs(context, { client }), false);
  const found = all.filter((job) => isRestorable(job) && job.startMs >= start && job.startMs <= end);
  const limit = Number(args.value("limit") ?? "0");
  return limit > 0 ? found.slice(-limit) : found;
}

/** A run and what it lies over, Bases excepted, which come by themselves; with `all` also of the client's other FileSets. */
async function chainOf(context: CommandContext): Promise<StoredJob[]> {
  const { args } = context;
  const unique = args.value("ujobid");
  const record =
    unique === undefined ? undefined : context.director.db.jobs.list({ job: unique, limit: 1 })[0];
  const jobId = record?.jobId ?? Number(args.value("jobid") ?? "0");
  if (!Number.isSafeInteger(jobId) || jobId <= 0 || (unique !== undefined && record === undefined))
    throw new BackupError("USAGE", "Can't find jobid argument");
  const job = await catalogJob(context, jobId);
  if (!isRestorable(job)) return [];
  const all = await catalogJobs(context, { client: job.client });
  const own = all.filter(({ jobId: id }) => id === jobId || job.chain.includes(id));
  if (!args.has("all")) return own;
  const plain = withoutCopies(all, false).filter((each) => levelOf(each) !== "B");
  const others = new Set(plain.map(({ fileSet }) => fileSet).filter((set) => set !== job.fileSet));
  const more = [...others].flatMap((set) =>
    chainBefore(
      plain.filter(({ fileSet }) => fileSet === set),
      job.startMs,
    ),
  );
  return [...own, ...more].sort((a, b) => a.startMs - b.startMs || a.jobId - b.jobId);
}

export const getVolumes: Command = {
  name: ".bvfs_get_volumes",
  summary: "Volumes that hold what runs, or a file's run, need",
  usage: [".bvfs_get_volumes jobid=N[,M] | fileid=N"],
  keywords: ["jobid=", "fileid=", "path="],
  async run(context) {
    const id = context.args.value("fileid");
    const jobs =
      id === undefined ? await runsGiven(context) : [await catalogJob(context, filePlace(id).jobId)];
    const names = [...new Set(jobs.flatMap(({ needs, volumes }) => [...volumes, ...needs]))];
    context.data.volumes = names;
    await context.print(names.map((name) => `${name}\n`).join(""));
  },
};

export const decode: Command = {
  name: ".bvfs_decode_lstat",
  summary: "Fields of an LStat",
  usage: ['.bvfs_decode_lstat lstat="A A IGk B …"'],
  keywords: ["lstat="],
  async run(context) {
    const fields = decodeLstat(context.args.value("lstat") ?? "");
    if (fields === undefined) return void (await context.fail("Can't decode lstat argument"));
    Object.assign(context.data, Object.fromEntries(fields));
    await context.print(fields.map(([field, value]) => `${field}=${value}\n`).join(""));
  },
};
