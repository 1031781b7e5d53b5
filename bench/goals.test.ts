import assert from "node:assert/strict";
import { test } from "node:test";
import { aheadOfPeers, allVerdicts, goalCell, goalsOf, restoreVerdicts } from "./goals.js";
import type { Setting } from "./rounds.js";
import { type Measurement, summarize } from "./table.js";

function measured(tool: string, step: string, wallSeconds: number): Measurement {
  const rest = { repetition: 0, cpuSeconds: 3.9, peakRssBytes: 3e6, storedBytes: 80e6, catalogBytes: 0 };
  return { tool, step, wallSeconds, ...rest };
}

const rows = summarize([
  measured("restic", "image, changed", 6),
  measured("basalt", "image, changed", 2.96),
  measured("floor", "image, changed", 1),
  measured("basalt", "reference, first", 9.5),
  measured("borg", "reference, first", 9.4),
  measured("floor", "reference, first", 7),
]);
const [image] = rows;

test("goals are Basalt's, at full scale, and each is judged by itself", () => {
  assert.equal(
    goalCell(image!, { scale: "full" }),
    "wall <= 3 s: met, CPU <= 4 s: met, stored <= 70 MB: MISSED",
  );
  assert.equal(goalCell(image!, { scale: "small" }), "");
  const [first] = goalsOf(rows.find(({ step }) => step === "reference, first")!, { scale: "full" });
  assert.deepEqual(first, { what: "reference, first: wall", reached: "9.5 s", goal: "<= 9 s", met: false });
  assert.ok(
    rows.filter(({ tool }) => tool !== "basalt").every((row) => goalCell(row, { scale: "full" }) === ""),
  );
});

test("every step is compared with the fastest backup system, not with the floors", () => {
  const verdicts = aheadOfPeers(rows, new Set(["floor"]));
  assert.deepEqual(
    verdicts.map(({ what, met }) => [what, met]),
    [
      ["image, changed: ahead", true],
      ["reference, first: ahead", false],
    ],
  );
  assert.equal(verdicts[0]?.reached, "2.03 times as fast as restic");
});

test("a restore of Basalt that lost something in any repetition is a goal missed", () => {
  const restored = (tool: string, repetition: number, differences: number): Measurement => ({
    ...measured(tool, "restore of one VM", 9),
    ...{ repetition, differences },
  });
  const runs = [
    restored("basalt", 0, 0),
    restored("basalt", 1, 2),
    restored("basalt", 2, 0),
    restored("borg", 0, 7),
  ];
  const expected = [{ what: "restore of one VM: differences", reached: "2", goal: "0", met: false }];
  assert.deepEqual(restoreVerdicts(summarize(runs)), expected);
  assert.equal(restoreVerdicts(summarize([runs[0]!]))[0]?.met, true);
  const setting: Setting = {
    ...{ dir: "", scale: "small", repetition: 0, step: "", kinds: [], latencyMs: 0, readLimitMb: 0 },
    ...{ facts: new Set(), measurements: [], verdicts: [], failures: [] },
  };
  assert.ok(allVerdicts(setting, summarize(runs)).some(({ what }) => what === expected[0]?.what));
});
