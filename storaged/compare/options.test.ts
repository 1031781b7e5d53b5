import assert from "node:assert/strict";
import { test } from "node:test";
import { noCost, ROW_BYTES } from "./costs.js";
import { betterOptions, type Weighed } from "./options.js";

/** An option that weighs so much. */
const option = (order: number[], newBytes: number, rows = 0): Weighed => ({
  order,
  cost: { ...noCost(), newBytes, rows },
});
const none = (): boolean => false;
const orders = (options: readonly Weighed[]): string[] => options.map(({ order }) => order.join(">"));

test("only what saves a hundredth against now is told, the best first", () => {
  const now = option([0], 1000);
  const all = [option([], 5000), option([1], 995), option([2], 985), option([3], 400, 2)];
  assert.deepEqual(orders(betterOptions(now, all, none)), ["3", "2"]);
  assert.deepEqual(betterOptions(option([0], 0), all, none), []);
  const rows = [option([1], 0, 100 - 1), option([2], 0, 100 - 2)];
  assert.deepEqual(orders(betterOptions(option([0], 0, 100), rows, none)), ["2", "1"]);
  assert.ok(ROW_BYTES > 1);
});

test("a further name must be worth it, and of the same names one order is told", () => {
  const now = option([], 10_000);
  const all = [
    option([0], 1000),
    option([1], 5000),
    option([0, 1], 995),
    option([1, 0], 300),
    option([2, 0], 999),
  ];
  assert.deepEqual(orders(betterOptions(now, all, none)), ["1>0", "0", "1"]);
  const same = [option([0], 1000), option([0, 1], 500), option([1, 0], 500)];
  assert.deepEqual(orders(betterOptions(now, same, none)), ["0>1", "0"]);
});

test("what exists is told beside what would have to be made", () => {
  const isNew = (list: number): boolean => list >= 2;
  const all = [2, 3, 4, 5, 6].map((list) => option([list], 100 + list));
  const found = betterOptions(option([], 10_000), [...all, option([0], 900), option([1], 950)], isNew);
  assert.deepEqual(orders(found), ["2", "3", "4", "0", "1"]);
});
