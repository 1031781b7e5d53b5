process.env.TZ = "Europe/Berlin";

import assert from "node:assert/strict";
import { test } from "node:test";
import { baculaDate, baculaTime } from "../../common/time.js";
import type { RunDirective } from "../config/types-schedule.js";
import { parseBaculaRun } from "./bacula-run.js";
import { parseCron } from "./cron.js";
import { missedRuns, nextRunAfter, runsBetween } from "./next.js";

function bacula(...lines: string[]): { runs: RunDirective[] } {
  const runs = lines.map((line): RunDirective => {
    const { overrides, text } = parseBaculaRun(line);
    return { overrides, spec: { kind: "bacula", text } };
  });
  return { runs };
}

const cron = (expression: string) => ({
  runs: [{ overrides: {}, spec: { kind: "cron" as const, expression: parseCron(expression) } }],
});

const local = (text: string): number => new Date(text.replace(" ", "T")).getTime();

/** The first `count` runs after a moment, as local times without seconds. */
function due(schedule: { runs: RunDirective[] }, after: string, count: number): string[] {
  return runsBetween(schedule, local(after), Number.MAX_SAFE_INTEGER, count).map(({ atMs }) =>
    baculaTime(atMs).slice(0, 16),
  );
}

test("Bacula's own example schedule", () => {
  const weekly = bacula(
    "Level=Full Pool=Monthly 1st sun at 23:05",
    "Differential 2nd-5th sun at 23:05",
    "Incremental mon-sat at 23:05",
  );
  const found = runsBetween(weekly, local("2026-10-31 00:00"), local("2026-11-09 00:00"));
  assert.deepEqual(
    found.map(({ atMs, overrides }) => `${baculaDate(atMs)} ${overrides.level}`),
    ["2026-10-31 Incremental", "2026-11-01 Full", "2026-11-02 Incremental", "2026-11-03 Incremental"].concat(
      [
        "2026-11-04 Incremental",
        "2026-11-05 Incremental",
        "2026-11-06 Incremental",
        "2026-11-07 Incremental",
      ],
      ["2026-11-08 Differential"],
    ),
  );
  assert.equal(found[1]!.overrides.pool, "Monthly");
});

test("forms of the Run line", () => {
  const cases: [string, string, string[]][] = [
    ["hourly at 0:05", "2026-11-21 03:10", ["2026-11-21 04:05", "2026-11-21 05:05"]],
    ["daily at 1:05am", "2026-11-21 03:10", ["2026-11-22 01:05"]],
    ["weekly at 12:30 pm", "2026-11-21 03:10", ["2026-11-22 12:30", "2026-11-29 12:30"]],
    ["monthly at 2:00", "2026-11-21 03:10", ["2026-12-01 02:00", "2027-01-01 02:00"]],
    ["monthly 1st sat at 2:00", "2026-11-21 03:10", ["2026-12-05 02:00", "2027-01-02 02:00"]],
    ["jan 5 at 3:00", "2026-11-21 03:10", ["2027-01-05 03:00", "2028-01-05 03:00"]],
    ["on 1-15 at 1:00", "2026-11-14 03:10", ["2026-11-15 01:00", "2026-12-01 01:00"]],
    ["on 31 at 1:00", "2026-11-14 03:10", ["2026-12-31 01:00", "2027-01-31 01:00", "2027-03-31 01:00"]],
    ["last sun at 4:00", "2026-11-14 03:10", ["2026-11-29 04:00", "2026-12-27 04:00"]],
    ["lastday at 4:00", "2027-01-31 05:00", ["2027-02-28 04:00"]],
    ["w53 mon at 4:00", "2026-11-14 03:10", ["2026-12-28 04:00", "2032-12-27 04:00"]],
    ["w00-w02 mon at 4:00", "2026-12-29 03:10", ["2027-01-04 04:00", "2027-01-11 04:00"]],
    ["fri-mon at 4:00", "2026-11-20 05:00", ["2026-11-21 04:00", "2026-11-22 04:00", "2026-11-23 04:00"]],
    ["mon,wed,fri at 4:00", "2026-11-20 05:00", ["2026-11-23 04:00", "2026-11-25 04:00", "2026-11-27 04:00"]],
    ["feb 29 at 4:00", "2026-11-20 05:00", ["2028-02-29 04:00", "2032-02-29 04:00"]],
    [
      "nov-jan 1st sun at 4:00",
      "2026-11-20 05:00",
      ["2026-12-06 04:00", "2027-01-03 04:00", "2027-11-07 04:00"],
    ],
    ["mon at 1:00, 13:00", "2026-11-20 05:00", ["2026-11-23 01:00", "2026-11-23 13:00", "2026-11-30 01:00"]],
    ["Sunday at 23:59", "2026-11-22 23:58", ["2026-11-22 23:59", "2026-11-29 23:59"]],
  ];
  for (const [line, after, expected] of cases) {
    assert.deepEqual(due(bacula(line), after, expected.length), expected, line);
  }
});

test("overrides", () => {
  const { overrides, text } = parseBaculaRun(
    'Level = Full FullPool="Full Pool" Priority=20 Accurate=yes Storage=File MaxRunSchedTime=5h  1st   sun at 1:05',
  );
  assert.deepEqual(overrides, {
    level: "Full",
    fullPool: "Full Pool",
    priority: 20,
    accurate: true,
    storage: "File",
    maxRunSchedTimeSec: 18000,
  });
  assert.equal(text, "1st sun at 1:05");
});

test("lines that are not understood name the word", () => {
  const cases: [string, RegExp][] = [
    ["1st snu at 1:00", /"snu" is not understood.*did you mean "sun"/],
    ["mon 1:00", /write "at" in front of the time/],
    ["mon at", /a time such as 23:05 must follow "at"/],
    ["mon at 24:00", /"24:00" is not a time/],
    ["mon at 13:00pm", /is not a time/],
    ["mon", /says no time/],
    ["", /says no time/],
    ["on 32 at 1:00", /is not from 1 to 31/],
    ["w54 at 1:00", /is not from w00 to w53/],
    ["mon-5 at 1:00", /is not a range/],
    ["last-2nd sun at 1:00", /cannot start with last/],
    ["Level=Ful mon at 1:00", /Level "Ful" is not one of.*did you mean "Full"/],
    ["Pol=x mon at 1:00", /"Pol" cannot be set.*did you mean "Pool"/],
    ["constructor=x mon at 1:00", /cannot be set/],
  ];
  for (const [line, expected] of cases) assert.throws(() => parseBaculaRun(line), expected, line);
});

test("summer time: a skipped time runs when the clock has jumped, a repeated one once", () => {
  assert.deepEqual(due(bacula("daily at 2:30"), "2026-03-28 12:00", 2), [
    "2026-03-29 03:00",
    "2026-03-30 02:30",
  ]);
  const autumn = runsBetween(bacula("daily at 2:30"), local("2026-10-24 12:00"), local("2026-10-26 12:00"));
  assert.deepEqual(
    autumn.map(({ atMs }) => new Date(atMs).toISOString()),
    ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"],
  );
  assert.deepEqual(due(bacula("hourly at 0:05"), "2026-03-29 00:30", 3), [
    "2026-03-29 01:05",
    "2026-03-29 03:00",
    "2026-03-29 03:05",
  ]);
  assert.deepEqual(due(cron("30 2 * * *"), "2026-03-28 12:00", 2).at(-1), "2026-03-30 02:30");
  assert.equal(due(cron("30 2 * * *"), "2026-10-24 12:00", 2).join(), "2026-10-25 02:30,2026-10-26 02:30");
});

test("cron lines", () => {
  assert.deepEqual(due(cron("5 23 * * 1-6"), "2026-11-21 23:05", 2), [
    "2026-11-23 23:05",
    "2026-11-24 23:05",
  ]);
  assert.deepEqual(due(cron("@monthly"), "2026-11-21 23:05", 1), ["2026-12-01 00:00"]);
  for (const line of ["* * * *", "61 * * * *", "0 0 0 * * *", "x y z a b", ""]) {
    assert.throws(() => parseCron(line), /is not a cron line/, line);
  }
});

test("lines without end, and switched off ones", () => {
  assert.equal(nextRunAfter(bacula("feb 30 at 1:00"), local("2026-11-21 00:00")), undefined);
  assert.equal(nextRunAfter({ ...cron("* * * * *"), enabled: false }, 0), undefined);
  assert.equal(
    runsBetween(cron("* * * * *"), local("2026-11-21 00:00"), Number.MAX_SAFE_INTEGER, 5).length,
    5,
  );
});

test("missed runs: once per job, the highest level of the last day", () => {
  const schedules = new Map([
    ["nightly", bacula("Full sun at 23:05", "Incremental mon-sat at 23:05")],
    ["often", bacula("Full sun at 20:00", "Incremental hourly at 0:30")],
  ]);
  const job = { enabled: true, level: "Incremental" as const, rerunMissed: true };
  const jobs = [
    { ...job, name: "a", schedule: "often" },
    { ...job, name: "b", schedule: "nightly", rerunMissed: false },
    { ...job, name: "c", schedule: "nightly" },
    { ...job, name: "d" },
  ];
  const span = { lastAliveMs: local("2026-11-15 12:00"), nowMs: local("2026-11-23 06:00") };
  const found = missedRuns(jobs, schedules, span);
  assert.deepEqual(
    found.map((run) => [run.job, baculaTime(run.atMs).slice(0, 16), run.overrides.level, run.missed]),
    [
      ["a", "2026-11-22 20:00", "Full", 25],
      ["c", "2026-11-22 23:05", "Full", 1],
    ],
  );
  assert.deepEqual(missedRuns(jobs, schedules, { lastAliveMs: span.nowMs, nowMs: span.nowMs }), []);
});
