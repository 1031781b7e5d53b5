import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatBytes,
  formatDuration,
  parseDuration,
  parseSize,
  parseSpeed,
  parseYesNo,
  withCommas,
} from "./units.js";

test("sizes: a letter is a power of 1024, with b a power of 1000", () => {
  const cases: [string, number][] = [
    ["50", 50],
    ["1k", 1024],
    ["1 KB", 1000],
    ["1kib", 1024],
    ["2m", 2 * 1024 ** 2],
    ["50 GB", 50e9],
    ["1.5g", 1.5 * 1024 ** 3],
    [" 4tb ", 4e12],
    ["0", 0],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});

test("sizes that are none are refused by name", () => {
  for (const text of ["", "x", "5q", "-1", "1 2", "9999999p", "constructor", "5constructor"]) {
    assert.throws(() => parseSize(text), { code: "VALUE_INVALID" }, text);
  }
});

test("durations", () => {
  const cases: [string, number][] = [
    ["90", 90],
    ["30d", 30 * 86400],
    ["1 month", 30 * 86400],
    ["2mo", 60 * 86400],
    ["5h", 18000],
    ["2min", 120],
    ["1 year", 365 * 86400],
    ["10 secs", 10],
    ["1 hour 30 min", 5400],
    ["1h30min", 5400],
    ["3 quarters", 273 * 86400],
    ["2 hrs", 7200],
    ["1 week", 604800],
  ];
  for (const [text, seconds] of cases) assert.equal(parseDuration(text), seconds, text);
});

test("durations that are none, or that mean different things to different people, are refused", () => {
  for (const text of ["", " ", "d", "5 fortnights", "1h x", "-5", "5m", "toString"]) {
    assert.throws(() => parseDuration(text), { code: "VALUE_INVALID" }, text);
  }
  assert.throws(() => parseDuration("5m"), /write min for minutes or mo for months/);
});

test("speeds and yes/no", () => {
  assert.equal(parseSpeed("60MB/s"), 60e6);
  assert.equal(parseSpeed("5 m / sec"), 5 * 1024 ** 2);
  assert.equal(parseSpeed("1000"), 1000);
  assert.throws(() => parseSpeed("fast"), /is not a speed/);
  assert.throws(() => parseSpeed(`1${" ".repeat(100_000)}!`), /is not a speed/);
  assert.equal(parseYesNo("YES"), true);
  assert.equal(parseYesNo("0"), false);
  assert.throws(() => parseYesNo("maybe"), /"maybe" is not yes or no/);
});

test("numbers for people", () => {
  assert.equal(withCommas(0), "0");
  assert.equal(withCommas(1234567), "1,234,567");
  assert.equal(withCommas(-1234), "-1,234");
  assert.equal(withCommas(12345678901234567890n), "12,345,678,901,234,567,890");
  assert.equal(formatDuration(0), "0 secs");
  assert.equal(formatDuration(1), "1 sec");
  assert.equal(formatDuration(65), "1 min 5 secs");
  assert.equal(formatDuration(2 * 86400 + 3 * 3600), "2 days 3 hours");
  assert.equal(formatBytes(999), "999 B");
  assert.equal(formatBytes(1234567890), "1.235 GB");
  assert.equal(formatBytes(12345e15), "12,345 PB");
});
