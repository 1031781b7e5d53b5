/**
 * The overlay: several lists, newest on top, seen as one. For every path the topmost row counts. A row that is no
 * directory (a deletion included) hides everything below its path in all lower layers; deletions do not appear.
 * Streams: memory is one block per layer.
 */

import { isBelow } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";

/** A list in path order, read forwards. */
export interface RowCursor {
  /** The row at hand; undefined behind the last one. */
  readonly row: Row | undefined;
  advance(): void;
  /** Moves forward to the first row with a key >= `key`; never backwards. */
  seek(key: string): void;
}

/** Sorts behind every key: no key holds a unit above 0xff. */
export const BEHIND_ALL = "\u0100";

/** The least key behind everything below `key`. */
export function behindSubtree(key: string): string {
  return key === "" ? BEHIND_ALL : `${key}\x01`;
}

interface Hide {
  key: string;
  /** Layers with a greater number are hidden below `key`. */
  layer: number;
}

/** Merges `layers` (top first). The result is itself a cursor; `layer` tells where the row at hand comes from. */
export class OverlayCursor implements RowCursor {
  readonly #layers: readonly RowCursor[];
  /** Nested: each key lies below the one before it. */
  #hides: Hide[] = [];
  row: Row | undefined;
  layer = -1;

  constructor(layers: readonly RowCursor[]) {
    this.#layers = layers;
    this.#settle();
  }

  advance(): void {
    if (this.row === undefined) return;
    this.#step(this.row.key);
    this.#settle();
  }

  /**
   * Hides that begin before `key` and cover it are unknown after a jump, so they are looked up: `key` must be
   * reached through directories only. Callers that may seek into a hidden subtree use `seekWithin`.
   */
  seek(key: string): void {
    if (this.row === undefined || this.row.key >= key) return;
    this.#hides = this.#hides.filter((hide) => isBelow(hide.key, key));
    for (const layer of this.#layers) layer.seek(key);
    this.#settle();
  }

  /**
   * As `seek`, for a first jump into the list: stops at every ancestor of `key` on the way, so that what hides it
   * is seen.
   */
  seekWithin(key: string): void {
    for (let cut = key.indexOf("\0"); cut >= 0; cut = key.indexOf("\0", cut + 1)) {
      this.#visit(key.slice(0, cut));
    }
    this.seek(key);
  }

  /** Takes notice of the rows at exactly `key`. */
  #visit(key: string): void {
    if (this.row === undefined || this.row.key > key) return;
    for (const layer of this.#layers) layer.seek(key);
    this.#hides = this.#hides.filter((hide) => isBelow(hide.key, key));
    for (let i = 0; i < this.#layers.length; i++) {
      const row = this.#layers[i]!.row;
      if (row !== undefined && row.key === key) this.#note(row, i);
    }
    this.#settle();
  }

  /** Moves every layer that stands at `key` on. */
  #step(key: string): void {
    for (const layer of this.#layers) if (layer.row !== undefined && layer.row.key === key) layer.advance();
  }

  #note(row: Row, layer: number): void {
    if (row.type === EntryType.directory) return;
    const known = this.#hides.at(-1);
    if (known !== undefined && known.layer <= layer) return;
    this.#hides.push({ key: row.key, layer });
  }

  /** Finds the next visible row at or behind the layers' positions. */
  #settle(): void {
    const layers = this.#layers;
    for (;;) {
      let least: string | undefined;
      for (const { row } of layers)
        if (row !== undefined && (least === undefined || row.key < least)) least = row.key;
      if (least === undefined) {
        this.row = undefined;
        this.layer = -1;
        return;
      }
      while (this.#hides.length > 0 && !isBelow(this.#hides.at(-1)!.key, least)) this.#hides.pop();
      const hiddenFrom = this.#hides.at(-1)?.layer ?? layers.length;
      const found = this.#take(least, hiddenFrom);
      if (found) return;
      this.#skip(least, hiddenFrom);
    }
  }

  /** Looks at all rows with key `least`; true when the topmost visible one is an entry, which is then at hand. */
  #take(least: string, hiddenFrom: number): boolean {
    let top = -1;
    for (let i = 0; i < this.#layers.length && i <= hiddenFrom; i++) {
      const row = this.#layers[i]!.row;
      if (row === undefined || row.key !== least) continue;
      if (top < 0) top = i;
      this.#note(row, i);
    }
    if (top < 0) return false;
    const row = this.#layers[top]!.row!;
    if (row.type === EntryType.deleted) return false;
    this.row = row;
    this.layer = top;
    return true;
  }

  /** Passes a path that is hidden or deleted, and with it what else is hidden in each layer. */
  #skip(least: string, hiddenFrom: number): void {
    const hide = this.#hides.at(-1);
    for (let i = 0; i < this.#layers.length; i++) {
      const layer = this.#layers[i]!;
      if (layer.row === undefined || layer.row.key !== least) continue;
      if (i > hiddenFrom && hide !== undefined) layer.seek(behindSubtree(hide.key));
      else layer.advance();
    }
  }
}

/** A cursor over rows in memory, for tests and small lists. */
export class ArrayCursor implements RowCursor {
  readonly #rows: readonly Row[];
  #at = 0;

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  get row(): Row | undefined {
    return this.#rows[this.#at];
  }

  advance(): void {
    this.#at++;
  }

  seek(key: string): void {
    while (this.row !== undefined && this.row.key < key) this.#at++;
  }
}
