/** What a Full of a machine would cost over some lists in some order, added up from what lists say of its paths. */

import { Missing, Own } from "./path-states.js";

/** Of one machine over one order of lists. Bytes are those of file contents. */
export interface ListCost {
  /** Entries that are the same below: no row, and not read. */
  sameEntries: number;
  sameBytes: number;
  /** Files with a row of their own whose content is in one of the lists, wherever: nothing is stored for them. */
  knownFiles: number;
  knownBytes: number;
  /** Files whose content is in none of the lists; bytes of contents that the machine has twice count once. */
  newFiles: number;
  newBytes: number;
  /** Bytes of files that a first run would read: no list has the same entry. */
  readBytes: number;
  /** Rows, deletions included. */
  rows: number;
  deletions: number;
}

/** Paths of a machine of which the lists say the same. */
export interface PathGroup {
  /** By list; see path-states.ts. */
  states: readonly number[];
  /** Bit i: list i has the contents somewhere. */
  held: number;
  entries: number;
  /** Those with content. */
  files: number;
  bytes: number;
  /** Bytes of contents that did not come before in the machine's list. */
  firstBytes: number;
}

export const noCost = (): ListCost => ({
  ...{ sameEntries: 0, sameBytes: 0, knownFiles: 0, knownBytes: 0, newFiles: 0, newBytes: 0 },
  ...{ readBytes: 0, rows: 0, deletions: 0 },
});

/** Adds paths of the machine to the cost over the lists `order`, the topmost first. */
export function addOwn(cost: ListCost, order: readonly number[], group: PathGroup): void {
  const { states, entries, files, bytes, firstBytes } = group;
  let isSame = false;
  for (const list of order) {
    const state = states[list];
    if (state === Own.absent) continue;
    isSame = state === Own.equal;
    break;
  }
  if (isSame) {
    cost.sameEntries += entries;
    cost.sameBytes += bytes;
    return;
  }
  cost.rows += entries;
  // Every list is tried for a match, also one that another hides.
  if (!order.some((list) => states[list] === Own.equal)) cost.readBytes += bytes;
  if (order.some((list) => (group.held & (1 << list)) !== 0)) {
    cost.knownFiles += files;
    cost.knownBytes += bytes;
    return;
  }
  cost.newFiles += files;
  cost.newBytes += firstBytes;
}

/** Adds paths that the machine does not have. */
export function addMissing(
  cost: ListCost,
  order: readonly number[],
  states: readonly number[],
  count: number,
): void {
  let has = false;
  for (const list of order) {
    const state = states[list];
    if (state === Missing.covered) return;
    if (state === Missing.hides) break;
    has ||= state === Missing.has;
  }
  if (!has) return;
  cost.deletions += count;
  cost.rows += count;
}

/** What a row weighs beside content, bytes: its place in the catalog (34) and its line in the manifest (42), compressed. */
export const ROW_BYTES = 80;

/** One number to compare by, bytes. */
export function weightOf({ newBytes, rows }: Pick<ListCost, "newBytes" | "rows">): number {
  return newBytes + rows * ROW_BYTES;
}

/** All orders of up to `most` of these lists, each at most once, that `allowed` lets through. */
export function ordersOf(
  count: number,
  most: number,
  allowed: (order: readonly number[]) => boolean,
): number[][] {
  const found: number[][] = [[]];
  for (let at = 0; at < found.length; at++) {
    const order = found[at]!;
    if (order.length === most) continue;
    for (let list = 0; list < count; list++) {
      const longer = [...order, list];
      if (!order.includes(list) && allowed(longer)) found.push(longer);
    }
  }
  return found;
}
