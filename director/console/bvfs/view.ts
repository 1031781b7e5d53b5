/** What a `.bvfs_…` command looks at: some runs, one directory of them, and which part of it is wanted. */

import { BackupError } from "../../../common/errors.js";
import type { Entry__Output } from "../../../proto/generated/basalt/v1/Entry.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import type { ListEntriesRequest } from "../../../proto/generated/basalt/v1/ListEntriesRequest.js";
import { callStorage, catalogJobs, isRestorable, levelOf, type StoredJob } from "../catalog.js";
import { idsOf, isFull } from "../chain.js";
import type { CommandContext } from "../context.js";
import { fnmatch } from "../fnmatch.js";
import { parseIdList } from "../grammar.js";
import { fromWire, resolvePath, toWire, typedName } from "../names.js";
import { textId } from "../sql/ids.js";
import type { BvfsCache } from "./cache.js";

/** The runs of `jobid=`, oldest first; their lists lie over each other. @throws BackupError USAGE, NOT_FOUND */
export async function runsGiven(context: CommandContext): Promise<StoredJob[]> {
  const text = context.args.value("jobid", "jobids");
  const ids = text === undefined ? undefined : parseIdList(text);
  if (ids === undefined) throw new BackupError("USAGE", "Can't find jobid argument");
  const jobs = (await catalogJobs(context, { jobIds: ids })).filter(isRestorable);
  const missing = ids.find((id) => !jobs.some(({ jobId }) => jobId === id));
  if (missing !== undefined)
    throw new BackupError("NOT_FOUND", `JobId ${missing} has no files in the catalog`);
  const other = jobs.find(({ storage }) => storage !== jobs[0]!.storage);
  if (other !== undefined) {
    const where = `JobId ${jobs[0]!.jobId} lies in Storage "${jobs[0]!.storage}" and JobId ${other.jobId} in "${other.storage}"`;
    throw new BackupError("USAGE", `${where}: look at them one by one`);
  }
  return jobs;
}

/** Entries of runs, numbered. */
export async function* entriesOf(
  context: CommandContext,
  jobs: readonly StoredJob[],
  request: Partial<ListEntriesRequest>,
): AsyncGenerator<Entry__Output> {
  const [job, more] = jobs;
  if (job === undefined) return;
  // A single Incremental or Differential shows what it stored itself.
  const ownRows = more === undefined && !isFull(job) && levelOf(job) !== "B";
  const caller = await callStorage(context, job.storage);
  const full = { jobIds: idsOf(jobs), ownRows, numbered: true, ...request };
  const pages = caller.stream<EntryPage__Output>("Storaged", "ListEntries", full, { signal: context.signal });
  for await (const page of pages) yield* page.entries;
}

/** What lies directly in a directory. */
export function childrenOf(
  context: CommandContext,
  jobs: readonly StoredJob[],
  directory: string,
): AsyncGenerator<Entry__Output> {
  return entriesOf(context, jobs, { directory: toWire(directory), children: true });
}

/**
 * The directory of `path=` or `pathid=`; undefined for the place above the root, which only holds `/`.
 * A number that was never shown is looked for in the runs.
 * @throws BackupError USAGE, NOT_FOUND
 */
export async function directoryGiven(
  context: CommandContext,
  cache: BvfsCache,
  jobs: readonly StoredJob[],
): Promise<string | undefined> {
  const id = context.args.value("pathid");
  if (id !== undefined) return await pathOf(context, cache, { id, jobs });
  const typed = context.args.value("path");
  if (typed === undefined) throw new BackupError("USAGE", "Can't find path or pathid argument");
  return typed === "" ? undefined : resolvePath("/", typedName(typed));
}

export async function pathOf(
  context: CommandContext,
  cache: BvfsCache,
  { id, jobs }: { id: string; jobs: readonly StoredJob[] },
): Promise<string | undefined> {
  const known = cache.text(id) ?? (await searched(context, id, jobs));
  if (known === undefined) throw new BackupError("NOT_FOUND", `PathId ${id} is not in the catalog`);
  return known === "" ? undefined : resolvePath("/", known);
}

/** Numbers may come from SQL: the directory with that number among all of the runs. */
async function searched(
  context: CommandContext,
  id: string,
  jobs: readonly StoredJob[],
): Promise<string | undefined> {
  if (!/^\d{1,19}$/.test(id)) return undefined;
  const wanted = BigInt(id);
  for (const root of ["", "/"]) if (textId(root) === wanted) return root;
  for await (const entry of entriesOf(context, jobs, { directory: toWire("/") })) {
    if (entry.type !== "directory") continue;
    const path = `${fromWire(entry.path)}/`;
    if (textId(path) === wanted) return path;
  }
  return undefined;
}

/** Which names of a directory are wanted, asked for each in turn, and when there are enough. */
export class Window {
  /** Glob over the whole name. */
  readonly #pattern: string | undefined;
  readonly #exact: string | undefined;
  #skip: number;
  #left: number;

  private constructor(context: CommandContext, pattern: string | undefined, exact: string | undefined) {
    this.#pattern = pattern === undefined ? undefined : globOf(typedName(pattern));
    this.#exact = exact === undefined ? undefined : typedName(exact);
    this.#skip = countOf(context.args.value("offset")) ?? 0;
    this.#left = countOf(context.args.value("limit")) || Number.POSITIVE_INFINITY;
  }

  /** `limit=`, `offset=`, `pattern=` and `filename=`. */
  static of(context: CommandContext): Window {
    const { args } = context;
    return new Window(context, args.value("pattern"), args.value("filename", "fname"));
  }

  /** `limit=` and `offset=`. */
  static paging(context: CommandContext): Window {
    return new Window(context, undefined, undefined);
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  takes(name: string): boolean {
    if (this.#exact !== undefined && name !== this.#exact) return false;
    if (this.#pattern !== undefined && !fnmatch(this.#pattern, name)) return false;
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    return this.#left-- > 0;
  }
}

function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** `*` and `?` as in a shell; without them a part of the name. `.*`, `^` and `$` of expressions are understood. */
function globOf(pattern: string): string {
  const start = pattern.startsWith("^");
  const end = pattern.endsWith("$");
  const body = pattern.slice(start ? 1 : 0, end ? -1 : undefined).replaceAll(".*", "*");
  if (!start && !end && /[*?]/.test(body)) return body;
  return `${start ? "" : "*"}${body}${end ? "" : "*"}`;
}
