/** Which orders of lists are worth telling of. */

import { type ListCost, weightOf } from "./costs.js";

export interface Weighed {
  /** Numbers of lists, topmost first. */
  order: readonly number[];
  cost: ListCost;
}

/** Options told of. */
const MAX_OPTIONS = 5;
/** What a change must save, of the weight without it, to be told of. */
const WORTH = 0.01;

/**
 * Those that weigh clearly less than `now`, the lightest first. One with more names than another one of them that has the same
 * among them must be worth it, and of the same names in several orders only the best is told.
 */
export function betterOptions(now: Weighed, all: readonly Weighed[]): Weighed[] {
  const limit = lessThan(weightOf(now.cost));
  const rising = all
    .map((each) => ({ each, weight: weightOf(each.cost) }))
    .sort((a, b) => a.weight - b.weight || a.each.order.length - b.each.order.length);
  const isWorth = ({ each, weight }: (typeof rising)[number]): boolean =>
    rising.every((other) => !isPart(other.each.order, each.order) || weight <= lessThan(other.weight));
  const found: Weighed[] = [];
  for (const option of rising) {
    if (found.length === MAX_OPTIONS || option.weight > limit) break;
    const known = found.some(({ order }) => sameNames(order, option.each.order));
    if (!known && isWorth(option)) found.push(option.each);
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
