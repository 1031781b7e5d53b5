/**
 * Carries a job through: its kind's sequence, the After hooks whatever happened, the report, and its record. A job
 * that was cancelled while it waited only gets its report.
 */

import { rm } from "node:fs/promises";
import { BackupError, describeError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import type { JobType } from "../config/types.js";
import type { StatusLetter } from "../db/records.js";
import { SCHED_TIME_EXCEEDED, START_DELAY_EXCEEDED } from "../queue/decide.js";
import { learnOutcome } from "../recover-outcome.js";
import { autoPrune } from "../retention/auto-prune.js";
import { reportAdmin, runAdmin } from "./admin.js";
import { reportBackup, runBackup } from "./backup.js";
import { runCopy } from "./copy.js";
import { reportCopy } from "./copy-report.js";
import { runAfterHooks } from "./hooks.js";
import { JobRun, type JobServices } from "./job-run.js";
import type { LiveJob } from "./live-job.js";
import { filesExpected, reportRestore, runRestore } from "./restore.js";
import { limitRunTime } from "./time-limits.js";
import { reportVerify, runVerify } from "./verify.js";
import { writeBootstrap } from "./write-bootstrap.js";

/** How long a storage daemon that died may be away until nobody asks it any more what it has kept. */
const STORAGE_AWAY_MS = 600_000;

interface Kind {
  run: (run: JobRun) => Promise<void>;
  report: (run: JobRun) => string;
  /** Whether both daemons have to end well. */
  daemons: boolean;
}

const KINDS: Readonly<Record<JobType, Kind>> = {
  Backup: { run: runBackup, report: reportBackup, daemons: true },
  Restore: { run: runRestore, report: reportRestore, daemons: true },
  Admin: { run: runAdmin, report: reportAdmin, daemons: false },
  Verify: { run: runVerify, report: reportVerify, daemons: false },
  Copy: { run: runCopy, report: reportCopy, daemons: false },
  Migrate: { run: runCopy, report: reportCopy, daemons: false },
};

/** Runs to the end; never rejects for what can happen to a job. Returns the finished run. */
export async function runLiveJob(live: LiveJob, services: JobServices): Promise<JobRun> {
  const run = new JobRun(live, services);
  const kind = KINDS[live.plan.job.type];
  live.startedMs = run.startMs;
  const started = recordStart(run) && !live.canceled;
  services.changed();
  if (started) await perform(run, kind);
  else if (live.canceled) run.reason = live.cancelReason ?? "canceled";
  const late = [START_DELAY_EXCEEDED, SCHED_TIME_EXCEEDED].find((text) => text === live.cancelReason);
  if (!started && late !== undefined) run.say("fatal", late);
  run.status = judge(run, kind);
  if (started) await runAfterHooks(run, run.status === "T" || run.status === "W");
  await settleBootstrap(run);
  if (run.status === "T" && run.errors + run.warnings > 0) run.status = "W";
  finish(run, kind);
  if (live.plan.job.type === "Backup" && run.storaged.broken === true) learnLater(run);
  live.ended = true;
  const succeeded = run.status === "T" || run.status === "W";
  if (started && succeeded && live.plan.job.type === "Backup") await autoPrune(run);
  return run;
}

/**
 * A storage daemon that died keeps the job as far as its last checkpoint when it is there again: the record says so then,
 * unless the job runs again by that time.
 */
function learnLater({ live, services }: JobRun): void {
  const record = services.db.jobs.get(live.jobId);
  if (record?.status !== "E") return;
  learnOutcome(services, record, STORAGE_AWAY_MS).catch((error: unknown) => {
    const text = `JobId ${live.jobId}: not known what its storage has kept: ${describeError(error)}`;
    services.log.debug(text);
  });
}

/** False when the database takes nothing: what ran then would leave no trace. Never throws. */
function recordStart(run: JobRun): boolean {
  const { live, services } = run;
  try {
    services.db.jobs.update(live.jobId, { status: "R", startMs: run.startMs });
    return true;
  } catch (error) {
    run.reason = `the director's database cannot record the start of the job: ${describeError(error)}`;
    run.say("fatal", run.reason);
    services.log.error(`JobId ${live.jobId} was not started`, { err: error });
    return false;
  }
}

/** A backup writes its file; that of a restore has done its service. */
async function settleBootstrap(run: JobRun): Promise<void> {
  const { job, request } = run.plan;
  if (job.type === "Backup" && (run.status === "T" || run.status === "W")) await writeBootstrap(run);
  const { bootstrap, dropBootstrap } = request.restore ?? {};
  if (bootstrap !== undefined && dropBootstrap === true)
    await rm(bootstrap, { force: true }).catch(() => undefined);
}

async function perform(run: JobRun, kind: Kind): Promise<void> {
  const { live } = run;
  const stop = limitRunTime(run);
  try {
    await kind.run(run);
  } catch (error) {
    run.reason = live.canceled ? (live.cancelReason ?? "canceled") : describeError(error);
    if (!live.canceled) run.say("fatal", run.reason);
    if (!(error instanceof BackupError) && !live.canceled) {
      run.services.log.error(`JobId ${live.jobId} failed`, { err: error });
    }
  } finally {
    stop();
  }
}

function judge(run: JobRun, kind: Kind): StatusLetter {
  const { filed, storaged, live } = run;
  const done = kind.daemons ? filed.result.ok && storaged.result.ok : run.reason === "";
  if (isIncomplete(run)) return "I";
  // A cancel that came after both daemons had finished changes nothing any more.
  if (live.canceled && !(done && kind.daemons)) return "A";
  if (!done) return "E";
  const daemons = [filed.result, storaged.result];
  if (daemons.some((result) => result.differences > 0)) return "D";
  const troubled = daemons.some((result) => result.errors + result.warnings > 0);
  const short = live.plan.job.type === "Restore" && filesExpected(run) !== filed.result.files;
  return troubled || short || run.errors + run.warnings > 0 ? "W" : "T";
}

/** Ended early, and what it stored is there to go on from; also one that was stopped before it had stored anything. */
function isIncomplete({ live, storaged, filed }: JobRun): boolean {
  if (live.plan.job.type !== "Backup" || (live.canceled && !live.stopped)) return false;
  if (storaged.result.ok && filed.result.ok) return false;
  return storaged.result.incomplete || (live.stopped && live.plan.job.allowIncompleteJobs);
}

/** Report and record, together: whoever sees that the job is over finds all that it said. Never throws. */
function finish(run: JobRun, kind: Kind): void {
  const { live, services, plan } = run;
  run.endMs = nowMs();
  const filed = run.filed.result;
  const storaged = run.storaged.result;
  // A client that died has told nothing; what counts is what was kept.
  if (run.status === "I") run.filed.result = { ...filed, files: storaged.files, bytes: storaged.bytes };
  const { files, bytes } = run.filed.result;
  const report = kind.report(run);
  const failed = run.status === "E";
  if (failed && run.errors === 0) run.errors = 1;
  services.messages.emit(run.source, failed ? "error" : "info", report);
  const record = {
    status: run.status,
    endMs: run.endMs,
    client: plan.client?.name ?? "",
    pool: plan.pool?.name ?? "",
    storage: plan.storage?.name ?? "",
    files,
    bytes,
    readBytes: filed.bytesRead,
    sentBytes: filed.bytesSent,
    storedBytes: storaged.bytesStored,
    errors: run.errors + filed.errors + storaged.errors,
    warnings: run.warnings + filed.warnings + storaged.warnings,
    baseFiles: filed.baseFiles,
    baseBytes: filed.baseBytes,
    usedFiles: filed.usedFiles,
    volumes: [...storaged.volumes],
    volSessionId: storaged.volSessionId,
    volSessionTime: storaged.volSessionTime,
    report,
    reason: run.reason,
    request: "",
  };
  try {
    services.messages.flush(() => services.db.jobs.update(live.jobId, record));
  } catch (error) {
    // It stays as running; the next start of the director makes it a failed one.
    services.log.error(`JobId ${live.jobId} ended, but its record could not be written`, { err: error });
  }
}
