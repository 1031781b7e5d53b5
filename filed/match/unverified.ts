/** Keeps what the lists say about places that could not be looked at. */
import { isWithin } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row, RowFlag, sameContent, sameRow } from "../../common/format/row.js";
import type { ClaimBatch } from "./claims.js";
import { isDamaged } from "./content-flow.js";
import type { Emitter } from "./emitter.js";
import type { Tally } from "./tally.js";

export interface KeeperOptions {
  claims: ClaimBatch;
  emitter: Emitter;
  tally: Tally;
  /** The machine's own list came and is not the effective parent: it outranks that. */
  ownOutranks: boolean;
}

export class Keeper {
  readonly #options: KeeperOptions;
  /** Content that the own list names but this job's pool does not hold: those entries are lost to this job. */
  lost = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** `top` is the place that could not be looked at. Returns true when a row hides what lies below `key`. */
  keep(key: string, own: Row | undefined, effective: Row | undefined, top: string): boolean {
    const { emitter, ownOutranks, tally } = this.#options;
    const before = ownOutranks ? own : effective;
    if (before === undefined) {
      if (effective === undefined) return false;
      // The machine's own last run knew that it is not there.
      tally.totals.deleted++;
      emitter.emit(key, emptyRow(key, EntryType.deleted), undefined);
      return true;
    }
    // Of damaged content no row can be written: what the list below says stays.
    if (isDamaged(before) && effective !== undefined && sameContent(effective, before)) return false;
    const flags = (before.flags & ~RowFlag.damaged) | RowFlag.unverified;
    const row: Row = { ...before, state: undefined, flags };
    if (row.group !== undefined && row.group !== key && !isWithin(top, row.group)) row.group = undefined;
    if (effective !== undefined && sameRow(effective, row)) return false;
    if (row.content === undefined || (effective !== undefined && sameContent(effective, row))) {
      emitter.emit(key, row, undefined);
    } else {
      this.#claim(row, effective);
    }
    return row.type !== EntryType.directory;
  }

  #claim(row: Row, effective: Row | undefined): void {
    const { claims, emitter, tally } = this.#options;
    const slot = emitter.reserve(row.key);
    claims.ask(row.content!, (known) => {
      if (known) {
        emitter.fill(slot, row, undefined);
        return;
      }
      this.lost++;
      if (effective !== undefined) tally.totals.deleted++;
      emitter.fill(
        slot,
        effective === undefined ? undefined : emptyRow(row.key, EntryType.deleted),
        undefined,
      );
    });
  }
}
