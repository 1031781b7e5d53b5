import assert from "node:assert/strict";
import { test } from "node:test";
import { findReport, reportNumber, reportSeconds } from "./job-report.js";

const OUTPUT = `21-Nov 03:23 test-dir JobId 4: Bacula test-dir 9.6.7 (10Dec20):
  Build OS:               x86_64
  JobId:                  4
  Elapsed time:           2 mins 5 secs
  Base files/Used files:  1545/1490 (96.44%)
  SD Bytes Written:       1,234,567 (1.234 MB)
  Volume name(s):         
  Termination:            Backup OK

21-Nov 03:24 test-dir JobId 5: Error: Bacula test-dir 9.6.7 (10Dec20):
  Build OS:               x86_64
  JobId:                  5
  Termination:            *** Backup Error ***

`;

test("the report of one job is found among others", () => {
  const four = findReport(OUTPUT, 4);
  assert.ok(four);
  assert.equal(four.termination, "Backup OK");
  assert.equal(reportNumber(four, "SD Bytes Written"), 1234567);
  assert.equal(reportSeconds(four), 125);
  assert.equal(four.lines.get("Base files/Used files"), "1545/1490 (96.44%)");
  assert.equal(four.lines.get("Volume name(s)"), "");
  assert.equal(findReport(OUTPUT, 5)?.termination, "*** Backup Error ***");
  assert.equal(findReport(OUTPUT, 6), undefined);
});
