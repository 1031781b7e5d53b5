import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatusLetter } from "../db/records.js";
import { verifyReport, verifyTermination } from "./verify-report.js";

const FACTS = {
  ...{ director: "main-dir", version: "1.0", jobId: 7, job: "v.x", startMs: 0, endMs: 2000, fileSet: "All" },
  ...{ level: "Data", client: "c-fd", verifiedJobId: 3, verifiedJob: "web1.y", accurate: true },
  ...{ filesExpected: 1234, filesExamined: 1230, differences: 4, filedErrors: 0, storagedErrors: 4 },
  ...{ filedStatus: "", storagedStatus: "OK" },
};

function keys(text: string): string[] {
  return [...text.matchAll(/^ {2}(\S[^:]*):/gm)].map(([, key]) => key!);
}

test("keys in Bacula's order; those of daemons without a part are left out", () => {
  const text = verifyReport({ ...FACTS, status: "D" });
  assert.deepEqual(
    keys(text).join(", "),
    "Build OS, JobId, Job, FileSet, Verify Level, Client, Verify JobId, Verify Job, Start time, End time, " +
      "Elapsed time, Accurate, Files Expected, Files Examined, Differences, Non-fatal FD errors, SD Errors, " +
      "SD termination status, Termination",
  );
  assert.match(text, /^ {2}Files Expected: {9}1,234$/m);
  assert.match(text, /^ {2}Termination: {12}Verify Differences$/m);
  const disk = { verifiedJobId: 0, filesExpected: undefined, storagedErrors: undefined, filedStatus: "OK" };
  const shown = keys(verifyReport({ ...FACTS, ...disk, status: "T" }));
  for (const key of ["Verify JobId", "Files Expected", "SD Errors"]) assert.ok(!shown.includes(key), key);
  assert.ok(shown.includes("FD termination status"));
});

test("terminations", () => {
  const words = [..."TWDAEf"].map((letter) => verifyTermination(letter as StatusLetter));
  assert.deepEqual(words, [
    ...["Verify OK", "Verify warnings", "Verify Differences", "Verify Canceled"],
    ...["*** Verify Error ***", "*** Verify Error ***"],
  ]);
});
