/** Lists of files from a storage daemon as a console with DirectoryACL and UserIdACL may see them. */

import { BackupError } from "../../../common/errors.js";
import { isWithin, pathToKey } from "../../../common/format/path.js";
import type { Entry__Output } from "../../../proto/generated/basalt/v1/Entry.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import type { ListEntriesRequest } from "../../../proto/generated/basalt/v1/ListEntriesRequest.js";
import type { SelectionRule } from "../../../proto/generated/basalt/v1/SelectionRule.js";
import { fromWire, splitPath, toWire } from "../names.js";
import type { CallOptions, DaemonCaller } from "../port.js";
import { MAX_RULES } from "../tree-marks.js";
import { TreeView } from "../tree-view.js";
import { type EntryGate, type GateEntry, GateWalk } from "./gate.js";

/** Ways that are remembered; beyond it they are looked up again. */
const MAX_WAYS = 10_000;

/** Files of some runs, seen through a gate. Jobs must have been checked. */
export class GatedEntries {
  readonly #gate: EntryGate;
  readonly #caller: DaemonCaller;
  readonly #signal: AbortSignal;
  /** By runs and directory: key of the closed directory on the way to it, undefined for none. */
  readonly #ways = new Map<string, string | undefined>();

  constructor(gate: EntryGate, caller: DaemonCaller, signal: AbortSignal) {
    this.#gate = gate;
    this.#caller = caller;
    this.#signal = signal;
  }

  /** ListEntries: what may be restored, and with `children` also directories on the way to it. */
  async *list(request: ListEntriesRequest, options: CallOptions = {}): AsyncGenerator<EntryPage__Output> {
    const directory = request.directory === undefined ? "/" : fromWire(request.directory as Uint8Array);
    const walk = new GateWalk(this.#gate, await this.#closedWay(request.jobIds ?? [], directory));
    let left = Number(request.limit ?? 0) > 0 ? Number(request.limit) : Number.POSITIVE_INFINITY;
    const all = this.#caller.stream<EntryPage__Output>(
      "Storaged",
      "ListEntries",
      { ...request, limit: 0 },
      options,
    );
    for await (const page of all) {
      const entries = page.entries.filter((entry) => {
        const standing = walk.standing(gateEntry(entry));
        return standing === "open" || (standing === "way" && request.children === true);
      });
      if (entries.length > 0) yield { ...page, entries: entries.slice(0, left) };
      left -= entries.length;
      if (left <= 0) return;
    }
  }

  /** ListEntries from a row on, where the directories above it have not been seen. */
  async *listFrom(request: ListEntriesRequest, options: CallOptions = {}): AsyncGenerator<EntryPage__Output> {
    const all = this.#caller.stream<EntryPage__Output>("Storaged", "ListEntries", request, options);
    for await (const page of all) {
      const entries: Entry__Output[] = [];
      for (const entry of page.entries) if (await this.#isOpen(entry)) entries.push(entry);
      if (entries.length > 0) yield { ...page, entries };
    }
  }

  /** FindEntries: of each run's files those that may be restored. */
  async *find(
    request: object,
    options: CallOptions,
    jobs: ReadonlySet<number>,
  ): AsyncGenerator<EntryPage__Output> {
    const found = this.#caller.stream<EntryPage__Output>("Storaged", "FindEntries", request, options);
    for await (const page of found) {
      const entries: Entry__Output[] = [];
      for (const entry of page.entries)
        if (jobs.has(entry.jobId) && (await this.#isOpen(entry))) entries.push(entry);
      if (entries.length > 0) yield { ...page, entries };
    }
  }

  /** CountSelection over what may be restored. */
  async count(jobIds: readonly number[], rules: readonly SelectionRule[]) {
    const sum = { files: 0, bytes: 0, total: 0 };
    for await (const page of this.list(
      { jobIds: [...jobIds], rules: [...rules] },
      { signal: this.#signal },
    )) {
      for (const entry of page.entries) {
        sum.total += 1;
        if (!entry.marked) continue;
        sum.files += 1;
        sum.bytes += Number(entry.size);
      }
    }
    return sum;
  }

  /**
   * The rules, and after them one for each selected entry that may not be restored.
   * @throws BackupError NOT_ALLOWED when these are too many to be named one by one
   */
  async narrowed(jobIds: readonly number[], rules: readonly SelectionRule[]): Promise<SelectionRule[]> {
    const all = [...rules];
    const walk = new GateWalk(this.#gate);
    let skip: string | undefined;
    const request = { jobIds: [...jobIds], rules: [...rules], directory: toWire("/") };
    const pages = this.#caller.stream<EntryPage__Output>("Storaged", "ListEntries", request, {
      signal: this.#signal,
    });
    for await (const page of pages) {
      for (const entry of page.entries) {
        const path = fromWire(entry.path);
        const key = pathToKey(path);
        if (skip !== undefined && isWithin(skip, key)) continue;
        skip = undefined;
        const asked = gateEntry(entry);
        const standing = walk.standing(asked);
        if (standing === "open") continue;
        // A directory that nobody here gets into goes with all below.
        const whole =
          entry.type === "directory" && (!this.#gate.maySearch(asked) || !this.#gate.leadsOn(path));
        const recursive = whole && !this.#grantsBelow(path);
        if (recursive) skip = key;
        if (!recursive && !entry.marked) continue;
        all.push({ path: entry.path, include: false, recursive });
        if (all.length > MAX_RULES) throw tooMany();
      }
    }
    return all;
  }

  /** Whether something below a directory may be granted although the directory itself is not. */
  #grantsBelow(path: string): boolean {
    const probe = path === "/" ? "/x" : `${path}/x`;
    return this.#gate.grantsPlace(probe, false) || this.#gate.leadsOn(path);
  }

  async #isOpen(entry: Entry__Output): Promise<boolean> {
    const asked = gateEntry(entry);
    const closed = await this.#closedWay([entry.jobId], splitPath(asked.path).directory);
    return new GateWalk(this.#gate, closed).standing(asked) === "open";
  }

  /** Key of the first directory on the way to one, or itself, that is closed to everybody. */
  async #closedWay(jobIds: readonly number[], directory: string): Promise<string | undefined> {
    if (this.#gate.anyUser) return undefined;
    const known = `${jobIds.join()} ${directory}`;
    if (this.#ways.has(known)) return this.#ways.get(known);
    const above = directory === "/" ? undefined : splitPath(directory).directory;
    let closed = above === undefined ? undefined : await this.#closedWay(jobIds, above);
    if (closed === undefined) {
      const view = new TreeView(this.#caller, [...jobIds], false, this.#signal);
      const node = await view.lookup(directory);
      if (node?.entry !== undefined && !this.#gate.maySearch(gateEntry(node.entry)))
        closed = pathToKey(directory);
    }
    if (this.#ways.size >= MAX_WAYS) this.#ways.clear();
    this.#ways.set(known, closed);
    return closed;
  }
}

export function gateEntry(entry: {
  path: Buffer;
  type: string;
  mode: number;
  uid: number;
  gid: number;
}): GateEntry {
  const { type, mode, uid, gid } = entry;
  return { path: fromWire(entry.path), type, mode, uid, gid };
}

function tooMany(): BackupError {
  const message = `more than ${MAX_RULES} of the selected files are out of this console's reach; select less`;
  return new BackupError("NOT_ALLOWED", message);
}
