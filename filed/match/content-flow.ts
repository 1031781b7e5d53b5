/**
 * From an entry to its row: content that is vouched for is claimed, everything else is read, the further names of a
 * hard-linked file wait for the first one. Each entry ends in exactly one `settle`, `keep` or `gone`.
 */
import { displayPath, keyToPath } from "../../common/format/path.js";
import {
  type EntryState,
  EntryType,
  emptyRow,
  type Row,
  RowFlag,
  sameContent,
  sameRow,
} from "../../common/format/row.js";
import type { ImageEntry } from "../image/image-root.js";
import { type FileIdentity, imageTask, type PackResult, type PackTask } from "../pack/task.js";
import type { DirectoryHandle } from "../sys/stat.js";
import type { EntryOptions } from "../walk/file-set.js";
import type { ClaimBatch } from "./claims.js";
import type { Emitter, Slot } from "./emitter.js";
import type { HeldDirectories } from "./held-directories.js";
import type { Likeness } from "./likeness.js";
import type { LinkContent, LinkGroup } from "./link-table.js";
import type { Tally } from "./tally.js";

/** The part of PackPool that is used here. */
export interface Packer {
  submit(task: PackTask): Promise<void>;
  flush(): Promise<void>;
}

/** One entry on its way to a row. */
export interface Work {
  row: Row;
  /** Undefined when the next run must not rely on it. */
  state: EntryState | undefined;
  /** What the job's effective list holds if no row is written. */
  effective: Row | undefined;
  own: Row | undefined;
  bases: readonly Row[];
  compared: Row | undefined;
  dir: DirectoryHandle;
  name: string;
  blocks: number;
  identity: FileIdentity;
  options: EntryOptions;
  image: ImageEntry | undefined;
  group: LinkGroup | undefined;
  /** Content that an unread match would have named: it is read to see whether that is true. */
  expected: Buffer | undefined;
  slot: Slot | undefined;
}

export interface ContentFlowOptions {
  packer: Packer;
  claims: ClaimBatch;
  emitter: Emitter;
  held: HeldDirectories;
  tally: Tally;
  /** Effective parent is the overlay of Bases: count what it saves. */
  overBases: boolean;
  /** Hears of every entry, when a Base is compared with the one before. */
  likeness: Likeness | undefined;
  onFailure: (error: unknown) => void;
}

export class ContentFlow {
  readonly #options: ContentFlowOptions;
  /** Works that wait for a claim, a read or another link. */
  open = 0;

  constructor(options: ContentFlowOptions) {
    this.#options = options;
  }

  /** The row is complete: written if it says anything new. */
  settle(work: Work): void {
    this.#write(work);
    this.#share(work);
  }

  #write(work: Work): void {
    const { row, effective } = work;
    const { emitter, tally, overBases, likeness } = this.#options;
    const { totals } = tally;
    if (work.group !== undefined) row.group = work.group.first;
    likeness?.met(row, work.compared);
    const same = effective !== undefined && sameRow(effective, row);
    if (!same) {
      totals.files++;
      totals.bytes += row.size;
    }
    if (overBases && row.type !== EntryType.directory && work.bases.some((base) => sameRow(base, row))) {
      totals.baseFiles++;
      totals.baseBytes += row.size;
    }
    const written = same ? undefined : row;
    if (work.slot === undefined) emitter.emit(row.key, written, work.state);
    else this.#fill(work, written, work.state);
  }

  /** Content known without reading, if storaged agrees that a row of this job may name it. */
  vouched(work: Work, voucher: Row): void {
    work.row.content = voucher.content;
    work.row.flags |= voucher.flags & RowFlag.parts;
    if (work.effective !== undefined && sameContent(work.effective, work.row)) {
      this.settle(work);
      return;
    }
    this.#suspend(work);
    this.#options.claims.ask(work.row.content!, (known) => {
      if (known) {
        this.settle(work);
        return;
      }
      work.row.content = undefined;
      work.row.flags &= ~RowFlag.parts;
      this.#submit(work).catch(this.#options.onFailure);
    });
  }

  /** Reads the file; resolves when the packer took it. */
  read(work: Work): Promise<void> {
    this.#suspend(work);
    return this.#submit(work);
  }

  /** A further name of a file whose content another name brings. */
  follow(work: Work, group: LinkGroup): void {
    const { content } = group;
    if (content !== undefined) {
      this.#take(work, content);
      return;
    }
    this.#suspend(work);
    group.wait({
      key: work.row.key,
      settle: (_, found) => this.#take(work, found),
      lead: () => this.#submit(work).catch(this.#options.onFailure),
    });
  }

  /** Could not be read: what the lists said stays, marked. */
  keep(work: Work): void {
    work.group?.giveUp();
    const before = [work.own, work.effective].find((row) => row?.type === EntryType.file);
    if (before === undefined) {
      this.#remove(work);
      return;
    }
    const { effective } = work;
    const row = keptRow(before, work.row.key, effective);
    if (row?.content === undefined || (effective !== undefined && sameContent(effective, row))) {
      this.#fill(work, row, undefined);
      return;
    }
    this.#options.claims.ask(row.content, (known) => {
      if (known) this.#fill(work, row, undefined);
      else this.#remove(work);
    });
  }

  /** Lets the rest of the link group use the content. */
  #share({ group, row }: Work): void {
    if (group === undefined || group.isKnown) return;
    group.succeed({ content: row.content, size: row.size, flags: row.flags & SHARED_FLAGS });
  }

  #take(work: Work, { content, size, flags }: LinkContent): void {
    const { row } = work;
    row.content = content;
    row.size = size;
    row.flags = flags;
    if ((flags & RowFlag.unstable) !== 0) work.state = undefined;
    this.#write(work);
  }

  /** Keeps the entry's place and its directory until its outcome is known. */
  #suspend(work: Work): void {
    if (work.slot !== undefined) return;
    work.slot = this.#options.emitter.reserve(work.row.key);
    this.#options.held.hold(work.dir);
    this.open++;
  }

  #fill(work: Work, row: Row | undefined, state: EntryState | undefined): void {
    this.#options.held.release(work.dir);
    this.open--;
    this.#options.emitter.fill(work.slot!, row, state);
  }

  #submit(work: Work): Promise<void> {
    const { row, blocks, dir, name, identity, options, image } = work;
    const onDone = (result: PackResult): void => {
      try {
        this.#onRead(work, result);
      } catch (error) {
        this.#options.onFailure(error);
      }
    };
    return this.#options.packer.submit({
      key: row.key,
      row,
      blocks,
      dir,
      name,
      identity,
      compression: options.compression,
      image: imageTask(image, options),
      isFifo: (row.flags & RowFlag.fifo) !== 0,
      onNote: (text) => this.#options.tally.report("info", `"${pathOf(work)}": ${text}`),
      onDone,
    });
  }

  #onRead(work: Work, result: PackResult): void {
    const { tally } = this.#options;
    tally.totals.bytesRead += result.bytesRead;
    if (result.kind === "ok") {
      this.#accept(work, result);
    } else if (result.kind === "vanished") {
      tally.report("warning", `"${pathOf(work)}" vanished before it could be read`);
      work.group?.giveUp();
      this.#remove(work);
    } else {
      tally.report("notsaved", `Could not read "${pathOf(work)}": ERR=${result.error ?? "unknown error"}`);
      this.keep(work);
    }
  }

  #accept(work: Work, result: PackResult): void {
    const { tally } = this.#options;
    const { row } = work;
    row.size = result.size;
    row.content = result.size > 0 ? result.content : undefined;
    if (result.parts) row.flags |= RowFlag.parts;
    if (result.unstable) {
      row.flags |= RowFlag.unstable;
      work.state = undefined;
      tally.report(
        "warning",
        `"${pathOf(work)}" changed while it was read; stored as read, to be read again next time`,
      );
    } else if (work.expected !== undefined && row.content?.equals(work.expected) !== true) {
      tally.report(
        "warning",
        `SampleVerify: "${pathOf(work)}" has other content than its unchanged metadata promised; stored`,
      );
    }
    if (work.image?.isDevice === true) keepTime(work);
    this.settle(work);
  }

  /** The entry is not there any more, or was never stored and cannot be: a parent's row must not show through. */
  #remove(work: Work): void {
    const { effective, row } = work;
    if (effective === undefined) {
      this.#fill(work, undefined, undefined);
      return;
    }
    this.#options.tally.totals.deleted++;
    this.#fill(work, emptyRow(row.key, EntryType.deleted), undefined);
  }
}

function pathOf(work: Work): string {
  return displayPath(keyToPath(work.row.key));
}

/** A device has no time of its own: its content is as old as it has been known. */
function keepTime({ row, effective }: Work): void {
  if (effective === undefined || !sameContent(effective, row)) return;
  row.mtimeSec = effective.mtimeSec;
  row.mtimeNsec = effective.mtimeNsec;
}

const SHARED_FLAGS = RowFlag.parts | RowFlag.sparse | RowFlag.unstable | RowFlag.fifo;

/** True when the stored content of the row is known to be damaged. */
export function isDamaged(row: Row): boolean {
  return (row.flags & RowFlag.damaged) !== 0;
}

/** `before` under `key`, marked as not looked at; undefined when the effective list says exactly that. */
export function keptRow(before: Row, key: string, effective: Row | undefined): Row | undefined {
  // Of damaged content there is no row to be written: what the lists below say stays in force, if anything does.
  if (isDamaged(before) && effective !== undefined && sameContent(effective, before)) return undefined;
  const flags = (before.flags & ~RowFlag.damaged) | RowFlag.unverified;
  const row: Row = { ...before, key, state: undefined, flags };
  // Its group may have other content or none by now: the row then stands alone.
  if (row.group !== key) row.group = undefined;
  return effective !== undefined && sameRow(effective, row) ? undefined : row;
}
