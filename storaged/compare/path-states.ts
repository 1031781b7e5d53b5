/**
 * One machine's list beside several others that might lie below it, path by path: what each of them says of a path
 * tells what the machine's rows would be over any of them in any order. All lists are read once, in path order.
 */

import { isBelow } from "../../common/format/path.js";
import { EntryType, type Row, sameRow } from "../../common/format/row.js";
import { behindSubtree, type RowCursor } from "../catalog/overlay.js";

/** What a list says of a path that the machine has. */
export const Own = {
  /** Nothing. */
  absent: 0,
  /** The same entry: metadata and content. */
  equal: 1,
  /** Another entry. */
  other: 2,
  /** Something that is no directory lies above: in lists below this one the path is hidden. */
  hides: 3,
} as const;

/** What a list says of a path that the machine does not have. */
export const Missing = {
  absent: 0,
  /** It has the path, which a row would have to delete. */
  has: 1,
  /** A deletion above it has taken it away already. */
  covered: 2,
  /** As Own.hides. */
  hides: 3,
} as const;

export interface PathVisitor {
  /** A path of the machine. `states` (Own, by list) counts until the call returns. */
  own(row: Row, states: Uint8Array): void;
  /** A path that some list has and the machine has not: the topmost one, in at least one of the lists. */
  missing(key: string, states: Uint8Array): void;
}

export class PathStates {
  readonly #machine: RowCursor;
  readonly #lists: readonly RowCursor[];
  readonly #states: Uint8Array;
  /** Key of the last row that is no directory, by list. */
  readonly #hides: (string | undefined)[];
  /** Key of the last deletion, by list. */
  readonly #gone: (string | undefined)[];

  constructor(machine: RowCursor, lists: readonly RowCursor[]) {
    this.#machine = machine;
    this.#lists = lists;
    this.#states = new Uint8Array(lists.length);
    this.#hides = lists.map(() => undefined);
    this.#gone = lists.map(() => undefined);
  }

  /** Looks at one path; false at the end of all lists. */
  step(visitor: PathVisitor): boolean {
    let least = this.#machine.row?.key;
    for (const { row } of this.#lists)
      if (row !== undefined && (least === undefined || row.key < least)) least = row.key;
    if (least === undefined) return false;
    const { row } = this.#machine;
    if (row !== undefined && row.key === least) this.#own(row, visitor);
    else this.#missing(least, visitor);
    return true;
  }

  #own(row: Row, visitor: PathVisitor): void {
    const { key } = row;
    for (const [i, list] of this.#lists.entries()) {
      const other = list.row;
      if (other === undefined || other.key !== key) {
        this.#states[i] = this.#isHidden(i, key) ? Own.hides : Own.absent;
        continue;
      }
      this.#states[i] = sameRow(row, other) ? Own.equal : Own.other;
      if (other.type !== EntryType.directory) this.#hides[i] = key;
      list.advance();
    }
    visitor.own(row, this.#states);
    this.#machine.advance();
    // Whatever lists have below something that is no directory is hidden by its row.
    if (row.type !== EntryType.directory) for (const list of this.#lists) this.#leave(list, key);
  }

  #missing(key: string, visitor: PathVisitor): void {
    for (const [i, list] of this.#lists.entries()) {
      const gone = this.#gone[i];
      if (list.row !== undefined && list.row.key === key) {
        this.#states[i] = Missing.has;
        this.#gone[i] = key;
        list.seek(behindSubtree(key));
      } else if (gone !== undefined && isBelow(gone, key)) this.#states[i] = Missing.covered;
      else this.#states[i] = this.#isHidden(i, key) ? Missing.hides : Missing.absent;
    }
    visitor.missing(key, this.#states);
  }

  #isHidden(list: number, key: string): boolean {
    const hide = this.#hides[list];
    return hide !== undefined && isBelow(hide, key);
  }

  #leave(list: RowCursor, key: string): void {
    const behind = behindSubtree(key);
    if (list.row !== undefined && list.row.key < behind) list.seek(behind);
  }
}

/** States of up to 16 lists in one number: two bits each. */
export function packStates(states: Uint8Array): number {
  let packed = 0;
  for (let i = states.length - 1; i >= 0; i--) packed = packed * 4 + states[i]!;
  return packed;
}

export function stateOf(packed: number, list: number): number {
  return Math.floor(packed / 4 ** list) % 4;
}
