/** Which lists must be rewritten before jobs can be deleted that others lie over. Pure. */

/** A kept job and what it lies over, by any one kind of number; `bases` are those of its Full, also for later runs. */
export interface Lineage {
  id: number;
  /** Oldest first. */
  parents: readonly number[];
  bases: readonly number[];
}

/** One list to rewrite. */
export interface Rebase {
  id: number;
  /** The newest run it still lies over; undefined: only Bases, or nothing. */
  parent: number | undefined;
  /** Without a parent: the Bases that stay below it. */
  bases: number[];
  /** Runs whose rows become part of it, oldest first. */
  folds: number[];
}

/**
 * The rewrites after which no job of `kept` lies over one of `going`. A run that goes is folded into the next one
 * above it that stays, once for each line of runs above it. In an order in which they may be carried out one after
 * the other, each leaving every tree as it was.
 */
export function planRebase(kept: readonly Lineage[], going: ReadonlySet<number>): Rebase[] {
  const found = new Map<number, Rebase>();
  for (const { id, parents, bases } of kept) {
    if (going.has(id)) continue;
    const line = [...parents, id];
    for (const [i, run] of line.entries()) {
      if (going.has(run) || found.has(run)) continue;
      const rebase = rewriteOf(run, line.slice(0, i), bases, going);
      if (rebase !== undefined) found.set(run, rebase);
    }
  }
  // Older runs first: what lies over a rewritten one finds it in place.
  return [...found.values()].sort((a, b) => a.id - b.id);
}

function rewriteOf(
  id: number,
  below: readonly number[],
  bases: readonly number[],
  going: ReadonlySet<number>,
): Rebase | undefined {
  const folds: number[] = [];
  for (let i = below.length - 1; i >= 0; i--) {
    const run = below[i]!;
    if (!going.has(run))
      return folds.length === 0 ? undefined : { id, parent: run, bases: [], folds: folds.reverse() };
    folds.push(run);
  }
  const stay = bases.filter((base) => !going.has(base));
  if (folds.length === 0 && stay.length === bases.length) return undefined;
  return { id, parent: undefined, bases: stay, folds: folds.reverse() };
}
