import assert from "node:assert/strict";
import { test } from "node:test";
import { type Lineage, planRebase } from "./rebase-plan.js";

const run = (id: number, parents: number[] = [], bases: number[] = []): Lineage => ({ id, parents, bases });

test("a Full is folded into the runs directly above it", () => {
  // 1 Full, 2 Incremental, 3 Differential, 4 Incremental on the Differential, 5 Incremental on 2.
  const kept = [run(1), run(2, [1]), run(3, [1]), run(4, [1, 3]), run(5, [1, 2])];
  assert.deepEqual(planRebase(kept, new Set([1])), [
    { id: 2, parent: undefined, bases: [], folds: [1] },
    { id: 3, parent: undefined, bases: [], folds: [1] },
  ]);
});

test("neighbours that go together are folded together", () => {
  const kept = [run(1), run(2, [1]), run(3, [1, 2]), run(4, [1, 2, 3])];
  assert.deepEqual(planRebase(kept, new Set([1, 2])), [
    { id: 3, parent: undefined, bases: [], folds: [1, 2] },
  ]);
  assert.deepEqual(planRebase(kept, new Set([2])), [{ id: 3, parent: 1, bases: [], folds: [2] }]);
  assert.deepEqual(planRebase(kept, new Set([1, 3])), [
    { id: 2, parent: undefined, bases: [], folds: [1] },
    { id: 4, parent: 2, bases: [], folds: [3] },
  ]);
  assert.deepEqual(planRebase(kept, new Set([4])), []);
});

test("a Base goes out from under a Full; with its Full the Bases move up", () => {
  const kept = [run(1), run(2), run(3, [], [1, 2]), run(4, [3], [1, 2])];
  assert.deepEqual(planRebase(kept, new Set([1])), [{ id: 3, parent: undefined, bases: [2], folds: [] }]);
  assert.deepEqual(planRebase(kept, new Set([3])), [{ id: 4, parent: undefined, bases: [1, 2], folds: [3] }]);
});
