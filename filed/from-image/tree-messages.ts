/**
 * A mounted tree as the stream of a restore: the same messages in the same order as a storage daemon sends them, so that the
 * same code writes the files. The tree is walked twice, for what has no content and for what has; nothing in it changes.
 */
import { join } from "node:path";
import { describeError } from "../../common/errors.js";
import { ZERO_DIGEST } from "../../common/format/content.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { encodeBlock, encodeJson, type JobMessage } from "../../proto/data/backup.js";
import { type RestoreEnd, RestoreKind } from "../../proto/data/restore.js";
import { rowOfEntry } from "../match/entry-row.js";
import { LinkTable } from "../match/link-table.js";
import { WalkEvent } from "../walk/event.js";
import type { WalkRoot } from "../walk/file-set.js";
import { Walker } from "../walk/walker.js";
import { ContentMessages } from "./content-messages.js";
import { Spool } from "./spool.js";

/** Rows on their way to list blocks. */
class Rows {
  readonly #writer = new BlockWriter({ state: false });
  readonly #give: (block: Buffer) => void;

  constructor(give: (block: Buffer) => void) {
    this.#give = give;
  }

  add(row: Row): void {
    this.#writer.add(row);
    if (this.#writer.full) this.flush();
  }

  flush(): void {
    if (this.#writer.rows > 0) this.#give(this.#writer.finish());
  }
}

export class TreeMessages {
  readonly #roots: readonly WalkRoot[];
  readonly #folders: Spool;
  readonly #finish: Spool;
  readonly #links: Spool;
  readonly #end: RestoreEnd = { files: 0, bytes: 0, failed: 0 };
  /** Messages that the walk's own calls gave rise to. */
  #waiting: Buffer[] = [];

  /** `scratch`: a directory that the caller removes. @throws the system's error */
  constructor(roots: readonly WalkRoot[], scratch: string) {
    this.#roots = roots;
    this.#folders = new Spool(join(scratch, "folders"));
    this.#finish = new Spool(join(scratch, "finish"));
    this.#links = new Spool(join(scratch, "links"));
  }

  /** All messages up to `end`. `failed` more entries were asked for that are not there. @throws BackupError, SysError */
  *messages(failed: number): Generator<Buffer> {
    this.#end.failed = failed;
    try {
      yield* this.#withoutContent();
      yield* this.#withContent();
      for (const block of this.#finish.blocks("first")) yield encodeBlock(RestoreKind.finish, block);
      for (const block of this.#links.blocks("first")) yield encodeBlock(RestoreKind.links, block);
      for (const block of this.#folders.blocks("last")) yield encodeBlock(RestoreKind.folders, block);
      yield encodeJson(RestoreKind.end, this.#end);
    } finally {
      for (const spool of [this.#folders, this.#finish, this.#links]) spool.close();
    }
  }

  *#withoutContent(): Generator<Buffer> {
    const make = new Rows((block) => this.#waiting.push(encodeBlock(RestoreKind.make, block)));
    const folders = new Rows((block) => this.#folders.add(block));
    const links = new Rows((block) => this.#links.add(block));
    const table = new LinkTable();
    for (const walker of this.#walk(true)) {
      const { stat } = walker.entry;
      if (stat.type === EntryType.file && stat.size > 0) continue;
      const row = this.#row(walker, true);
      if (row === undefined) continue;
      this.#end.files++;
      if (row.type === EntryType.directory) folders.add(row);
      (this.#isFurtherName(table, walker, row) ? links : make).add(row);
      yield* this.#taken();
    }
    for (const rows of [make, folders, links]) rows.flush();
    yield* this.#taken();
  }

  *#withContent(): Generator<Buffer> {
    const finish = new Rows((block) => this.#finish.add(block));
    const links = new Rows((block) => this.#links.add(block));
    const table = new LinkTable();
    const contents = new ContentMessages();
    for (const walker of this.#walk(false)) {
      const { entry } = walker;
      if (entry.stat.type !== EntryType.file || entry.stat.size === 0) continue;
      const row = this.#row(walker, false);
      if (row === undefined) continue;
      this.#end.files++;
      if (this.#isFurtherName(table, walker, row)) {
        // Of a link nobody reads it.
        row.content = ZERO_DIGEST;
        links.add(row);
        continue;
      }
      this.#end.bytes += row.size;
      try {
        yield* contents.add(entry, row);
      } catch (error) {
        this.#lose(entry.key, describeError(error));
      }
      if ((row.flags & RowFlag.parts) !== 0) finish.add(row);
      yield* this.#taken();
    }
    yield* contents.flush();
    for (const rows of [finish, links]) rows.flush();
  }

  /** The walker at every entry. What the walk reports is told once, the first time. */
  *#walk(first: boolean): Generator<Walker> {
    const report = (type: JobMessage["type"], text: string): void => {
      if (!first) return;
      if (type === "notsaved") this.#end.failed++;
      this.#tell(type === "notsaved" ? "error" : type, text);
    };
    const fileSet = { name: "disk images", roots: [], images: [], lists: [], remarks: [] };
    const walker = new Walker({ fileSet, listed: this.#roots.values(), report });
    try {
      walker.checkRoots();
      for (let event = walker.next(); event !== WalkEvent.done; event = walker.next())
        if (event === WalkEvent.entry) yield walker;
      if (first && walker.sockets > 0) this.#tell("info", `${walker.sockets} sockets are left out`);
    } finally {
      walker.close();
    }
  }

  #row({ entry }: Walker, tell: boolean): Row | undefined {
    try {
      // Whoever made the file system may have written any number.
      if (!Number.isSafeInteger(entry.stat.size)) throw new Error(`its length is ${entry.stat.size} bytes`);
      return rowOfEntry(entry, undefined, (text) => this.#tell("warning", text));
    } catch (error) {
      if (tell) this.#lose(entry.key, describeError(error));
      return undefined;
    }
  }

  /** True when it is another name of an entry that was met; the first name leads the group. */
  #isFurtherName(table: LinkTable, { entry }: Walker, row: Row): boolean {
    if (row.type === EntryType.directory || entry.stat.links < 2) return false;
    const group = table.see(entry.key, entry.stat);
    if (group === undefined) return false;
    row.group = group.first;
    return group.first !== entry.key;
  }

  #lose(key: string, why: string): void {
    this.#end.failed++;
    this.#tell("error", `Cannot read ${displayPath(keyToPath(key))} in the disk images: ${why}`);
  }

  #tell(type: JobMessage["type"], text: string): void {
    this.#waiting.push(encodeJson(RestoreKind.message, { type, text }));
  }

  *#taken(): Generator<Buffer> {
    const waiting = this.#waiting;
    this.#waiting = [];
    yield* waiting;
  }
}
