/** Which orders of lists are worth telling of. */

import { type ListCost, weightOf } from "./costs.js";

export interface Weighed {
  /** Numbers of lists, topmost first. */
  order: readonly number[];
  cost: ListCost;
}

/** Options told of, of those that need a list that is no Base yet, and of the others. */
const MAX_OPTIONS = 3;
/** What a change must save, of the weight without it, to be told of. */
const WORTH = 0.01;

/**
 * Those that weigh clearly less than `now`, the lightest first. One with more names than another one of them that has the same
 * among them must be worth it, and of the same names in several orders only the best is told.
 */
export function betterOptions(
  now: Weighed,
  all: readonly Weighed[],
  isNew: (list: number) => boolean,
): Weighed[] {
  const limit = lessThan(weightOf(now.cost));
  const rising = all
    .map((each) => ({ each, weight: weightOf(each.cost) }))
    .sort((a, b) => a.weight - b.weight || a.each.order.length - b.each.order.length);
  const isWorth = ({ each, weight }: (typeof rising)[number]): boolean =>
    rising.every((other) => !isPart(other.each.order, each.order) || weight <= lessThan(other.weight));
  const found: Weighed[] = [];
  const needsNew = ({ order }: Weighed): boolean => order.some(isNew);
  for (const option of rising) {
    if (option.weight > limit) break;
    const { each } = option;
    const known = found.some(({ order }) => sameNames(order, each.order));
    const alike = found.filter((other) => needsNew(other) === needsNew(each));
    if (!known && alike.length < MAX_OPTIONS && isWorth(option)) found.push(each);
  }
  return found;
}

const lessThan = (weight: number): number => weight - Math.max(1, weight * WORTH);

/** True when `less` has only names that `more` has too, and fewer. */
function isPart(less: readonly number[], more: readonly number[]): boolean {
  return less.length < more.length && less.every((list) => more.includes(list));
}

function sameNames(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((list) => b.includes(list));
}
