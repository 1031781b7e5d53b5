import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobResource } from "../config/types.js";
import { runTimeLimit } from "./time-limits.js";
import { type PriorRun, raisedLevel } from "./upgrade.js";

const DAY = 86_400;
const NOW = 100 * DAY * 1000;
const NONE = {
  ...{ maxFullIntervalSec: 0, maxDiffIntervalSec: 0, maxVirtualFullIntervalSec: 0, rerunFailedLevels: false },
};

/** A run that took a minute, so many days ago. */
function ago(days: number, level: PriorRun["level"], status: PriorRun["status"] = "T"): PriorRun {
  const startMs = NOW - days * DAY * 1000;
  return { level, status, startMs, endMs: startMs + 60_000 };
}

test("MaxFullInterval and MaxVirtualFullInterval count from the last good Full", () => {
  const rules = { ...NONE, maxFullIntervalSec: 7 * DAY };
  const runs = [ago(8, "F"), ago(1, "I"), ago(2, "F", "E")];
  assert.deepEqual(raisedLevel("Incremental", rules, runs, NOW), {
    level: "Full",
    text: "No prior or suitable Full backup found in catalog. Doing FULL backup.",
  });
  assert.equal(raisedLevel("Differential", rules, runs, NOW)?.level, "Full");
  assert.equal(raisedLevel("Incremental", rules, [ago(6, "F")], NOW), undefined);
  assert.equal(raisedLevel("Incremental", rules, [ago(8, "F"), ago(3, "f")], NOW), undefined);
  assert.equal(raisedLevel("Full", rules, runs, NOW), undefined);
  // Without any Full the storage daemon says so.
  assert.equal(raisedLevel("Incremental", rules, [], NOW), undefined);
  const virtual = { ...NONE, maxVirtualFullIntervalSec: 7 * DAY };
  assert.deepEqual(raisedLevel("Incremental", virtual, runs, NOW), {
    level: "VirtualFull",
    text: "No prior or suitable Full backup found in catalog. Doing Virtual FULL backup.",
  });
});

test("MaxDiffInterval counts from the last Differential, or the Full after it", () => {
  const rules = { ...NONE, maxDiffIntervalSec: 7 * DAY };
  assert.deepEqual(raisedLevel("Incremental", rules, [ago(20, "F"), ago(8, "D")], NOW), {
    level: "Differential",
    text: "No prior or suitable Differential backup found in catalog. Doing Differential backup.",
  });
  assert.equal(raisedLevel("Incremental", rules, [ago(20, "F"), ago(6, "D")], NOW), undefined);
  assert.equal(raisedLevel("Incremental", rules, [ago(3, "F"), ago(8, "D")], NOW), undefined);
  assert.equal(raisedLevel("Incremental", rules, [ago(8, "F")], NOW)?.level, "Differential");
  assert.equal(raisedLevel("Differential", rules, [ago(8, "F")], NOW), undefined);
});

test("RerunFailedLevels makes up for the highest level that failed since the last good run", () => {
  const rules = { ...NONE, rerunFailedLevels: true };
  const runs = [ago(9, "F"), ago(3, "D", "f"), ago(2, "F", "E")];
  assert.deepEqual(raisedLevel("Incremental", rules, runs, NOW), {
    level: "Full",
    text: "Prior failed job found in catalog. Upgrading to Full.",
  });
  assert.equal(
    raisedLevel("Incremental", rules, [ago(9, "F"), ago(2, "D", "A")], NOW)?.level,
    "Differential",
  );
  assert.equal(raisedLevel("Differential", rules, [ago(9, "F"), ago(2, "D", "E")], NOW), undefined);
  assert.equal(raisedLevel("Incremental", rules, [...runs, ago(1, "I")], NOW), undefined);
  assert.equal(raisedLevel("Incremental", NONE, runs, NOW), undefined);
});

test("the run time limit of a level and that of all", () => {
  const job = {
    ...{ type: "Backup", fullMaxRunTimeSec: 50, incrementalMaxRunTimeSec: 20, differentialMaxRunTimeSec: 0 },
  } as JobResource;
  assert.equal(runTimeLimit({ job, maxRunTimeSec: 30 }, "Full"), 30);
  assert.equal(runTimeLimit({ job, maxRunTimeSec: 0 }, "Full"), 50);
  assert.equal(runTimeLimit({ job, maxRunTimeSec: 30 }, "Incremental"), 20);
  assert.equal(runTimeLimit({ job, maxRunTimeSec: 0 }, "Differential"), 0);
  assert.equal(runTimeLimit({ job: { ...job, type: "Restore" }, maxRunTimeSec: 0 }, "Full"), 0);
});
