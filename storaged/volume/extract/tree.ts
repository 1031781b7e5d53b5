/**
 * The state that a job found, put together from the manifests of the job and of what it lies over, in path order.
 * Streams: memory is one frame for each list.
 */
import { BackupError } from "../../../common/errors.js";
import { parseMemberName } from "../../../common/format/member.js";
import { isBelow } from "../../../common/format/path.js";
import { EntryType, type Row } from "../../../common/format/row.js";
import { GarbledInput } from "../../../common/format/varint.js";
import { plainName } from "../frame-check.js";
import { uuidBytes } from "../json.js";
import { type ManifestItem, ManifestParser } from "../manifest-parse.js";
import { manifestRevision } from "../records.js";
import { walkMember } from "../tar-walk.js";
import type { Contents } from "./contents.js";
import type { ListRecord, Survey } from "./survey.js";

/** Frames of lists in memory, one of each: some thousand lists of usual frames. */
const MAX_HELD_BYTES = 2 * 1024 * 1024 * 1024;
const STEP_BYTES = 64 * 1024;

/** An entry; `parts` gives its encoded parts and is to be read, if at all, before the next entry is asked for. */
export interface TreeEntry {
  row: Row;
  parts: AsyncIterable<Buffer>;
}

/** The lists that make up a state, topmost first. */
export interface TreeLayers {
  layers: ListRecord[];
  /** UUIDs of jobs that belong to it and whose lists are on none of the volumes. */
  missing: string[];
}

/** Which lists the state of a job consists of (docs/volume-format.md, section 6). */
export function layersOf(job: ListRecord, survey: Survey): TreeLayers {
  const layers = [job];
  const seen = new Set([job.jobUuid]);
  const missing: string[] = [];
  let last = job;
  for (let parent = job.parents.at(-1); parent !== undefined; parent = last.parents.at(-1)) {
    const end = survey.jobOrCopy(parent);
    // One that was met before: lists that lie over themselves.
    if (end === undefined || seen.has(end.jobUuid)) {
      missing.push(parent);
      return { layers, missing };
    }
    seen.add(end.jobUuid);
    layers.push(end);
    last = end;
  }
  for (const base of last.bases) {
    const end = survey.jobOrCopy(base);
    if (end === undefined || seen.has(end.jobUuid)) missing.push(base);
    else {
      seen.add(end.jobUuid);
      layers.push(end);
    }
  }
  return { layers, missing };
}

/** Entries of the state, without deletions. @throws BackupError LIST_DAMAGED when a list cannot be read */
export async function* treeOf(
  contents: Contents,
  layers: readonly ListRecord[],
): AsyncGenerator<TreeEntry, void, undefined> {
  const cursors: ListCursor[] = [];
  const memory = { held: 0 };
  for (const end of layers) cursors.push(await ListCursor.open(contents, end, memory));
  /** Nested paths that are no directories in some list: what lies below them counts in higher lists only. */
  let hides: { key: string; layer: number }[] = [];
  for (;;) {
    let top = -1;
    for (const [layer, { row }] of cursors.entries())
      if (row !== undefined && (top < 0 || row.key < cursors[top]!.row!.key)) top = layer;
    if (top < 0) return;
    const row = cursors[top]!.row!;
    hides = hides.filter((hide) => isBelow(hide.key, row.key));
    const limit = hides.at(-1)?.layer ?? cursors.length;
    const same = cursors.map((cursor, layer) => (cursor.row?.key === row.key ? layer : -1));
    const hider = same.find((layer) => layer >= 0 && cursors[layer]!.row!.type !== EntryType.directory);
    if (hider !== undefined) hides.push({ key: row.key, layer: Math.min(limit, hider) });
    if (top <= limit && row.type !== EntryType.deleted) yield { row, parts: cursors[top]!.parts() };
    for (const layer of same) if (layer >= 0) await cursors[layer]!.advance();
  }
}

/** One manifest, row by row. */
class ListCursor {
  row: Row | undefined;
  readonly #items: AsyncGenerator<ManifestItem, void, undefined>;
  #next: ManifestItem | undefined;

  private constructor(items: AsyncGenerator<ManifestItem, void, undefined>) {
    this.#items = items;
  }

  static async open(contents: Contents, end: ListRecord, memory: { held: number }): Promise<ListCursor> {
    const cursor = new ListCursor(manifestItems(contents, end, memory));
    await cursor.#step();
    await cursor.advance();
    return cursor;
  }

  /** Goes to the next row, passing over parts that were not read. */
  async advance(): Promise<void> {
    while (this.#next !== undefined && this.#next.type !== "row") await this.#step();
    this.row = this.#next?.type === "row" ? this.#next.row : undefined;
    await this.#step();
  }

  async *parts(): AsyncGenerator<Buffer, void, undefined> {
    while (this.#next?.type === "parts") {
      yield this.#next.parts;
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    const { done, value } = await this.#items.next();
    this.#next = done === true ? undefined : value;
  }
}

/** `memory.held`: bytes of the frames that all lists hold. */
async function* manifestItems(
  contents: Contents,
  end: ListRecord,
  memory: { held: number },
): AsyncGenerator<ManifestItem, void, undefined> {
  const parser = new ManifestParser();
  try {
    for (const sequence of contents.closingFrames(end)) {
      const raw = await contents.closing(uuidBytes(end.jobUuid), sequence);
      // A closing frame without a piece of the manifest is no loss here; a missing piece shows in the manifest.
      if (raw === undefined) continue;
      memory.held += raw.length;
      if (memory.held > MAX_HELD_BYTES) throw new GarbledInput("too many lists lie over each other");
      for (const piece of piecesIn(raw, end))
        for (const item of parser.push(piece)) yield checkedItem(item, end);
      memory.held -= raw.length;
    }
    parser.finish();
  } catch (error) {
    if (!(error instanceof GarbledInput)) throw error;
    throw new BackupError(
      "LIST_DAMAGED",
      `the list of job ${end.jobId} (${end.jobUuid}) is damaged or not on these volumes: ${error.message}`,
    );
  }
}

function checkedItem(item: ManifestItem, end: ListRecord): ManifestItem {
  if (item.type === "head" && item.facts.get("uuid") !== end.jobUuid)
    throw new GarbledInput("the manifest is another job's");
  if (item.type === "end" && item.rows !== end.rows)
    throw new GarbledInput("the manifest has another number of rows than the job");
  return item;
}

/** Pieces of the manifest in a closing frame. */
function* piecesIn(raw: Buffer, end: ListRecord): Generator<Buffer, void> {
  for (let at = 0; at < raw.length; ) {
    const member = walkMember(raw, at);
    at = member.end;
    if (member.size === 0) continue;
    const name = parseMemberName(end.jobId, plainName(member));
    if (name.kind !== "manifest" || name.revision !== manifestRevision(end)) continue;
    // In short steps: the parser makes text of each, and there may be many lists.
    for (let from = member.dataAt; from < member.dataAt + member.size; from += STEP_BYTES)
      yield raw.subarray(from, Math.min(from + STEP_BYTES, member.dataAt + member.size));
  }
}
