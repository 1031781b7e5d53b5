/**
 * The lists that a walk is merge-joined with: the machine's own newest list, the parent list where that is another
 * one, and the Bases. The *effective parent* is what the new rows are written against: the own list, the parent list,
 * or the Bases laid over each other, the first one on top.
 */
import { isBelow } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { Likeness } from "./likeness.js";
import type { ListReader } from "./list-reader.js";

export interface ParentLists {
  own?: ListReader | undefined;
  parent?: ListReader | undefined;
  /** In the order of the job's Base list. */
  bases: readonly ListReader[];
  /** What a new Base is compared with; it says nothing about what is read or written. */
  compared?: ListReader | undefined;
  /** The own list is the effective parent. */
  ownIsParent: boolean;
}

/** Called for each path that the walk did not meet. Either row may be missing. */
export type OnAbsent = (key: string, own: Row | undefined, effective: Row | undefined) => void;

const NO_ROWS: readonly Row[] = [];

export class Parents {
  readonly own: ListReader | undefined;
  readonly bases: readonly ListReader[];
  /** The effective parent is the overlay of the Bases. */
  readonly overBases: boolean;
  /** How much of `compared` is the same; undefined without that. */
  readonly likeness: Likeness | undefined;
  readonly #compared: ListReader | undefined;
  readonly #parent: ListReader | undefined;
  readonly #readers: readonly ListReader[];
  /** Per Base: key of the row passed last if it was no directory. It hides what lies below it in later Bases. */
  readonly #masks: (string | undefined)[];

  constructor(lists: ParentLists) {
    this.own = lists.own;
    this.bases = lists.bases;
    this.#parent = lists.ownIsParent ? lists.own : lists.parent;
    this.overBases = this.#parent === undefined && lists.bases.length > 0;
    this.#masks = lists.bases.map(() => undefined);
    this.#compared = lists.compared;
    this.likeness = lists.compared === undefined ? undefined : new Likeness();
    const readers = [lists.own, lists.parent, ...lists.bases, lists.compared].filter(
      (reader) => reader !== undefined,
    );
    this.#readers = [...new Set(readers)];
  }

  /**
   * Brings every list to its first row at or behind `key` (undefined: to its end), telling `onAbsent` about each path
   * before it, in path order. False when a block is missing: await `arrival` and call again.
   */
  seek(key: string | undefined, onAbsent: OnAbsent): boolean {
    for (;;) {
      let least: string | undefined;
      for (const reader of this.#readers) {
        if (reader.row === undefined && !reader.fill()) return false;
        const at = reader.row?.key;
        if (at !== undefined && (key === undefined || at < key) && (least === undefined || at < least))
          least = at;
      }
      if (least === undefined) return true;
      onAbsent(least, this.ownAt(least), this.effectiveAt(least));
      this.pass(least);
    }
  }

  /** Resolves when a list that `seek` waits for has something new. */
  async arrival(): Promise<void> {
    const starved = this.#readers.find((reader) => reader.row === undefined && reader.starved);
    await starved?.arrival();
  }

  /** Moves all lists past `key`. */
  pass(key: string): void {
    for (let i = 0; i < this.bases.length; i++) {
      const row = this.bases[i]!.row;
      if (row?.key !== key) continue;
      this.#masks[i] = row.type === EntryType.directory ? undefined : key;
    }
    const compared = this.comparedAt(key);
    if (compared !== undefined) this.likeness!.old(compared);
    for (const reader of this.#readers) if (reader.row?.key === key) reader.next();
  }

  ownAt(key: string): Row | undefined {
    const row = this.own?.row;
    return row?.key === key ? row : undefined;
  }

  comparedAt(key: string): Row | undefined {
    const row = this.#compared?.row;
    return row?.key === key ? row : undefined;
  }

  /** The row that the new job has at `key` if it writes none. */
  effectiveAt(key: string): Row | undefined {
    if (this.#parent !== undefined) return this.#parent.row?.key === key ? this.#parent.row : undefined;
    for (let i = 0; i < this.bases.length; i++) {
      const mask = i > 0 ? this.#masks[i - 1] : undefined;
      if (mask !== undefined && isBelow(mask, key)) return undefined;
      const row = this.bases[i]!.row;
      if (row?.key === key) return row;
    }
    return undefined;
  }

  /** Rows of all Bases at `key`. */
  basesAt(key: string): readonly Row[] {
    if (this.bases.length === 0) return NO_ROWS;
    return this.bases.map((reader) => reader.row).filter((row) => row?.key === key) as Row[];
  }

  /** After `seek`: true when a list's next row lies strictly below `key`. `any`: of all lists, else the parent's. */
  holdsBelow(key: string, any: boolean): boolean {
    const readers = any ? this.#readers : this.#parent === undefined ? [] : [this.#parent];
    return readers.some((reader) => reader.row !== undefined && isBelow(key, reader.row.key));
  }
}
