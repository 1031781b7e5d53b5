import assert from "node:assert/strict";
import { test } from "node:test";
import { calendarOf } from "./calendar.js";
import { type KeepPolicy, wantedRuns } from "./keep.js";

const UTC = calendarOf({ timeZone: "UTC", utcOffsetMinutes: 0 });
const NOTHING: KeepPolicy = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 0 };

test("keep counts the last run of each period that has one", () => {
  const at = (text: string) => Date.parse(text);
  const runs = [
    ["2024-12-30T10:00Z", 1],
    ["2025-01-02T10:00Z", 2],
    ["2025-01-02T23:30Z", 3],
    ["2025-03-09T01:00Z", 4],
  ].map(([text, id]) => ({ id: id as number, startMs: at(text as string) }));
  const wanted = (policy: Partial<KeepPolicy>, zone = UTC) =>
    [...wantedRuns(runs, { ...NOTHING, ...policy }, zone, at("2025-03-09T02:00Z"))].sort(
      (a, b) => a[0] - b[0],
    );
  assert.deepEqual(wanted({ daily: 2 }), [
    [3, "daily 2 of 2"],
    [4, "daily 1 of 2"],
  ]);
  // 30 December 2024 and 2 January 2025 are one ISO week.
  assert.deepEqual(
    wanted({ weekly: 5 }).map(([id]) => id),
    [3, 4],
  );
  assert.deepEqual(wanted({ monthly: 5, last: 1 }), [
    [1, "monthly 3 of 5"],
    [3, "monthly 2 of 5"],
    [4, "last 1 of 1, monthly 1 of 5"],
  ]);
  assert.deepEqual(wanted({ within: 3600 }), [[4, "within"]]);
  const tokyo = calendarOf({ timeZone: "Asia/Tokyo", utcOffsetMinutes: 0 });
  assert.deepEqual(
    wanted({ daily: 9 }, tokyo).map(([id]) => id),
    [1, 2, 3, 4],
  );
  const offset = calendarOf({ timeZone: "No/Such", utcOffsetMinutes: 9 * 60 });
  assert.deepEqual(wanted({ daily: 9 }, offset), wanted({ daily: 9 }, tokyo));
});

test("ISO weeks and dates agree with known ones, before 1970 too", () => {
  const week = (text: string) => UTC(Date.parse(text)).week;
  assert.equal(week("2026-01-01T00:00Z"), "2026-W01");
  assert.equal(week("2027-01-03T23:59Z"), "2026-W53");
  assert.equal(week("2024-12-30T00:00Z"), "2025-W01");
  assert.equal(week("1969-12-31T00:00Z"), "1970-W01");
  const newYork = calendarOf({ timeZone: "America/New_York", utcOffsetMinutes: 0 });
  assert.equal(newYork(Date.parse("2026-03-01T04:30Z")).day, "2026-02-28");
});
