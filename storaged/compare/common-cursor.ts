/** What several lists have in common, as a list. */

import { type Row, sameRow } from "../../common/format/row.js";
import type { RowCursor } from "../catalog/overlay.js";

/** The entries that are the same in all of `lists`. Directories above them may be missing: those differ more often. */
export class CommonCursor implements RowCursor {
  readonly #lists: readonly RowCursor[];
  row: Row | undefined;

  constructor(lists: readonly RowCursor[]) {
    this.#lists = lists;
    this.#settle();
  }

  advance(): void {
    if (this.row === undefined) return;
    for (const list of this.#lists) list.advance();
    this.#settle();
  }

  seek(key: string): void {
    if (this.row === undefined || this.row.key >= key) return;
    for (const list of this.#lists) list.seek(key);
    this.#settle();
  }

  /** Finds the next entry at or behind the lists' positions that all have. */
  #settle(): void {
    this.row = undefined;
    const first = this.#lists[0];
    while (first?.row !== undefined) {
      let greatest = first.row.key;
      for (const { row } of this.#lists) {
        if (row === undefined) return;
        if (row.key > greatest) greatest = row.key;
      }
      for (const list of this.#lists)
        while (list.row !== undefined && list.row.key < greatest) list.advance();
      if (this.#lists.some(({ row }) => row === undefined)) return;
      if (this.#lists.some(({ row }) => row!.key !== greatest)) continue;
      const found = first.row;
      if (this.#lists.every(({ row }) => sameRow(found, row!))) {
        this.row = found;
        return;
      }
      for (const list of this.#lists) list.advance();
    }
  }
}
