/** `.bvfs_restore` and `.bvfs_cleanup`: what a program chose, under a name that `restore file=?NAME` takes. */

import { BackupError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import type { Entry__Output } from "../../../proto/generated/basalt/v1/Entry.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import { callStorage, catalogJob, type StoredJob } from "../catalog.js";
import { idsOf } from "../chain.js";
import type { Command, CommandContext } from "../context.js";
import { fromWire } from "../names.js";
import type { Choice } from "../restore/choice.js";
import { viewOf } from "../restore/choice.js";
import { byIds } from "../restore/choose.js";
import { type FilePlace, fileId, filePlace } from "../sql/ids.js";
import { MAX_RULES } from "../tree-marks.js";
import { type BvfsCache, type RestoreList, withCache } from "./cache.js";
import { pathOf, runsGiven } from "./view.js";

export const bvfsRestore: Command = {
  name: ".bvfs_restore",
  summary: "Notes down what to restore under a name for restore file=?NAME",
  usage: [".bvfs_restore jobid=N[,M] path=b2NAME [fileid=N,…] [dirid=N,…] [hardlink=JOBID,FILEINDEX,…]"],
  keywords: ["jobid=", "path=", "fileid=", "dirid=", "hardlink="],
  async run(context) {
    const name = listName(context);
    await inCache(context, async (cache) => {
      const jobs = await runsGiven(context);
      const places = [...numbers(context, "fileid").map(filePlace), ...linkPlaces(context)];
      const chosen = await chosenFiles(context, jobs, places);
      const items: RestoreList["items"] = chosen.items.map((path) => ({ path, recursive: false }));
      for (const id of numbers(context, "dirid")) {
        if (chosen.jobIds !== undefined) throw new BackupError("USAGE", OLDER);
        const path = await pathOf(context, cache, { id, jobs });
        items.push({ path: path ?? "/", recursive: true });
      }
      if (items.length === 0) throw new BackupError("USAGE", "nothing to restore: give fileid= or dirid=");
      cache.saveList(ownName(context, name), { jobIds: chosen.jobIds ?? idsOf(jobs), items });
    });
    await context.say("OK");
  },
};

const OLDER =
  "older versions of files go into a list of their own, without directories, and one for each JobId that they come from";

export const cleanup: Command = {
  name: ".bvfs_cleanup",
  summary: "Forgets what .bvfs_restore noted down",
  usage: [".bvfs_cleanup path=b2NAME"],
  keywords: ["path="],
  async run(context) {
    const name = ownName(context, listName(context));
    await inCache(context, async (cache) => cache.dropList(name));
  },
};

export const clearCache: Command = {
  name: ".bvfs_clear_cache",
  summary: "Forgets all numbers of directories and names that were shown",
  usage: [".bvfs_clear_cache yes"],
  keywords: ["yes"],
  async run(context) {
    if (!context.args.has("yes")) return void (await context.fail("Can't find 'yes' argument"));
    if (!context.acl.grantsAll("directory"))
      throw new BackupError("NOT_ALLOWED", "it is the cache of all consoles");
    await inCache(context, async (cache) => cache.clear());
    await context.say("OK");
  },
};

/** The list that one of these values names, as `?b2NAME` or `?JOBID:b2NAME`. */
export function listNamed(values: readonly string[]): string | undefined {
  return values.map((value) => /^\?(?:[\d,]+:)?(b2[\w.-]{0,100})$/.exec(value)?.[1]).find(Boolean);
}

/** What `restore file=?NAME` draws from. */
export async function byRestoreList(context: CommandContext, name: string): Promise<Choice> {
  const list = await inCache(context, async (cache) => cache.list(ownName(context, name)));
  if (list === undefined)
    return await context.fail(`There is no restore list ${name}: make it with .bvfs_restore`);
  const typed = (recursive: boolean) =>
    list.items.filter((item) => item.recursive === recursive).map(({ path }) => displayPath(path));
  return await byIds(context, list.jobIds.join(","), { files: typed(false), directories: typed(true) });
}

function inCache<T>(context: CommandContext, work: (cache: BvfsCache) => Promise<T>): Promise<T> {
  return withCache(context, work);
}

/** Lists of one console are not those of another. */
function ownName(context: CommandContext, name: string): string {
  return `${context.console} ${name}`;
}

function listName(context: CommandContext): string {
  const name = context.args.value("path") ?? "";
  if (!/^b2[\w.-]{0,100}$/.test(name))
    throw new BackupError("USAGE", "path= must be a name that begins with b2, as in path=b220001");
  return name;
}

function numbers(context: CommandContext, keyword: string): string[] {
  const list = context.args.values(keyword).flatMap((text) => text.split(","));
  const found = list.map((text) => text.trim()).filter((text) => text !== "");
  if (found.length > MAX_RULES)
    throw new BackupError("USAGE", `more than ${MAX_RULES} numbers: restore whole directories instead`);
  return found;
}

/** Pairs of JobId and FileIndex. */
function linkPlaces(context: CommandContext): FilePlace[] {
  const list = numbers(context, "hardlink").map(Number);
  if (list.length % 2 !== 0 || !list.every((each) => Number.isSafeInteger(each) && each > 0))
    throw new BackupError("USAGE", "hardlink= must be pairs of JobId and FileIndex");
  return list.flatMap((jobId, at) => (at % 2 === 0 ? [{ jobId, row: list[at + 1]!, turn: -1 }] : []));
}

/**
 * Paths of the files. Where the runs show another version of one, all must come from one run, which is then what is
 * restored from.
 */
async function chosenFiles(
  context: CommandContext,
  jobs: readonly StoredJob[],
  places: readonly FilePlace[],
): Promise<{ items: string[]; jobIds: number[] | undefined }> {
  const items: string[] = [];
  let older = false;
  const choice: Choice = { storage: jobs[0]!.storage, client: "", jobs: [...jobs], names: undefined };
  const view = await viewOf(context, choice);
  for (const place of places) {
    const entry = await entryAt(context, place);
    const path = fromWire(entry.path);
    items.push(entry.type === "directory" && path !== "/" ? `${path}/` : path);
    const shown = (await view.lookup(path))?.entry;
    older ||= shown?.jobId !== entry.jobId;
  }
  if (!older) return { items, jobIds: undefined };
  const from = new Set(places.map(({ jobId }) => jobId));
  if (from.size > 1) throw new BackupError("USAGE", OLDER);
  return { items, jobIds: [...from] };
}

/** The row that a FileId names. @throws BackupError NOT_FOUND when its list is not what it was */
async function entryAt(context: CommandContext, place: FilePlace): Promise<Entry__Output> {
  const job = await catalogJob(context, place.jobId);
  const caller = await callStorage(context, job.storage);
  const request = { jobIds: [place.jobId], ownRows: true, numbered: true, fromRow: place.row, limit: 1 };
  const pages = caller.stream<EntryPage__Output>("Storaged", "ListEntries", request, {
    signal: context.signal,
  });
  for await (const { entries } of pages)
    for (const entry of entries) {
      if (entry.row > place.row) throw gone(place);
      if (entry.row === place.row && (place.turn < 0 || fileId(entry) === fileId(place))) return entry;
    }
  throw gone(place);
}

function gone(place: FilePlace): BackupError {
  const text = `FileId ${fileId(place)} is not in the list of JobId ${place.jobId} any more: look again`;
  return new BackupError("NOT_FOUND", text);
}
