/** The files of a restore as a tree that lives in the storage daemon: every look asks for one directory. */
import type { Entry__Output } from "../../proto/generated/basalt/v1/Entry.js";
import type { EntryPage__Output } from "../../proto/generated/basalt/v1/EntryPage.js";
import type { ListEntriesRequest } from "../../proto/generated/basalt/v1/ListEntriesRequest.js";
import type { SelectionCount__Output } from "../../proto/generated/basalt/v1/SelectionCount.js";
import { fromWire, joinPath, splitPath, toWire } from "./names.js";
import type { DaemonCaller } from "./port.js";
import { type MarkRule, rulesToWire } from "./tree-marks.js";

/** An entry of a directory. The root has no record. */
export interface TreeNode {
  /** latin1 carrier */
  path: string;
  name: string;
  directory: boolean;
  entry: Entry__Output | undefined;
}

/** No name has more bytes. */
const LAST_NAME = "\xff".repeat(255);
/** Counting walks the whole list in the storage daemon. */
const COUNT_TIMEOUT_MS = 600_000;

export class TreeView {
  readonly #caller: DaemonCaller;
  readonly #jobIds: number[];
  readonly #ownRows: boolean;
  readonly #signal: AbortSignal;

  /** `ownRows`: a single run's own entries instead of all that it builds on. */
  constructor(caller: DaemonCaller, jobIds: number[], ownRows: boolean, signal: AbortSignal) {
    this.#caller = caller;
    this.#jobIds = jobIds;
    this.#ownRows = ownRows;
    this.#signal = signal;
  }

  /** Entries, directories included, that the rules select, and how many there are in all. */
  count(rules: readonly MarkRule[]): Promise<SelectionCount__Output> {
    const request = { jobIds: this.#jobIds, rules: rulesToWire(rules) };
    return this.#caller.unary<SelectionCount__Output>("Storaged", "CountSelection", request, {
      timeoutMs: COUNT_TIMEOUT_MS,
      signal: this.#signal,
    });
  }

  /** Entries at or below a directory, in path order. */
  async *below(directory: string, more: Partial<ListEntriesRequest> = {}): AsyncGenerator<Entry__Output> {
    const request: ListEntriesRequest = {
      jobIds: this.#jobIds,
      ownRows: this.#ownRows,
      directory: toWire(directory),
      ...more,
    };
    const pages = this.#caller.stream<EntryPage__Output>("Storaged", "ListEntries", request, {
      signal: this.#signal,
    });
    for await (const page of pages) yield* page.entries;
  }

  /** What lies directly in a directory, directories included that are only on the way to something. */
  async *children(directory: string): AsyncGenerator<TreeNode> {
    for await (const entry of this.below(directory, { children: true })) yield nodeOf(entry);
  }

  /** The entry with this path. */
  async lookup(path: string): Promise<TreeNode | undefined> {
    if (path === "/") return { path, name: "", directory: true, entry: undefined };
    const entry = await this.#record(path);
    return entry === undefined ? undefined : nodeOf(entry);
  }

  /** The record of one path: the child of its directory that follows the greatest lesser name. */
  async #record(path: string): Promise<Entry__Output | undefined> {
    const { directory, name } = splitPath(path);
    const last = name.charCodeAt(name.length - 1);
    const lesser =
      last > 1 ? name.slice(0, -1) + String.fromCharCode(last - 1) + LAST_NAME : name.slice(0, -1);
    const after = joinPath(directory, lesser);
    for await (const entry of this.below(directory, { children: true, after: toWire(after), limit: 1 })) {
      return fromWire(entry.path) === path ? entry : undefined;
    }
    return undefined;
  }
}

function nodeOf(entry: Entry__Output): TreeNode {
  const path = fromWire(entry.path);
  return { path, name: splitPath(path).name, directory: entry.type === "directory", entry };
}
