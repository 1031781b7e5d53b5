/** The report that ends a Verify job: keys, order and forms as Bacula prints them. */

import { withCommas } from "../../common/units.js";
import type { StatusLetter } from "../db/records.js";
import { BUILD_OS, type ReportHead, render, times } from "./report.js";

export interface VerifyReport extends ReportHead {
  fileSet: string;
  level: string;
  client: string;
  /** 0 and "": the level verifies no earlier run. */
  verifiedJobId: number;
  verifiedJob: string;
  accurate: boolean;
  /** Undefined: nobody knows how many there should be. */
  filesExpected: number | undefined;
  filesExamined: number;
  differences: number;
  filedErrors: number;
  /** Undefined: the storage daemon only sent a list. */
  storagedErrors: number | undefined;
  /** "": the daemon had no part in it. */
  filedStatus: string;
  storagedStatus: string;
}

export function verifyReport(report: VerifyReport): string {
  const { verifiedJobId, filesExpected, storagedErrors, filedStatus } = report;
  const target = verifiedJobId > 0;
  return render(report, [
    ["Build OS", BUILD_OS],
    ["JobId", String(report.jobId)],
    ["Job", report.job],
    ["FileSet", report.fileSet],
    ["Verify Level", report.level],
    ["Client", report.client],
    ["Verify JobId", target ? String(verifiedJobId) : undefined],
    ["Verify Job", target ? report.verifiedJob : undefined],
    ...times(report),
    ["Accurate", report.accurate ? "yes" : "no"],
    ["Files Expected", filesExpected === undefined ? undefined : withCommas(filesExpected)],
    ["Files Examined", withCommas(report.filesExamined)],
    ["Differences", withCommas(report.differences)],
    ["Non-fatal FD errors", String(report.filedErrors)],
    ["SD Errors", storagedErrors === undefined ? undefined : String(storagedErrors)],
    ["FD termination status", filedStatus === "" ? undefined : filedStatus],
    ["SD termination status", report.storagedStatus],
    ["Termination", verifyTermination(report.status)],
  ]);
}

export function verifyTermination(status: StatusLetter): string {
  switch (status) {
    case "T":
      return "Verify OK";
    case "W":
      return "Verify warnings";
    case "D":
      return "Verify Differences";
    case "A":
      return "Verify Canceled";
    default:
      return "*** Verify Error ***";
  }
}
