/** `.bvfs_lsdirs`, `.bvfs_lsfiles`, `.bvfs_versions`: directories and files of runs, a line each, fields by tabs. */

import { BackupError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import type { Entry__Output } from "../../../proto/generated/basalt/v1/Entry.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import { askAll, catalogJobs, isRestorable, type StoredJob } from "../catalog.js";
import { withoutCopies } from "../chain.js";
import type { Command, CommandContext, Data } from "../context.js";
import { fromWire, joinPath, splitPath, toWire, typedName } from "../names.js";
import { fileId, textId } from "../sql/ids.js";
import { lstatOf, NO_LSTAT } from "../sql/lstat.js";
import { type BvfsCache, withCache } from "./cache.js";
import { childrenOf, directoryGiven, pathOf, runsGiven, Window } from "./view.js";

const BATCH = 500;
/** Entries in one structured answer. */
const MAX_RECORDS = 100_000;
const PAGING = ["limit=", "offset=", "pattern="];

/** A line of lsdirs or lsfiles. */
interface Line {
  /** Directory with a slash at its end, or that above the root: "". */
  path: string;
  /** "" for directories. */
  filename: string;
  entry: Entry__Output | undefined;
  shown: string;
}

/** Prints lines as they come, and notes their numbers. */
class Lines {
  readonly #context: CommandContext;
  readonly #cache: BvfsCache;
  #waiting: Line[] = [];
  #kept = 0;

  constructor(context: CommandContext, cache: BvfsCache) {
    this.#context = context;
    this.#cache = cache;
  }

  async add(line: Line): Promise<void> {
    this.#waiting.push(line);
    if (this.#waiting.length >= BATCH) await this.flush();
  }

  /** The structured answer is put together before it is printed. @throws BackupError USAGE */
  #keep(record: Data): void {
    if (++this.#kept > MAX_RECORDS)
      throw new BackupError("USAGE", `more than ${MAX_RECORDS} entries: use limit= and offset=`);
    this.#context.append("entries", record);
  }

  async flush(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    const paths = this.#cache.note(lines.map(({ path }) => path));
    const names = this.#cache.note(lines.map(({ filename }) => filename));
    let text = "";
    for (const [index, { entry, shown, filename }] of lines.entries()) {
      const record: Data = {
        PathId: String(paths[index]),
        FilenameId: filename === "" ? "0" : String(names[index]),
        FileId: entry === undefined || entry.row === 0 ? "0" : String(fileId(entry)),
        JobId: String(entry?.jobId ?? 0),
        LStat: entry === undefined || entry.row === 0 ? NO_LSTAT : stat(entry),
        Name: shown,
      };
      if (this.#context.state.json) this.#keep(record);
      text += `${Object.values(record).join("\t")}\n`;
    }
    await this.#context.print(text);
  }
}

function stat(entry: Entry__Output): string {
  return lstatOf({ ...entry, size: Number(entry.size), mtimeSec: Number(entry.mtimeSec) });
}

export const lsdirs: Command = {
  name: ".bvfs_lsdirs",
  summary: "Directories of runs in one directory",
  usage: [".bvfs_lsdirs jobid=N[,M] path=DIR | pathid=N [limit=N] [offset=N] [pattern=GLOB]"],
  keywords: ["jobid=", "path=", "pathid=", ...PAGING],
  run: (context) => browse(context, listDirectories),
};

export const lsfiles: Command = {
  name: ".bvfs_lsfiles",
  summary: "Files of runs in one directory",
  usage: [
    ".bvfs_lsfiles jobid=N[,M] path=DIR | pathid=N [filename=NAME] [limit=N] [offset=N] [pattern=GLOB]",
  ],
  keywords: ["jobid=", "path=", "pathid=", "filename=", ...PAGING],
  run: (context) => browse(context, listFilesIn),
};

type Lister = (context: CommandContext, view: View, lines: Lines) => Promise<void>;

interface View {
  jobs: readonly StoredJob[];
  directory: string | undefined;
}

async function browse(context: CommandContext, list: Lister): Promise<void> {
  await withCache(context, async (cache) => {
    const jobs = await runsGiven(context);
    const directory = await directoryGiven(context, cache, jobs);
    const lines = new Lines(context, cache);
    context.data.entries = [];
    await list(context, { jobs, directory }, lines);
    await lines.flush();
  });
}

/** With a slash at its end. */
function pathText(directory: string): string {
  return directory === "/" ? "/" : `${directory}/`;
}

async function listDirectories(
  context: CommandContext,
  { jobs, directory }: View,
  lines: Lines,
): Promise<void> {
  const window = Window.of(context);
  if (directory === undefined) {
    if (window.takes("/")) await lines.add({ path: "/", filename: "", entry: undefined, shown: "/" });
    return;
  }
  const above = directory === "/" ? "" : pathText(splitPath(directory).directory);
  await lines.add({ path: pathText(directory), filename: "", entry: undefined, shown: "." });
  await lines.add({ path: above, filename: "", entry: undefined, shown: ".." });
  for await (const entry of childrenOf(context, jobs, directory)) {
    if (entry.type !== "directory") continue;
    if (window.full) return;
    const path = fromWire(entry.path);
    const { name } = splitPath(path);
    if (window.takes(name))
      await lines.add({ path: `${path}/`, filename: "", entry, shown: `${displayPath(name)}/` });
  }
}

async function listFilesIn(context: CommandContext, { jobs, directory }: View, lines: Lines): Promise<void> {
  if (directory === undefined) return;
  const window = Window.of(context);
  for await (const entry of childrenOf(context, jobs, directory)) {
    if (entry.type === "directory") continue;
    if (window.full) return;
    const { name } = splitPath(fromWire(entry.path));
    if (window.takes(name))
      await lines.add({ path: pathText(directory), filename: name, entry, shown: displayPath(name) });
  }
}

export const versions: Command = {
  name: ".bvfs_versions",
  summary: "Runs of a client that saved a file",
  usage: [".bvfs_versions jobid=N client=NAME pathid=N fnid=N | fname=NAME [copies] [limit=N] [offset=N]"],
  keywords: ["jobid=", "client=", "pathid=", "path=", "fnid=", "fname=", "copies", "limit=", "offset="],
  async run(context) {
    const client = context.args.value("client");
    if (client === undefined) throw new BackupError("USAGE", "Can't find client argument");
    await withCache(context, async (cache) => {
      const path = await fileGiven(context, cache);
      const jobs = withoutCopies(await catalogJobs(context, { client }), context.args.has("copies"));
      context.data.versions = [];
      if (path !== undefined) await printVersions(context, path, jobs.filter(isRestorable));
    });
  },
};

/** Path of the file that a directory and a name or its number say. */
async function fileGiven(context: CommandContext, cache: BvfsCache): Promise<string | undefined> {
  const { args } = context;
  // Bacula wants jobid and does not look at it.
  const jobs = args.value("jobid") === "0" || !args.has("jobid") ? [] : await runsGiven(context);
  const id = args.value("pathid");
  const directory =
    id === undefined
      ? await directoryGiven(context, cache, jobs)
      : await pathOf(context, cache, { id, jobs });
  if (directory === undefined) return undefined;
  const name = args.value("fname", "filename");
  if (name !== undefined) return joinPath(directory, typedName(name));
  const number = args.value("fnid", "filenameid");
  if (number === undefined) throw new BackupError("USAGE", "Can't find fnid argument");
  const known = cache.text(number);
  if (known !== undefined) return joinPath(directory, known);
  for await (const entry of childrenOf(context, jobs, directory)) {
    const path = fromWire(entry.path);
    if (String(textId(splitPath(path).name)) === number) return path;
  }
  return undefined;
}

async function printVersions(
  context: CommandContext,
  path: string,
  jobs: readonly StoredJob[],
): Promise<void> {
  const byId = new Map(jobs.map((job) => [job.jobId, job]));
  const { directory, name } = splitPath(path);
  const ids = [String(textId(pathText(directory))), String(textId(name))];
  const found = await askAll(context, async (caller) => {
    const request = { client: context.args.value("client"), path: toWire(path), exact: true, numbered: true };
    const entries: Entry__Output[] = [];
    const pages = caller.stream<EntryPage__Output>("Storaged", "FindEntries", request, {
      signal: context.signal,
    });
    for await (const page of pages) entries.push(...page.entries);
    return entries;
  });
  const window = Window.paging(context);
  const shown = found.filter(({ jobId }) => byId.has(jobId)).sort((a, b) => a.jobId - b.jobId);
  for (const entry of shown) {
    if (!window.takes(name)) continue;
    const job = byId.get(entry.jobId)!;
    const record: Data = {
      ...{ PathId: ids[0]!, FilenameId: ids[1]!, FileId: String(fileId(entry)), JobId: String(entry.jobId) },
      ...{ LStat: stat(entry), Md5: md5Of(entry), VolName: job.volumes[0] ?? "", InChanger: "0" },
    };
    context.append("versions", record);
    await context.say(Object.values(record).join("\t"));
  }
}

function md5Of(entry: Entry__Output): string {
  return entry.content.length === 0 ? "0" : entry.content.toString("base64").replace(/=+$/, "");
}
