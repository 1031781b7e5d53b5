import assert from "node:assert/strict";
import { test } from "node:test";
import {
  adminReport,
  type BackupReport,
  BUILD_OS,
  backupReport,
  backupTermination,
  compression,
  levelText,
  restoreReport,
} from "./report.js";

const START = new Date(2026, 10, 21, 3, 22, 22).getTime();

const BACKUP: BackupReport = {
  director: "main-dir",
  version: "0.1.0",
  jobId: 7,
  job: "web1.2026-11-21_03.22.19_04",
  startMs: START,
  endMs: START + 65_000,
  status: "T",
  level: "Full",
  client: "web1-fd",
  fileSet: "Full Set",
  pool: "Default",
  poolOrigin: "Job resource",
  storage: "File",
  storageOrigin: "Pool resource",
  scheduledMs: START - 3000,
  priority: 10,
  filedFiles: 1490,
  storagedFiles: 1490,
  filedBytes: 128_544_000,
  storagedBytes: 128_544_000,
  readBytes: 200_000_000,
  sentBytes: 34_600,
  storedBytes: 35_000,
  rawBytes: 100_000,
  baseJobIds: [12, 15],
  baseFiles: 1490,
  usedFiles: 1545,
  baseBytes: 999,
  accurate: true,
  volumes: ["Vol-0001", "Vol-0002"],
  volSessionId: 3,
  volSessionTime: 1_763_692_000,
  lastVolumeBytes: 1234,
  filedErrors: 0,
  storagedErrors: 0,
  filedStatus: "OK",
  storagedStatus: "OK",
};

test("a backup's report, line by line", () => {
  assert.deepEqual(backupReport(BACKUP).split("\n"), [
    "Basalt main-dir 0.1.0:",
    `  Build OS:               ${BUILD_OS}`,
    "  JobId:                  7",
    "  Job:                    web1.2026-11-21_03.22.19_04",
    "  Backup Level:           Full",
    '  Client:                 "web1-fd"',
    '  FileSet:                "Full Set"',
    '  Pool:                   "Default" (From Job resource)',
    '  Catalog:                "MyCatalog" (From Client resource)',
    '  Storage:                "File" (From Pool resource)',
    "  Scheduled time:         21-Nov-2026 03:22:19",
    "  Start time:             21-Nov-2026 03:22:22",
    "  End time:               21-Nov-2026 03:23:27",
    "  Elapsed time:           1 min 5 secs",
    "  Priority:               10",
    "  FD Files Written:       1,490",
    "  SD Files Written:       1,490",
    "  FD Bytes Written:       128,544,000 (128.5 MB)",
    "  SD Bytes Written:       128,544,000 (128.5 MB)",
    "  FD Bytes Read:          200,000,000 (200.0 MB)",
    "  FD Bytes Sent:          34,600 (34.60 KB)",
    "  SD Bytes Stored:        35,000 (35.00 KB)",
    "  Rate:                   1977.6 KB/s",
    "  Software Compression:   65.4% 2.9:1",
    "  Comm Line Compression:  None",
    "  Base JobIds:            12,15",
    "  Base files/Used files:  1545/1490 (96.44%)",
    "  Base bytes saved:       999 (999 B)",
    "  Snapshot/VSS:           no",
    "  Encryption:             no",
    "  Accurate:               yes",
    "  Volume name(s):         Vol-0001|Vol-0002",
    "  Volume Session Id:      3",
    "  Volume Session Time:    1763692000",
    "  Last Volume Bytes:      1,234 (1.234 KB)",
    "  Non-fatal FD errors:    0",
    "  SD Errors:              0",
    "  FD termination status:  OK",
    "  SD termination status:  OK",
    "  Termination:            Backup OK",
    "",
  ]);
});

test("without Bases their lines are left out; a run shorter than a second has a rate", () => {
  const text = backupReport({ ...BACKUP, baseJobIds: [], endMs: START });
  assert.doesNotMatch(text, /Base/);
  assert.match(text, /Elapsed time: {11}0 secs\n/);
  assert.match(text, /Rate: {19}128544\.0 KB\/s\n/);
});

test("terminations", () => {
  assert.equal(backupTermination("W"), "Backup OK -- with warnings");
  assert.equal(backupTermination("E"), "*** Backup Error ***");
  assert.equal(backupTermination("f"), "*** Backup Error ***");
  assert.equal(backupTermination("A"), "Backup Canceled");
});

test("a restore's report and its terminations", () => {
  const restore = {
    ...{ director: "d", version: "1", jobId: 8, job: "R.x", startMs: START, endMs: START + 1000 },
    ...{ status: "T" as const, client: "web1-fd", where: "/tmp/r", regexWhere: "", replace: "ifnewer" },
    ...{ filesExpected: 1490, filesRestored: 1490, bytesRestored: 5000, filedErrors: 0 },
    ...{ filedStatus: "OK", storagedStatus: "OK" },
  };
  assert.deepEqual(restoreReport(restore).split("\n").slice(2), [
    "  JobId:                  8",
    "  Job:                    R.x",
    '  Restore Client:         "web1-fd"',
    "  Where:                  /tmp/r",
    "  Replace:                Ifnewer",
    "  Start time:             21-Nov-2026 03:22:22",
    "  End time:               21-Nov-2026 03:22:23",
    "  Elapsed time:           1 sec",
    "  Files Expected:         1,490",
    "  Files Restored:         1,490",
    "  Bytes Restored:         5,000 (5.000 KB)",
    "  Rate:                   5.0 KB/s",
    "  FD Errors:              0",
    "  FD termination status:  OK",
    "  SD termination status:  OK",
    "  Termination:            Restore OK",
    "",
  ]);
  const last = (changes: object): string | undefined =>
    restoreReport({ ...restore, ...changes })
      .split("\n")
      .at(-2)
      ?.slice(26);
  assert.equal(last({ status: "W", filesRestored: 3 }), "Restore OK -- warning file count mismatch");
  assert.equal(last({ status: "W", filedErrors: 3 }), "Restore OK -- with errors");
  assert.equal(last({ status: "W" }), "Restore OK -- with warnings");
  assert.equal(last({ status: "E" }), "*** Restore Error ***");
  assert.equal(last({ status: "A" }), "Restore Canceled");
});

test("admin jobs, compression and levels", () => {
  const admin = {
    director: "d",
    version: "1",
    jobId: 1,
    job: "a.x",
    startMs: START,
    endMs: START,
    scheduledMs: START,
  };
  assert.match(adminReport({ ...admin, status: "E" }), /Termination: {12}\*\*\* Admin Error \*\*\*\n$/);
  assert.equal(compression(0, 0), "None");
  assert.equal(compression(1000, 998), "None");
  assert.equal(compression(1000, 1100), "None");
  assert.equal(levelText("Full", "Incremental", 0), "Full (upgraded from Incremental)");
  assert.equal(levelText("Incremental", "Incremental", START), "Incremental, since=2026-11-21 03:22:22");
  assert.equal(levelText("Base", "Base", 0), "Base");
});
