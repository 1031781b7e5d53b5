import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable, type Measurement, median, summarize } from "./table.js";

function measured(tool: string, wallSeconds: number, repetition: number): Measurement {
  return {
    tool,
    step: "full",
    repetition,
    wallSeconds,
    cpuSeconds: 2,
    peakRssBytes: 3e6,
    storedBytes: 4e6,
    catalogBytes: 0,
  };
}

test("median is the middle, or the mean of the middle two", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([7]), 7);
});

test("a summary puts Basalt first and gives ratios against it", () => {
  const rows = summarize([
    measured("restic", 6, 0),
    measured("basalt", 2, 0),
    measured("restic", 8, 1),
    measured("basalt", 4, 1),
    measured("basalt", 3, 2),
    measured("restic", 9, 2),
  ]);
  assert.deepEqual(
    rows.map((row) => [row.tool, row.wallSeconds, row.wallRange, row.wallRatio.toFixed(2)]),
    [
      ["basalt", 3, [2, 4], "1.00"],
      ["restic", 8, [6, 9], "2.67"],
    ],
  );
  const lines = formatTable(rows, ({ tool }) => (tool === "basalt" ? "wall <= 4 s: met" : "")).split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[1] ?? "", /^full +basalt +3\.00 +2\.0-4\.0 +1\.00 .* wall <= 4 s: met$/);
  assert.match(lines[2] ?? "", /^ +restic +8\.00 +6\.0-9\.0 +2\.67 /);
});
