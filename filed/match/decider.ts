/** Decides about one entry: nothing new, content that is vouched for, content that another link brings, or a read. */
import { codeOf } from "../../common/errors.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import {
  type EntryState,
  EntryType,
  emptyRow,
  type Row,
  RowFlag,
  sameContent,
} from "../../common/format/row.js";
import type { WalkEntry } from "../walk/event.js";
import type { ContentFlow, Work } from "./content-flow.js";
import type { Emitter } from "./emitter.js";
import { isReadFifo, rowOfEntry } from "./entry-row.js";
import type { LinkTable } from "./link-table.js";
import type { Tally } from "./tally.js";
import { baseVouches, isDoubtful, ownVouches, sameStat } from "./vouch.js";

export interface DeciderOptions {
  content: ContentFlow;
  emitter: Emitter;
  links: LinkTable;
  tally: Tally;
  /** The own list is what new rows are written against. */
  ownIsParent: boolean;
  /** Attributes of every entry are listed, not only of those whose ctime changed. */
  listAllXattrs: boolean;
  /** The pool knows nothing: do not ask. */
  selfContained: boolean;
  /** Percent of unread matches that are read all the same. */
  samplePercent: number;
  random: () => number;
}

/** What the lists say about an entry's path. */
export interface Before {
  own: Row | undefined;
  /** What the new job's effective list holds if it writes no row. */
  effective: Row | undefined;
  bases: readonly Row[];
  /** What a new Base is compared with. */
  compared: Row | undefined;
  /** ctime and inode are those of the own row's state. */
  unchanged: boolean;
  /** To be written for the next run. */
  state: EntryState | undefined;
}

export class Decider {
  readonly #options: DeciderOptions;

  constructor(options: DeciderOptions) {
    this.#options = options;
  }

  /** The fast path, for an entry with unchanged ctime and inode: content and links cannot have changed either. */
  isPlain({ stat, options }: WalkEntry, own: Row): boolean {
    const { ownIsParent, listAllXattrs } = this.#options;
    if (!ownIsParent || listAllXattrs || isDoubtful(own) || !sameStat(own, stat)) return false;
    if (stat.type === EntryType.directory) return true;
    if (stat.links > 1 || own.group !== undefined) return false;
    return stat.type !== EntryType.file || stat.size === 0 || (!options.digestAlways && !this.#sampled());
  }

  /** The promise resolves when the walk may go on: a file to be read was accepted. */
  decide(entry: WalkEntry, before: Before): Promise<void> | undefined {
    const { content, tally, selfContained } = this.#options;
    const { stat, options } = entry;
    const work = this.#work(entry, before);
    if (work === undefined) return undefined;
    const { row, group } = work;
    if (stat.type !== EntryType.directory && before.bases.some((base) => base.type !== EntryType.directory)) {
      tally.totals.usedFiles++;
    }
    const isPipe = isReadFifo(entry);
    if (!isPipe && (stat.type !== EntryType.file || stat.size === 0)) {
      content.settle(work);
      return undefined;
    }
    if (group !== undefined && group.first !== row.key) {
      content.follow(work, group);
      return undefined;
    }
    if (isPipe) return content.read(work);
    const voucher = this.#voucher(work, entry);
    if (voucher === undefined || options.digestAlways || entry.image?.isDevice === true)
      return content.read(work);
    if (this.#sampled()) {
      work.expected = Buffer.from(voucher.content!);
      return content.read(work);
    }
    // What the machine's own list calls sparse stays so: block counts change without a change of the file.
    if (voucher === before.own) row.flags = (row.flags & ~RowFlag.sparse) | (voucher.flags & RowFlag.sparse);
    const inherited = work.effective?.content?.equals(voucher.content!) === true;
    if (selfContained && !inherited) return content.read(work);
    content.vouched(work, voucher);
    return undefined;
  }

  #sampled(): boolean {
    const { samplePercent, random } = this.#options;
    return samplePercent > 0 && random() * 100 < samplePercent;
  }

  /** A row that may be trusted to name the entry's content: the machine's own last word, else any Base's. */
  #voucher({ row, own, bases }: Work, { stat, options }: WalkEntry): Row | undefined {
    if (own !== undefined) return ownVouches(own, row, stat, options.own) ? own : undefined;
    const vouching = bases.filter((base) => baseVouches(base, row, stat, options.base));
    const [first] = vouching;
    // Bases that look alike and are not: only reading tells which of them it is.
    return vouching.every((base) => sameContent(base, first!)) ? first : undefined;
  }

  #work(entry: WalkEntry, { own, effective, bases, compared, unchanged, state }: Before): Work | undefined {
    const { stat, options, key } = entry;
    const known = unchanged && !this.#options.listAllXattrs ? own : undefined;
    let row: Row;
    try {
      row = rowOfEntry(entry, known, (text) => this.#options.tally.report("warning", text));
    } catch (error) {
      this.#lost(entry, effective, error);
      return undefined;
    }
    const linked =
      stat.links > 1 && stat.type !== EntryType.directory && options.hardLinks && stat.inode !== 0;
    const group = linked ? this.#options.links.see(key, stat) : undefined;
    row.group = group?.first;
    const { size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, inode } = stat;
    return {
      row,
      state,
      effective,
      own,
      bases,
      compared,
      dir: entry.dir,
      name: entry.name,
      blocks: stat.blocks,
      // A copy: the walk's record is used again for the next entry.
      identity: { size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, inode },
      options,
      image: entry.image,
      group,
      expected: undefined,
      slot: undefined,
    };
  }

  /** A symlink that went away, or became something else, between two looks at it. */
  #lost({ key }: WalkEntry, effective: Row | undefined, error: unknown): void {
    if (codeOf(error) !== "ENOENT" && codeOf(error) !== "EINVAL") throw error;
    const { emitter, tally } = this.#options;
    tally.report("warning", `"${displayPath(keyToPath(key))}" vanished before it could be read`);
    if (effective === undefined) return;
    tally.totals.deleted++;
    emitter.emit(key, emptyRow(key, EntryType.deleted), undefined);
  }
}
