import assert from "node:assert/strict";
import { test } from "node:test";
import { profileLines } from "./profile.js";

const frame = (functionName: string, url = "", lineNumber = -1) => ({ functionName, url, lineNumber });

function profile(samples: number[]): string {
  const nodes = [
    { id: 1, callFrame: frame("(root)") },
    { id: 2, callFrame: frame("(idle)") },
    { id: 3, callFrame: frame("findCut", "file:///x/build/common/format/content.js", 41) },
    { id: 4, callFrame: frame("", "file:///x/build/filed/pack/pool.js", 9) },
  ];
  return JSON.stringify({ nodes, samples, timeDeltas: samples.map(() => 1_000_000) });
}

test("functions come in the order of their own time, threads together, without the idle", () => {
  const lines = profileLines([profile([3, 3, 2, 4, 1]), profile([3, 2, 2])], 2);
  assert.deepEqual(lines, [
    "2 threads: 4.00 s busy, 2.00 s idle",
    "    3.000 s  75.0 %  findCut content.js:42",
    "    1.000 s  25.0 %  (anonymous) pool.js:10",
  ]);
});
