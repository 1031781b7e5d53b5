import assert from "node:assert/strict";
import { test } from "node:test";
import type { DirectorConfig, KeepPolicy, RetentionPolicy } from "../config/types.js";
import { keepText, pruneRules, ruleFor } from "./rules.js";

const NOTHING: KeepPolicy = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinSec: 0 };

function config(
  jobs: Record<string, RetentionPolicy & { client?: string; type?: string }>,
  pools: Record<string, RetentionPolicy> = {},
  clients: Record<string, { jobRetentionSec: number; fileRetentionSec: number }> = {
    a: { jobRetentionSec: 100, fileRetentionSec: 50 },
    b: { jobRetentionSec: 200, fileRetentionSec: 60 },
  },
) {
  const named = (record: Record<string, object>, more: object = {}) =>
    new Map(Object.entries(record).map(([name, value]) => [name, { name, ...more, ...value }]));
  return {
    jobs: named(jobs, { type: "Backup", client: "a" }),
    pools: named(pools),
    clients: named(clients),
  } as unknown as DirectorConfig;
}

test("clients alone: one rule each; an unknown client's runs stay", () => {
  const rules = pruneRules(config({ j: {} }, { P: {} }));
  assert.deepEqual(
    rules.map((rule) => [rule.client, rule.jobRetention, rule.fileRetention]),
    [
      ["a", 100, 50],
      ["b", 200, 60],
    ],
  );
  assert.equal(ruleFor(rules, { jobName: "j", client: "gone", pool: "P" }), undefined);
});

test("a pool outranks the client in what it says, and leaves the rest to it", () => {
  const rules = pruneRules(config({ j: {} }, { P: { jobRetentionSec: 7 }, Q: {} }));
  const a = ruleFor(rules, { jobName: "j", client: "a", pool: "P" })!;
  assert.deepEqual([a.jobRetention, a.fileRetention], [7, 50]);
  const b = ruleFor(rules, { jobName: "j", client: "b", pool: "P" })!;
  assert.deepEqual([b.jobRetention, b.fileRetention], [7, 60]);
  assert.equal(ruleFor(rules, { jobName: "j", client: "b", pool: "Q" })!.jobRetention, 200);
});

test("a job outranks both: its Keep instead of a time, which holds the lists too, consolidate from the pool", () => {
  const keep = { ...NOTHING, last: 3, withinSec: 90 };
  const rules = pruneRules(
    config({ j: { keep }, k: {} }, { P: { jobRetentionSec: 7, fileRetentionSec: 8, consolidate: true } }),
  );
  const inPool = ruleFor(rules, { jobName: "j", client: "a", pool: "P" })!;
  assert.deepEqual([inPool.jobRetention, inPool.fileRetention, inPool.consolidate], [7, 0, true]);
  assert.deepEqual(inPool.keep, { last: 3, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 90 });
  const elsewhere = ruleFor(rules, { jobName: "j", client: "a", pool: "Q" })!;
  assert.deepEqual([elsewhere.fileRetention, elsewhere.consolidate], [0, false]);
  const both = pruneRules(config({ j: { keep, fileRetentionSec: 4 } }, { P: { fileRetentionSec: 8 } }));
  assert.equal(ruleFor(both, { jobName: "j", client: "a", pool: "P" })!.fileRetention, 4);
  const other = ruleFor(rules, { jobName: "k", client: "a", pool: "P" })!;
  assert.deepEqual([other.jobRetention, other.keep], [7, undefined]);
});

test("a job's time outranks a pool's Keep; 0 keeps for ever; other kinds of job have no rule", () => {
  const keep = { ...NOTHING, daily: 3 };
  const rules = pruneRules(
    config({ j: { jobRetentionSec: 0 }, r: { type: "Restore", keep } }, { P: { keep } }),
  );
  const own = ruleFor(rules, { jobName: "j", client: "a", pool: "P" })!;
  assert.deepEqual([own.jobRetention, own.keep], [0, undefined]);
  assert.ok(!rules.some((rule) => rule.jobName === "r"));
});

test("a complete rule needs no pools: the list does not grow with jobs times pools", () => {
  const whole = { keep: { ...NOTHING, last: 1 }, fileRetentionSec: 5, consolidate: false };
  const pools = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`P${index}`, whole]));
  const jobs = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`j${index}`, whole]));
  assert.equal(pruneRules(config(jobs, pools)).length, 100 + 20 + 2);
});

test("a Keep in words", () => {
  assert.equal(
    keepText({ last: 7, daily: 0, weekly: 8, within: 3600 }),
    "Last 7, Weekly 8, Within 3600 secs",
  );
});
