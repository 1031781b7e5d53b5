/** Words and report of Copy and Migrate jobs. */

import { reportTime } from "../../common/time.js";
import { withCommas } from "../../common/units.js";
import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { StatusLetter } from "../db/records.js";
import type { JobRun } from "./job-run.js";
import { BUILD_OS, byStatus, from, type Line, rate, render, size, times } from "./report.js";

/** What a run worked on, as far as it came. */
export interface CopyFacts {
  /** Nothing was chosen: no error. */
  nothing: boolean;
  original: CatalogJob | undefined;
  /** JobId of the new backup record; 0: none. */
  newJobId: number;
  writePool: string;
  writePoolOrigin: string;
  writeStorage: string;
  writeStorageOrigin: string;
}

export const NO_COPY: CopyFacts = {
  ...{ nothing: false, original: undefined, newJobId: 0, writePool: "", writePoolOrigin: "" },
  ...{ writeStorage: "", writeStorageOrigin: "" },
};

export interface CopyWords {
  /** `Copying JobId 5 started.` */
  doing: string;
  /** `chosen to be copied` */
  done: string;
  /** `to copy` */
  verb: string;
}

/** Bacula's words for one of the two types. */
export function copyWords(type: string): CopyWords {
  return type === "Migrate"
    ? { doing: "Migration", done: "migrated", verb: "migrate" }
    : { doing: "Copying", done: "copied", verb: "copy" };
}

function termination(run: JobRun, facts: CopyFacts): string {
  const { doing, verb } = copyWords(run.plan.job.type);
  const ok = (status: StatusLetter): string =>
    status === "W" ? `${doing} OK -- with warnings` : `${doing} OK`;
  if (facts.nothing && (run.status === "T" || run.status === "W")) return `${doing} -- no files to ${verb}`;
  return byStatus(run.status, ok("T"), ok("W"), `*** ${doing} Error ***`, `${doing} Canceled`);
}

/** The report of a run that has ended, well or not. */
export function reportCopy(run: JobRun): string {
  const { live, plan, copied = NO_COPY } = run;
  const { original } = copied;
  const { result, status } = run.storaged;
  const head = {
    director: plan.config.director.name,
    version: run.services.version,
    ...{ jobId: live.jobId, job: live.job, startMs: run.startMs, endMs: run.endMs, status: run.status },
  };
  const number = (jobId: number | undefined): string => String(jobId ?? 0);
  const lines: Line[] = [
    ["Build OS", BUILD_OS],
    ["Prev Backup JobId", number(original?.jobId)],
    ["Prev Backup Job", original?.job ?? ""],
    ["New Backup JobId", number(copied.newJobId)],
    ["Current JobId", String(live.jobId)],
    ["Current Job", live.job],
    ["Backup Level", original?.level ?? ""],
    ["Client", `"${original?.client ?? plan.client?.name ?? ""}"`],
    ["FileSet", `"${original?.fileSet ?? plan.fileSet?.name ?? ""}"`],
    ["Read Pool", from(plan.pool?.name ?? "", plan.origins.pool)],
    ["Read Storage", from(plan.storage?.name ?? "", plan.origins.storage)],
    ["Write Pool", copied.writePool === "" ? "*None*" : from(copied.writePool, copied.writePoolOrigin)],
    [
      "Write Storage",
      copied.writeStorage === "" ? "*None*" : from(copied.writeStorage, copied.writeStorageOrigin),
    ],
    ["Catalog", from("MyCatalog", "Client resource")],
    ["Scheduled time", reportTime(plan.whenMs)],
    ...times(head),
    ["Priority", String(plan.priority)],
    ["SD Files Written", withCommas(result.files)],
    ["SD Bytes Written", size(result.bytes)],
    ["SD Bytes Stored", size(result.bytesStored)],
    ["Rate", rate(result.bytes, head)],
    ["Volume name(s)", result.volumes.join("|")],
    ["Volume Session Id", String(result.volSessionId)],
    ["Volume Session Time", String(result.volSessionTime)],
    ["Last Volume Bytes", size(result.lastVolumeBytes)],
    ["SD Errors", String(result.errors)],
    ["SD termination status", status],
    ["Termination", termination(run, copied)],
  ];
  return render(head, lines);
}
