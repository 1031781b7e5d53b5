/** The report that ends every job: keys, order and forms as Bacula prints them, with Basalt's own lines among them. */

import { arch, platform, release } from "node:os";
import { baculaTime, reportTime } from "../../common/time.js";
import { formatBytes, formatDuration, withCommas } from "../../common/units.js";
import type { StatusLetter } from "../db/records.js";

/** One line; undefined values leave it out. */
export type Line = readonly [key: string, value: string | undefined];

export interface ReportHead {
  director: string;
  /** Version of this program. */
  version: string;
  jobId: number;
  job: string;
  startMs: number;
  endMs: number;
  status: StatusLetter;
}

export interface BackupReport extends ReportHead {
  /** `Full`, `Full (upgraded from Incremental)`, `Incremental, since=2026-11-21 03:23:28` */
  level: string;
  client: string;
  fileSet: string;
  pool: string;
  poolOrigin: string;
  storage: string;
  storageOrigin: string;
  scheduledMs: number;
  priority: number;
  filedFiles: number;
  storagedFiles: number;
  filedBytes: number;
  storagedBytes: number;
  readBytes: number;
  sentBytes: number;
  storedBytes: number;
  /** Bytes of the frames before compression; 0: nothing was sent. */
  rawBytes: number;
  baseJobIds: readonly number[];
  baseFiles: number;
  usedFiles: number;
  baseBytes: number;
  accurate: boolean;
  volumes: readonly string[];
  volSessionId: number;
  volSessionTime: number;
  lastVolumeBytes: number;
  filedErrors: number;
  storagedErrors: number;
  filedStatus: string;
  storagedStatus: string;
}

export interface RestoreReport extends ReportHead {
  client: string;
  /** "" is the original place. */
  where: string;
  /** What makes new names, instead of `where`; "" for none. */
  regexWhere: string;
  replace: string;
  filesExpected: number;
  filesRestored: number;
  bytesRestored: number;
  filedErrors: number;
  filedStatus: string;
  storagedStatus: string;
}

export interface AdminReport extends ReportHead {
  scheduledMs: number;
}

export const BUILD_OS = `${arch() === "x64" ? "x86_64" : arch()}-${platform()} ${release()}`;

/** The head line, then the lines of the job's kind. */
export function backupReport(report: BackupReport): string {
  const base = report.baseJobIds.length > 0;
  const lines: Line[] = [
    ["Build OS", BUILD_OS],
    ["JobId", String(report.jobId)],
    ["Job", report.job],
    ["Backup Level", report.level],
    ["Client", `"${report.client}"`],
    ["FileSet", `"${report.fileSet}"`],
    ["Pool", from(report.pool, report.poolOrigin)],
    ["Catalog", from("MyCatalog", "Client resource")],
    ["Storage", from(report.storage, report.storageOrigin)],
    ["Scheduled time", reportTime(report.scheduledMs)],
    ...times(report),
    ["Priority", String(report.priority)],
    ["FD Files Written", withCommas(report.filedFiles)],
    ["SD Files Written", withCommas(report.storagedFiles)],
    ["FD Bytes Written", size(report.filedBytes)],
    ["SD Bytes Written", size(report.storagedBytes)],
    ["FD Bytes Read", size(report.readBytes)],
    ["FD Bytes Sent", size(report.sentBytes)],
    ["SD Bytes Stored", size(report.storedBytes)],
    ["Rate", rate(report.filedBytes, report)],
    ["Software Compression", compression(report.rawBytes, report.sentBytes)],
    ["Comm Line Compression", "None"],
    ["Base JobIds", base ? report.baseJobIds.join(",") : undefined],
    ["Base files/Used files", base ? baseShare(report.usedFiles, report.baseFiles) : undefined],
    ["Base bytes saved", base ? size(report.baseBytes) : undefined],
    ["Snapshot/VSS", "no"],
    ["Encryption", "no"],
    ["Accurate", report.accurate ? "yes" : "no"],
    ["Volume name(s)", report.volumes.join("|")],
    ["Volume Session Id", String(report.volSessionId)],
    ["Volume Session Time", String(report.volSessionTime)],
    ["Last Volume Bytes", size(report.lastVolumeBytes)],
    ["Non-fatal FD errors", String(report.filedErrors)],
    ["SD Errors", String(report.storagedErrors)],
    ["FD termination status", report.filedStatus],
    ["SD termination status", report.storagedStatus],
    ["Termination", backupTermination(report.status)],
  ];
  // No client takes part in a Virtual Full.
  const shown =
    report.level === "Virtual Full" ? lines.filter(([key]) => !/^(Non-fatal )?FD /.test(key)) : lines;
  return render(report, shown);
}

export function restoreReport(report: RestoreReport): string {
  return render(report, [
    ["Build OS", BUILD_OS],
    ["JobId", String(report.jobId)],
    ["Job", report.job],
    ["Restore Client", `"${report.client}"`],
    report.regexWhere === ""
      ? ["Where", report.where === "" ? "/" : report.where]
      : ["RegexWhere", report.regexWhere],
    ["Replace", report.replace.charAt(0).toUpperCase() + report.replace.slice(1)],
    ...times(report),
    ["Files Expected", withCommas(report.filesExpected)],
    ["Files Restored", withCommas(report.filesRestored)],
    ["Bytes Restored", size(report.bytesRestored)],
    ["Rate", rate(report.bytesRestored, report)],
    ["FD Errors", String(report.filedErrors)],
    ["FD termination status", report.filedStatus],
    ["SD termination status", report.storagedStatus],
    ["Termination", restoreTermination(report)],
  ]);
}

export function adminReport(report: AdminReport): string {
  return render(report, [
    ["JobId", String(report.jobId)],
    ["Job", report.job],
    ["Scheduled time", reportTime(report.scheduledMs)],
    ...times(report).slice(0, 2),
    [
      "Termination",
      byStatus(
        report.status,
        "Admin OK",
        "Admin OK -- with warnings",
        "*** Admin Error ***",
        "Admin Canceled",
      ),
    ],
  ]);
}

export function backupTermination(status: StatusLetter): string {
  if (status === "I") return "Backup failed -- Incomplete";
  return byStatus(
    status,
    "Backup OK",
    "Backup OK -- with warnings",
    "*** Backup Error ***",
    "Backup Canceled",
  );
}

/** A count that differs from what was asked for outranks other warnings: scripts look for it. */
export function restoreTermination(
  report: Pick<RestoreReport, "status" | "filesExpected" | "filesRestored" | "filedErrors">,
): string {
  let warning = "Restore OK -- with warnings";
  if (report.filesExpected !== report.filesRestored) warning = "Restore OK -- warning file count mismatch";
  else if (report.filedErrors > 0) warning = "Restore OK -- with errors";
  return byStatus(report.status, "Restore OK", warning, "*** Restore Error ***", "Restore Canceled");
}

export function byStatus(
  status: StatusLetter,
  ok: string,
  warning: string,
  error: string,
  canceled: string,
): string {
  if (status === "T") return ok;
  if (status === "W") return warning;
  return status === "A" ? canceled : error;
}

/** Head and lines of any report. */
export function render(head: ReportHead, lines: readonly Line[]): string {
  const shown = lines.filter(([, value]) => value !== undefined);
  const body = shown.map(([key, value]) => `  ${`${key}:`.padEnd(23)} ${value}`.trimEnd());
  return [`Basalt ${head.director} ${head.version}:`, ...body, ""].join("\n");
}

/** Start, end and duration. */
export function times(head: ReportHead): Line[] {
  return [
    ["Start time", reportTime(head.startMs)],
    ["End time", reportTime(head.endMs)],
    ["Elapsed time", formatDuration(Math.max(0, Math.round((head.endMs - head.startMs) / 1000)))],
  ];
}

export function from(name: string, origin: string): string {
  return origin === "" ? `"${name}"` : `"${name}" (From ${origin})`;
}

/** `1,234,567 (1.235 MB)` */
export function size(bytes: number): string {
  return `${withCommas(bytes)} (${formatBytes(bytes)})`;
}

/** Bytes per second of the whole run, in units of 1000 bytes as Bacula counts. */
export function rate(bytes: number, head: ReportHead): string {
  const seconds = Math.max(1, Math.round((head.endMs - head.startMs) / 1000));
  return `${(bytes / 1000 / seconds).toFixed(1)} KB/s`;
}

/** `65.4% 2.9:1`, or `None` below half a percent. */
export function compression(rawBytes: number, sentBytes: number): string {
  if (rawBytes <= 0 || sentBytes <= 0) return "None";
  const percent = 100 - (100 * sentBytes) / rawBytes;
  return percent < 0.5 ? "None" : `${percent.toFixed(1)}% ${(rawBytes / sentBytes).toFixed(1)}:1`;
}

/** Files that could have matched a Base, then those that did: what Bacula calls "Base files" and "Used files". */
function baseShare(candidates: number, matched: number): string {
  const percent = candidates > 0 ? (100 * matched) / candidates : 0;
  return `${candidates}/${matched} (${percent.toFixed(2)}%)`;
}

/** `Virtual Full`, `Incremental, since=2026-11-21 03:23:28` and the like. */
export function levelText(level: string, asked: string, sinceMs: number): string {
  if (level === "VirtualFull") return "Virtual Full";
  if (level !== asked) return `${level} (upgraded from ${asked})`;
  return sinceMs > 0 ? `${level}, since=${baculaTime(sinceMs)}` : level;
}
