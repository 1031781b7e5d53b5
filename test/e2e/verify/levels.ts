/** Every level of Verify jobs, on a machine that is as it was, and on one that is not. */
import assert from "node:assert/strict";
import { chmod, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { type JobReport, reportNumber } from "../../helpers/job-report.js";
import type { Scenario } from "../../helpers/scenario.js";

export const LEVELS = ["Data", "VolumeToCatalog", "DiskToCatalog", "InitCatalog", "Catalog"] as const;

/** Runs the Verify job of the scenario. */
export function verify(scenario: Scenario, level: string, words = ""): Promise<JobReport> {
  return scenario.installation.runJob("verify-m", { level, words });
}

export function levelTests(get: () => Scenario): void {
  describe("levels", () => {
    for (const level of LEVELS) {
      test(`${level}: nothing differs`, async () => {
        const report = await verify(get(), level);
        assert.equal(report.termination, "Verify OK", report.report);
        assert.match(
          report.report,
          new RegExp(`Start Verify JobId=${report.jobId} Level=${level} Job=verify-m\\.`),
        );
        assert.equal(report.lines.get("Verify Level"), level);
        assert.equal(reportNumber(report, "Differences"), 0);
        const ofBackup = level !== "InitCatalog" && level !== "Catalog";
        assert.equal(report.lines.has("Verify JobId"), ofBackup);
        if (ofBackup) assert.match(report.report, /Verifying against JobId=2 Job=m\./);
        assert.ok(reportNumber(report, "Files Examined") > 0, report.report);
        if (level === "Data")
          assert.equal(report.lines.get("Files Expected"), report.lines.get("Files Examined"));
      });
    }

    test("an earlier run, by its JobId", async () => {
      const report = await verify(get(), "VolumeToCatalog", "jobid=1");
      assert.equal(report.termination, "Verify OK", report.report);
      assert.equal(report.lines.get("Verify JobId"), "1");
      const none = await verify(get(), "Data", "jobid=4711");
      assert.equal(none.termination, "*** Verify Error ***", none.report);
      assert.match(none.report, /JobId 4711 is not a finished backup/);
    });

    test("another disk: DiskToCatalog and Catalog name every difference", async () => {
      const root = get().path("m");
      const file = `${root}/files/f03`;
      const before = await stat(file);
      const content = await readFile(file);
      // Same size, same times, other bytes: only a digest tells.
      content[500] = content[500]! ^ 1;
      await writeFile(file, content);
      await utimes(file, before.atime, before.mtime);
      await chmod(`${root}/files/f04`, 0o600);
      await rename(`${root}/files/f05`, `${root}/files/new name`);
      await rm(`${root}/link`);
      for (const level of ["DiskToCatalog", "Catalog"]) {
        const report = await verify(get(), level);
        const text = report.report;
        assert.equal(report.termination, "Verify Differences", text);
        assert.match(text, /File: \/files\/f03$/m);
        assert.match(text, /BLAKE3 {3}differs\. Cat: [0-9a-f]{64} File: [0-9a-f]{64}$/m);
        assert.match(text, /File: \/files\/f04$/m);
        assert.match(text, /st_mode {2}differ\. Cat: 644 File: 600$/m);
        assert.match(text, /New file: \/files\/new name$/m);
        assert.match(text, /The following files are missing:\n.* {6}\/files\/f05\n.* {6}\/link\n/);
        assert.doesNotMatch(text, /f06/);
      }
      const jobs = await get().installation.console(["list jobs jobtype=V"]);
      assert.match(jobs, /\| D +\|/);
      // As it was: later tests need the old content.
      await rename(`${root}/files/new name`, `${root}/files/f05`);
      content[500] = content[500]! ^ 1;
      await writeFile(file, content);
      await chmod(`${root}/files/f04`, 0o644);
    });
  });
}
