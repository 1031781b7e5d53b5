/** Restores by a bootstrap file, and the file that stands beside every other restore until its job has ended. */
import { BackupError, describeError } from "../../../common/errors.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import {
  addToRanges,
  type BootstrapBlock,
  type BootstrapRun,
  isInRanges,
  MAX_BOOTSTRAP_BYTES,
  parseBootstrap,
  printBootstrap,
  type Range,
} from "../../bootstrap/bootstrap.js";
import { type KnownRun, type MeantRun, meantRuns } from "../../bootstrap/runs.js";
import type { AclKind } from "../acl.js";
import { callStorage, catalogJobs, isRestorable, type StoredJob } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { fromWire } from "../names.js";
import { MAX_RULES, type MarkRule, rulesToWire, TreeMarks } from "../tree-marks.js";
import { type Choice, storageOf } from "./choice.js";
import { readGivenFile } from "./given-file.js";

export interface BootstrapChoice {
  choice: Choice;
  marks: TreeMarks;
  files: number;
}

const EVERYTHING: readonly AclKind[] = [
  ...(["where", "directory", "userId", "job", "client", "pool", "storage", "fileSet"] as const),
];

type CatalogRun = KnownRun & { stored: StoredJob };

/** Runs and entries that the file means. It is one that the console has sent under this key, or on the director's machine. @throws BackupError */
export async function chooseByBootstrap(context: CommandContext, file: string): Promise<BootstrapChoice> {
  // Its errors tell of what the file holds.
  if (!EVERYTHING.every((kind) => context.acl.grantsAll(kind)))
    throw new BackupError("NOT_ALLOWED", "this console may not have the director read bootstrap files");
  const blocks = parseBootstrap(await readBootstrap(context.state.sent?.path(file) ?? file, file), file);
  const meant = meantRuns(blocks, await knownRuns(context, blocks));
  const jobs = meant.map(({ run }) => run.stored);
  const storage = await storageOf(context, jobs);
  const choice: Choice = { storage, client: jobs.at(-1)!.client, jobs, names: undefined };
  const marks = await marksOf(context, storage, meant);
  return { choice, marks, files: meant.length === 1 ? entriesOf(meant[0]!) : 0 };
}

/** `file` is what it is called in messages. */
async function readBootstrap(path: string, file: string): Promise<string> {
  try {
    return (await readGivenFile(path, MAX_BOOTSTRAP_BYTES)).toString("utf8");
  } catch (cause) {
    const why = `Cannot open bootstrap file ${file}: ${describeError(cause)}`;
    throw new BackupError("BOOTSTRAP_INVALID", why, { cause });
  }
}

async function knownRuns(context: CommandContext, blocks: readonly BootstrapBlock[]): Promise<CatalogRun[]> {
  const ids = blocks.flatMap(({ jobIds = [] }) => jobIds);
  const few =
    ids.length > 0 && ids.every(([from, to]) => to === from) && blocks.every((block) => block.jobIds);
  const request = few ? { jobIds: ids.map(([from]) => from) } : {};
  const stored = (await catalogJobs(context, request)).filter(isRestorable);
  return stored.map((job) => {
    const record = context.director.db.jobs.get(job.jobId);
    const known = record !== undefined && record.volSessionTime > 0;
    const session = known ? { id: record.volSessionId, time: record.volSessionTime } : undefined;
    const { jobId, jobName, client, startMs, files, volumes } = job;
    return { jobId, jobName, job: job.job, client, startMs, files, volumes, session, stored: job };
  });
}

function entriesOf({ run, fileIndex }: MeantRun<CatalogRun>): number {
  return fileIndex?.reduce((sum, [from, to]) => sum + Math.min(to, run.files) - from + 1, 0) ?? 0;
}

async function marksOf(
  context: CommandContext,
  storage: string,
  meant: readonly MeantRun<CatalogRun>[],
): Promise<TreeMarks> {
  if (meant.every(({ fileIndex }) => fileIndex === undefined)) return new TreeMarks(true);
  const rules: MarkRule[] = [];
  for (const { run, fileIndex } of meant) {
    let index = 0;
    for await (const { path } of ownEntries(context, storage, run.jobId)) {
      if (!isInRanges(fileIndex, ++index)) continue;
      rules.push({ path, include: true, recursive: false });
      if (rules.length > MAX_RULES)
        throw new BackupError(
          "USAGE",
          `more than ${MAX_RULES} entries are chosen by FileIndex: restore whole runs`,
        );
    }
  }
  return TreeMarks.of(rules);
}

async function* ownEntries(
  context: CommandContext,
  storage: string,
  jobId: number,
  rules: readonly MarkRule[] = [],
): AsyncGenerator<{ path: string; marked: boolean }> {
  const caller = await callStorage(context, storage);
  const request = { jobIds: [jobId], ownRows: true, rules: rulesToWire(rules) };
  const { signal } = context;
  for await (const page of caller.stream<EntryPage__Output>("Storaged", "ListEntries", request, { signal }))
    for (const { path, marked } of page.entries) yield { path: fromWire(path), marked };
}

/** Writes what is to be restored, and says where; the restore's job removes it when it has ended. */
export async function leaveBootstrap(
  context: CommandContext,
  choice: Choice,
  marks: TreeMarks,
): Promise<string> {
  const runs: BootstrapRun[] = [];
  for (const job of choice.jobs) {
    const fileIndex = await indexOf(context, choice.storage, job, marks.rules);
    if (fileIndex.length === 0) continue;
    const record = context.director.db.jobs.get(job.jobId);
    const session = { sessionId: record?.volSessionId ?? 0, sessionTime: record?.volSessionTime ?? 0 };
    runs.push({
      jobId: job.jobId,
      storage: choice.storage,
      ...session,
      extents: job.extents ?? [],
      fileIndex,
    });
  }
  const file = await context.director.leaveBootstrap(printBootstrap(runs));
  await context.say(`Bootstrap records written to ${file}`);
  return file;
}

/** Longer lists are not walked for a file that hardly anybody reads: it then names the whole run. */
const MAX_WALKED = 200_000;

async function indexOf(
  context: CommandContext,
  storage: string,
  job: StoredJob,
  rules: readonly MarkRule[],
): Promise<Range[]> {
  const [only, more] = rules;
  const all = more === undefined && only?.path === "/" && only.recursive && only.include;
  if (job.files === 0) return [];
  if (all || job.files > MAX_WALKED) return [[1, job.files]];
  const ranges: [number, number][] = [];
  let index = 0;
  for await (const { marked } of ownEntries(context, storage, job.jobId, rules)) {
    index++;
    if (marked) addToRanges(ranges, index);
  }
  return ranges;
}
