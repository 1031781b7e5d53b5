/** Jobs that a scenario watches, cancels or breaks while they run. */
import { statSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { type Daemon, type Installation, quoteValue } from "./installation.js";
import { findReport, type JobReport } from "./job-report.js";

const POLL_MS = 50;

/** Resolves with the first value that is neither undefined nor false. Rejects after the time limit with `what`. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 40_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Rows of a query in a database that a daemon may have open. */
export function queryDatabase<T>(file: string, sql: string, ...values: unknown[]): T[] {
  const db = new Database(file, { readonly: true, timeout: 10_000 });
  try {
    return db.prepare(sql).all(...values) as T[];
  } finally {
    db.close();
  }
}

/** Queues a job and does not wait for it; its JobId. */
export async function startJob(installation: Installation, job: string, words = ""): Promise<number> {
  const output = await installation.console([`run job=${quoteValue(job)} ${words} yes`]);
  const queued = /^Job queued\. JobId=(\d+)/m.exec(output);
  if (!queued) throw new Error(`no job was queued:\n${output}`);
  return Number(queued[1]);
}

/** Status letter in the director's database. */
export function jobStatus(installation: Installation, jobId: number): string | undefined {
  const file = join(installation.dir, "var", "director", "director.db");
  return queryDatabase<{ status: string }>(file, "SELECT status FROM job WHERE job_id = ?", jobId)[0]?.status;
}

/** Waits until a job is in one of these states (`C` waiting, `R` running, else ended). */
export function untilStatus(installation: Installation, jobId: number, letters: string): Promise<string> {
  return until(`JobId ${jobId} in state ${letters}`, () => {
    const status = jobStatus(installation, jobId);
    return status !== undefined && letters.includes(status) && status;
  });
}

/** Messages of a job, as `list joblog` shows them. */
export function jobLog(installation: Installation, jobId: number): string {
  const file = join(installation.dir, "var", "director", "director.db");
  const sql = "SELECT text FROM log WHERE job_id = ? ORDER BY log_id";
  return queryDatabase<{ text: string }>(file, sql, jobId)
    .map(({ text }) => text)
    .join("\n");
}

/** The report of a job that ends. */
export function endReport(installation: Installation, jobId: number): Promise<JobReport> {
  return until(`the report of JobId ${jobId}`, () => findReport(jobLog(installation, jobId), jobId));
}

/** Size of a file, 0 when there is none. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Starts a job and resolves when it has written `bytes` to a volume: it is in the middle then. */
export async function startWriting(
  installation: Installation,
  job: string,
  options: { volume: string; bytes?: number; words?: string },
): Promise<number> {
  const before = sizeOf(options.volume);
  const jobId = await startJob(installation, job, options.words);
  await until(`JobId ${jobId} writes`, () => {
    if (!"CR".includes(jobStatus(installation, jobId) ?? "C"))
      throw new Error(`JobId ${jobId} has ended too soon:\n${jobLog(installation, jobId)}`);
    return sizeOf(options.volume) > before + (options.bytes ?? 1_000_000);
  });
  return jobId;
}

/** Runs `work` while a daemon stands still: its jobs are then where they were, however slow the machine is. */
export async function whileStopped<T>(
  installation: Installation,
  daemon: Daemon,
  work: () => Promise<T>,
): Promise<T> {
  const pid = installation.pid(daemon);
  process.kill(pid, "SIGSTOP");
  try {
    return await work();
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

/** Writes a shell script that may be run. */
export async function writeScript(file: string, lines: string[]): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${lines.join("\n")}\n`);
  await chmod(file, 0o755);
  return file;
}
