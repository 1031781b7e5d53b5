/** Lists of what belongs to one run: its files, its Base, its log. Files are streamed, never held. */
import { codeOf } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import type { ListEntriesRequest } from "../../../proto/generated/basalt/v1/ListEntriesRequest.js";
import { callStorage, catalogJob, levelOf, type StoredJob } from "../catalog.js";
import { isFull } from "../chain.js";
import type { CommandContext } from "../context.js";
import { JOB_COLUMNS, jobRow, longLine } from "../format.js";
import { parseIdList } from "../grammar.js";
import { fromWire, toWire, typedName } from "../names.js";
import type { JobRecord } from "../port.js";
import { visible } from "./list-jobs.js";

/** Files in one structured answer; the next page begins with `after=`. */
const JSON_FILES = 100_000;

async function jobIdOf(context: CommandContext): Promise<number> {
  const given = context.args.value("jobid");
  const unique = context.args.value("ujobid");
  if (unique !== undefined) {
    const record = context.director.db.jobs.list({ job: unique, limit: 1 })[0];
    return record?.jobId ?? (await context.fail(`Job "${unique}" not found`));
  }
  const text = given ?? (await context.ask("Enter JobId: "));
  const id = parseIdList(text)?.[0];
  return id ?? (await context.fail(`Expected a positive integer, got: ${text}`));
}

/** The run's row, when this console may see it. */
async function recordOf(context: CommandContext): Promise<{ jobId: number; record: JobRecord | undefined }> {
  const jobId = await jobIdOf(context);
  const known = context.director.db.jobs.get(jobId);
  const record = visible(context, known === undefined ? [] : [known])[0];
  if (known !== undefined && record === undefined) return await context.fail("No results to list.");
  return { jobId, record };
}

async function printRecord(
  context: CommandContext,
  record: JobRecord | undefined,
  long: boolean,
): Promise<void> {
  if (record !== undefined) await context.records("job", JOB_COLUMNS, [jobRow(record)], long);
}

/** The run in the catalog; undefined (told of) for one that the director knows and that stored nothing. */
async function storedJob(
  context: CommandContext,
  jobId: number,
  record: JobRecord | undefined,
): Promise<StoredJob | undefined> {
  try {
    return await catalogJob(context, jobId);
  } catch (error) {
    if (codeOf(error) !== "NOT_FOUND" || record === undefined) throw error;
    context.data.files = [];
    await context.say("No results to list.");
    return undefined;
  }
}

/** `list files`: names of one run; of an Incremental or Differential its own, of a Full all. */
export async function listFiles(context: CommandContext, long: boolean): Promise<void> {
  const { jobId, record } = await recordOf(context);
  const job = await storedJob(context, jobId, record);
  if (job === undefined) return await printRecord(context, record, long);
  const type = context.args.value("type")?.toLowerCase();
  const whole = isFull(job) || levelOf(job) === "B";
  const caller = await callStorage(context, job.storage);
  const requests: ListEntriesRequest[] = [];
  if (type !== "deleted") requests.push({ jobIds: [jobId], ownRows: !whole });
  if (type === "deleted" || type === "all") requests.push({ jobIds: [jobId], ownRows: true, deleted: true });
  await printEntries(context, caller.stream.bind(caller), requests, long);
  await printRecord(context, record, long);
}

/** `list basefiles`: entries of one run that lie in its Bases. */
export async function listBaseFiles(context: CommandContext, long: boolean): Promise<void> {
  const { jobId, record } = await recordOf(context);
  const job = await storedJob(context, jobId, record);
  if (job === undefined) return await printRecord(context, record, long);
  const caller = await callStorage(context, job.storage);
  await printEntries(context, caller.stream.bind(caller), [{ jobIds: [jobId], baseOnly: true }], long);
  await printRecord(context, record, long);
}

async function printEntries(
  context: CommandContext,
  stream: (
    service: "Storaged",
    method: string,
    request: object,
    options: object,
  ) => AsyncIterable<EntryPage__Output>,
  requests: readonly ListEntriesRequest[],
  long: boolean,
): Promise<void> {
  const limit = Number(context.args.value("limit") ?? "0") || (context.state.json ? JSON_FILES : 0);
  const after = context.args.value("after");
  const files: string[] = [];
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY;
  if (!long) await context.print("+----------+\n| Filename |\n+----------+\n");
  for (const request of requests) {
    if (left <= 0) break;
    const full = {
      ...request,
      ...(Number.isFinite(left) ? { limit: left } : {}),
      ...(after === undefined ? {} : { after: toWire(typedName(after)) }),
    };
    for await (const page of stream("Storaged", "ListEntries", full, { signal: context.signal })) {
      let text = "";
      for (const entry of page.entries) {
        const path = displayPath(fromWire(entry.path));
        const name = entry.type === "directory" && path !== "/" ? `${path}/` : path;
        left -= 1;
        if (context.state.json) files.push(name);
        text +=
          long && request.deleted !== true
            ? `${longLine({ ...entry, links: 1, name })}\n`
            : long
              ? `${name}\n`
              : `| ${name} |\n`;
      }
      if (!context.state.json) await context.print(text);
    }
  }
  if (!long) await context.print("+----------+\n");
  context.data.files = files;
  if (left <= 0) context.data.after = files.at(-1)?.replace(/\/$/, "") ?? null;
}

/** `list basejobs`: the Base runs that one run lies on. */
export async function listBaseJobs(context: CommandContext, long: boolean): Promise<void> {
  const { jobId, record } = await recordOf(context);
  const bases = record?.baseJobIds ?? (await catalogJob(context, jobId)).bases;
  const records = visible(
    context,
    bases.length === 0 ? [] : context.director.db.jobs.list({ jobIds: bases }),
  );
  const found = new Map(records.map((each) => [each.jobId, each]));
  const ordered = bases.flatMap((id) => found.get(id) ?? []);
  await context.records("basejobs", JOB_COLUMNS, ordered.map(jobRow), long);
}

/** `list joblog`: the messages of one run, then its row. */
export async function listJobLog(context: CommandContext, long: boolean): Promise<void> {
  const { jobId, record } = await recordOf(context);
  const lines = context.director.db.log.list(jobId);
  context.data.joblog = lines.map((line) => ({ timeMs: line.timeMs, text: line.text }));
  if (lines.length === 0) await context.say("No results to list.");
  for (const line of lines) await context.print(line.text.endsWith("\n") ? line.text : `${line.text}\n`);
  await printRecord(context, record, long);
}
