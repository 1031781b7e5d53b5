/**
 * Walks a FileSet beside a list from the catalog and tells where the machine differs from it (DiskToCatalog,
 * Catalog), or sends what it sees as a new list (InitCatalog). Nothing else is sent and nothing is changed. Memory: as
 * the walk's, and a bounded number of missing paths.
 */
import { setImmediate as turn } from "node:timers/promises";
import { codeOf } from "../../common/errors.js";
import { DIGEST_BYTES } from "../../common/format/content.js";
import { displayPath, isBelow, isWithin, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import {
  contentDifference,
  rowDifferences,
  type VerifyLetters,
} from "../../common/format/row-differences.js";
import type { BackupTotals } from "../../proto/data/backup.js";
import type { Packer } from "../match/content-flow.js";
import { Emitter, type Slot } from "../match/emitter.js";
import { isReadFifo, rowOfEntry, stateOf } from "../match/entry-row.js";
import type { ListReader } from "../match/list-reader.js";
import { Parents } from "../match/parents.js";
import type { Tally } from "../match/tally.js";
import { imageTask, type PackResult } from "../pack/task.js";
import { type WalkEntry, WalkEvent } from "../walk/event.js";
import type { Walker } from "../walk/walker.js";

export interface ComparerOptions {
  walker: Walker;
  /** What to compare with; undefined: what the walk sees is sent as a list instead. */
  list: ListReader | undefined;
  packer: Packer;
  sendRows: (block: Buffer) => Promise<void>;
  sendState: (block: Buffer) => Promise<void>;
  tally: Tally;
  signal: AbortSignal;
}

const ENTRIES_PER_TURN = 64;
/** Missing entries named at the end; the rest are counted. */
const MAX_MISSING = 1000;
/** A row names some content, known or not. */
const UNREAD = Buffer.alloc(DIGEST_BYTES);

export class Comparer {
  /** Key of the entry at hand, for progress. */
  path = "";
  readonly #options: ComparerOptions;
  readonly #totals: BackupTotals & { differences: number };
  readonly #parents: Parents;
  readonly #emitter: Emitter;
  readonly #missing: string[] = [];
  #missingCount = 0;
  /** Place that could not be looked at, and whether it itself could not. */
  #unread: { key: string; self: boolean } | undefined;
  #failure: { error: unknown } | undefined;

  constructor(options: ComparerOptions) {
    this.#options = options;
    const { totals } = options.tally;
    totals.differences = 0;
    this.#totals = totals as BackupTotals & { differences: number };
    this.#parents = new Parents({ parent: options.list, bases: [], ownIsParent: false });
    this.#emitter = new Emitter(options);
  }

  /** @throws BackupError when the walk cannot be made; what sending threw */
  async run(): Promise<void> {
    const { walker, signal, packer } = this.#options;
    try {
      walker.checkRoots();
      for (let seen = 1; ; seen++) {
        const event = walker.next();
        if (event === WalkEvent.done) break;
        await this.#handle(event);
        if (seen % ENTRIES_PER_TURN === 0) await turn();
        signal.throwIfAborted();
      }
      walker.checkRootsAgain();
      await this.#seek(undefined);
      await packer.flush();
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#emitter.finish();
      this.#tellMissing();
    } finally {
      walker.close();
    }
  }

  async #handle(event: WalkEvent): Promise<void> {
    const { walker } = this.#options;
    if (event === WalkEvent.entry) return this.#entry(walker.entry);
    if (event === WalkEvent.emptyRoot) return;
    await this.#seek(walker.key);
    if (event === WalkEvent.through) this.#parents.pass(walker.key);
    else if (this.#unread === undefined || !isBelow(this.#unread.key, walker.key)) {
      this.#unread = { key: walker.key, self: event === WalkEvent.unread };
    }
  }

  async #seek(key: string | undefined): Promise<void> {
    while (!this.#parents.seek(key, this.#absent)) await this.#parents.arrival();
  }

  readonly #absent = (key: string): void => {
    const unread = this.#unread;
    // Told as unreadable already: whether it is missing nobody can say.
    if (unread !== undefined && isWithin(unread.key, key) && (key !== unread.key || unread.self)) return;
    this.#totals.differences++;
    this.#missingCount++;
    if (this.#missing.length < MAX_MISSING) this.#missing.push(key);
  };

  async #entry(entry: WalkEntry): Promise<void> {
    const { key, stat } = entry;
    this.path = key;
    this.#totals.examined++;
    await this.#seek(key);
    const before = this.#parents.effectiveAt(key);
    // The list's reader goes on with this row's fields.
    const cat = before === undefined ? undefined : { ...before };
    this.#parents.pass(key);
    let row: Row;
    try {
      const known = cat !== undefined && stat.type !== EntryType.symlink ? cat : undefined;
      row = rowOfEntry(entry, known, (text) => this.#options.tally.report("warning", text));
    } catch (error) {
      if (codeOf(error) !== "ENOENT" && codeOf(error) !== "EINVAL") throw error;
      return;
    }
    row.state = stateOf(stat);
    // To read it would take what is meant for somebody else.
    if (isReadFifo(entry) && cat !== undefined) row.size = cat.size;
    if (entry.image?.isDevice === true && cat !== undefined) {
      // It has no time of its own.
      row.mtimeSec = cat.mtimeSec;
      row.mtimeNsec = cat.mtimeNsec;
    }
    if (this.#options.list === undefined) await this.#record(entry, row);
    else if (cat === undefined) this.#differ(`New file: ${shown(key)}`);
    else await this.#compare(entry, cat, row);
  }

  async #compare(entry: WalkEntry, cat: Row, row: Row): Promise<void> {
    const letters = entry.options.verify;
    const lines = rowDifferences(cat, row, letters);
    if (!this.#isToRead(row, letters) || cat.type !== EntryType.file || cat.content === undefined) {
      if (lines.length > 0) this.#differ(`File: ${shown(row.key)}`, lines);
      return;
    }
    // Another length is another content; a catalog made without digests cannot tell.
    if (cat.size !== row.size || cat.content.equals(UNREAD)) {
      if (cat.size !== row.size && !letters.size) lines.push(contentDifference(cat.content, undefined));
      if (lines.length > 0) this.#differ(`File: ${shown(row.key)}`, lines);
      return;
    }
    const { content } = cat;
    await this.#read(entry, row, (result) => {
      if (result.kind === "ok" && result.content?.equals(content) !== true)
        lines.push(contentDifference(content, result.content));
      if (lines.length > 0) this.#differ(`File: ${shown(row.key)}`, lines);
    });
  }

  #isToRead(row: Row, letters: VerifyLetters): boolean {
    return letters.content && row.type === EntryType.file && row.size > 0 && (row.flags & RowFlag.fifo) === 0;
  }

  async #record(entry: WalkEntry, row: Row): Promise<void> {
    const { state } = row;
    row.state = undefined;
    this.#totals.files++;
    this.#totals.bytes += row.size;
    if (row.type === EntryType.file && row.size > 0) row.content = UNREAD;
    if (!this.#isToRead(row, entry.options.verify)) {
      this.#emitter.emit(row.key, row, state);
    } else {
      const slot: Slot = this.#emitter.reserve(row.key);
      await this.#read(entry, row, (result) => {
        if (result.kind === "ok") {
          row.size = result.size;
          row.content = result.content;
          if (result.parts) row.flags |= RowFlag.parts;
        }
        this.#emitter.fill(slot, result.kind === "vanished" ? undefined : row, state);
      });
    }
    await this.#emitter.room();
  }

  /** Reads a file for its digest only; resolves when the reader took it. */
  #read(entry: WalkEntry, row: Row, done: (result: PackResult) => void): Promise<void> {
    const { dir, name, stat } = entry;
    const { tally, packer } = this.#options;
    const { size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, inode, blocks } = stat;
    const onDone = (result: PackResult): void => {
      tally.totals.bytesRead += result.bytesRead;
      if (result.kind === "failed")
        tally.report(
          "notsaved",
          `Could not read "${shown(row.key)}": ERR=${result.error ?? "unknown error"}`,
        );
      try {
        done(result);
      } catch (error) {
        this.#failure ??= { error };
      }
    };
    const identity = { size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, inode };
    const image = imageTask(entry.image, entry.options);
    const onNote = (text: string): void => tally.report("info", `"${shown(row.key)}": ${text}`);
    const file = { key: row.key, row, blocks, dir, name, identity, image };
    return packer.submit({ ...file, compression: "none", onNote, onDone });
  }

  #differ(head: string, lines: readonly string[] = []): void {
    this.#totals.differences++;
    for (const line of [head, ...lines]) this.#options.tally.report("info", line);
  }

  #tellMissing(): void {
    if (this.#missingCount === 0) return;
    const { tally } = this.#options;
    tally.report("info", "The following files are missing:");
    for (const key of this.#missing) tally.report("info", `      ${shown(key)}`);
    const more = this.#missingCount - this.#missing.length;
    if (more > 0) tally.report("info", `      and ${more} more`);
  }
}

function shown(key: string): string {
  return displayPath(keyToPath(key));
}
