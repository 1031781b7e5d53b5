/** Lists of runs, from the director's history. */
import { BackupError } from "../../../common/errors.js";
import { catalogPools } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { JOB_COLUMNS, jobRow, levelLetter, listTime } from "../format.js";
import { parseIdList } from "../grammar.js";
import type { JobFilter, JobRecord } from "../port.js";
import type { Row } from "../table.js";

const LONG_COLUMNS = [
  ...[
    "JobId",
    "Job",
    "Name",
    "PurgedFiles",
    "Type",
    "Level",
    "ClientId",
    "ClientName",
    "JobStatus",
    "SchedTime",
  ],
  ...[
    "StartTime",
    "EndTime",
    "RealEndTime",
    "JobTDate",
    "VolSessionId",
    "VolSessionTime",
    "JobFiles",
    "JobBytes",
  ],
  ...[
    "ReadBytes",
    "JobErrors",
    "JobMissingFiles",
    "PoolId",
    "PoolName",
    "PriorJobId",
    "FileSetId",
    "FileSet",
  ],
  ...["HasBase", "HasCache", "Comment", "Volumes", "BaseJobIds", "BaseFiles", "BaseBytes", "StoredBytes"],
];

/** Position of a name among the resources, as a stand-in for Bacula's record numbers. */
function idOf(names: Iterable<string>, name: string): number {
  return [...names].indexOf(name) + 1;
}

/** Numbers of the pools; none when no storage daemon answers. */
async function poolNumbers(context: CommandContext): Promise<Map<string, number>> {
  try {
    return new Map((await catalogPools(context)).map(({ name, poolId }) => [name, poolId]));
  } catch (error) {
    if (context.signal.aborted || !(error instanceof BackupError)) throw error;
    return new Map();
  }
}

/** Every column that Bacula has, then Basalt's own. */
export function longJobRow(
  context: CommandContext,
  record: JobRecord,
  pools: ReadonlyMap<string, number>,
): Row {
  const { clients, fileSets } = context.config;
  return {
    ...jobRow(record),
    Job: record.job,
    PurgedFiles: record.purgedFiles,
    ClientId: idOf(clients.keys(), record.client),
    ClientName: record.client,
    SchedTime: listTime(record.schedMs),
    EndTime: listTime(record.endMs),
    RealEndTime: listTime(record.endMs),
    JobTDate: Math.floor(record.endMs / 1000),
    VolSessionId: record.volSessionId,
    VolSessionTime: record.volSessionTime,
    ReadBytes: record.readBytes,
    JobErrors: record.errors,
    JobMissingFiles: 0,
    PoolId: pools.get(record.pool) ?? 0,
    PoolName: record.pool,
    PriorJobId: record.priorJobId,
    FileSetId: idOf(fileSets.keys(), record.fileSet),
    FileSet: record.fileSet,
    HasBase: record.baseJobIds.length > 0,
    HasCache: 0,
    Comment: record.comment,
    Volumes: record.volumes.join("|"),
    BaseJobIds: record.baseJobIds.join(","),
    BaseFiles: record.baseFiles,
    BaseBytes: record.baseBytes,
    StoredBytes: record.storedBytes,
  };
}

/** Runs that the console may see and that fit the keywords, in the order asked for. */
export async function listJobs(context: CommandContext, long: boolean): Promise<void> {
  const records = visible(context, context.director.db.jobs.list(await filterOf(context)));
  const newestFirst = context.args.value("limit") !== undefined && context.args.value("order") === undefined;
  if (newestFirst) records.reverse();
  const pools = long && records.length > 0 ? await poolNumbers(context) : new Map<string, number>();
  const rows = records.map((record) => (long ? longJobRow(context, record, pools) : jobRow(record)));
  await context.records("jobs", long ? LONG_COLUMNS : JOB_COLUMNS, rows, long);
}

/** Drops what the ACLs do not grant. */
export function visible(context: CommandContext, records: readonly JobRecord[]): JobRecord[] {
  return records.filter(
    (record) =>
      context.acl.allows("job", record.name) &&
      (record.client === "" || context.acl.allowsClient(record.client)),
  );
}

async function filterOf(context: CommandContext): Promise<JobFilter> {
  const { args } = context;
  const filter: JobFilter = {};
  const ids = args.value("jobid");
  if (ids !== undefined) {
    const list = parseIdList(ids);
    if (list === undefined) return await context.fail(`Expected a positive integer, got: ${ids}`);
    filter.jobIds = list;
  }
  const set = (key: "job" | "name" | "client" | "pool" | "type", value: string | undefined) => {
    if (value !== undefined) filter[key] = value;
  };
  set("job", args.value("ujobid"));
  set("name", args.value("job", "jobname"));
  set("client", args.value("client"));
  set("pool", args.value("pool"));
  set("type", args.value("jobtype"));
  const status = args.value("jobstatus");
  if (status !== undefined) filter.status = status.split(",").flatMap((part) => [...part.trim()]);
  const level = args.value("level");
  if (level !== undefined) filter.level = level.length === 1 ? level : levelLetter(level);
  if (args.has("joberrors")) filter.withErrors = true;
  const days = numberOf(args.value("days"));
  if (days !== undefined) filter.days = days;
  const limit = numberOf(args.value("limit"));
  if (limit !== undefined) filter.limit = limit;
  const order = args.value("order")?.toLowerCase();
  if (limit !== undefined && order === undefined) filter.order = "desc";
  else if (order !== undefined) filter.order = order.startsWith("d") ? "desc" : "asc";
  return filter;
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
}

/** Runs, files and bytes per job, and over all. */
export async function listJobTotals(context: CommandContext, long: boolean): Promise<void> {
  const totals = new Map<string, { Jobs: number; Files: number; Bytes: number }>();
  const all = { Jobs: 0, Files: 0, Bytes: 0 };
  for (const record of visible(context, context.director.db.jobs.list({ type: "B", ended: true }))) {
    const own = totals.get(record.name) ?? { Jobs: 0, Files: 0, Bytes: 0 };
    for (const sum of [own, all]) {
      sum.Jobs += 1;
      sum.Files += record.files;
      sum.Bytes += record.bytes;
    }
    totals.set(record.name, own);
  }
  const rows = [...totals].map(([Job, sum]) => ({ ...sum, Job }));
  await context.records("jobtotals", ["Jobs", "Files", "Bytes", "Job"], rows, long);
  await context.records("total", ["Jobs", "Files", "Bytes"], [all], long);
}
