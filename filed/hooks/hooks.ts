/** Commands before and after a job on the client. */
import { join } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { packageRoot } from "../../common/package.js";
import { splitWords } from "../../common/words.js";
import type { JobMessage } from "../../proto/data/backup.js";
import type { Hook__Output as Hook } from "../../proto/generated/basalt/v1/Hook.js";
import { resolveProgram } from "./program.js";

/** What a hook may know of its job, as BASALT_* variables. */
export interface HookJob {
  jobId: number;
  jobUuid: string;
  jobName: string;
  /** Unique name of the run. */
  job: string;
  /** Backup or Restore. */
  type: string;
  level: string;
  client: string;
  director: string;
  /** What the daemon was started with, for programs that read it too. */
  configFile: string;
}

export interface HookOptions {
  hooks: readonly Hook[];
  directories: readonly string[];
  /** Limit of a hook without one of its own. */
  timeoutSec: number;
  job: HookJob;
  report: (type: JobMessage["type"], text: string) => void;
}

/** How a job has ended, for After hooks. */
export type Outcome = "ok" | "failed" | "canceled";

/** For a command that undoes what it did when it is told to end. */
const GRACE_MS = 30_000;

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs the Before hooks in their order until one fails that counts.
 * @throws BackupError HOOK_FAILED; the signal's reason when it was aborted
 */
export async function runBeforeHooks(options: HookOptions, signal: AbortSignal): Promise<void> {
  for (const hook of options.hooks) {
    if (!hook.before) continue;
    signal.throwIfAborted();
    const failure = await runHook(hook, options, "", signal);
    signal.throwIfAborted();
    if (failure !== undefined && hook.failJobOnError) {
      throw new BackupError("HOOK_FAILED", `${hook.origin || "ClientRunBeforeJob"} failed: ${failure}`);
    }
  }
}

/** Runs the After hooks that are meant for the outcome; their own failures are errors in the report, no more. */
export async function runAfterHooks(options: HookOptions, outcome: Outcome): Promise<void> {
  for (const hook of options.hooks) {
    if (hook.before || !(outcome === "ok" ? hook.onSuccess : hook.onFailure)) continue;
    await runHook(hook, options, outcome, undefined);
  }
}

/** Why it failed, undefined when it did not. Never throws. */
async function runHook(
  hook: Hook,
  options: HookOptions,
  outcome: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { report } = options;
  const name = hook.before ? "ClientRunBeforeJob" : "ClientRunAfterJob";
  const timeoutMs = (hook.timeoutSec || options.timeoutSec) * 1000;
  report("info", `shell command: run ${name} "${hook.command}"`);
  try {
    const words = splitWords(hook.command);
    if (words[0] === undefined) throw new BackupError("COMMAND_INVALID", "the command is empty");
    const program = resolveProgram(words[0], options.directories);
    const onLine = (line: string): void => report("info", `${name}: ${line}`);
    const env = jobEnvironment(options.job, outcome);
    const result = await runCommand({
      words,
      program,
      env,
      timeoutMs,
      onLine,
      signal,
      cwd: "/",
      graceMs: GRACE_MS,
      maxLines: 2000,
    });
    const failure = describeFailure(result, timeoutMs);
    if (failure === undefined) return undefined;
    report("error", `Runscript: ${name} returned non-zero status=${result.code ?? 1}. ERR=${failure}`);
    return failure;
  } catch (error) {
    const failure = describeError(error);
    report("error", `Runscript: ${name} could not be run. ERR=${failure}`);
    return failure;
  }
}

/** The environment of every program that the director may have run here. */
export function programEnvironment(): Record<string, string> {
  const env: Record<string, string> = { PATH, LANG: process.env.LANG ?? "C.UTF-8" };
  const zone = process.env.TZ;
  if (zone !== undefined) env.TZ = zone;
  return env;
}

/** The environment of a program that belongs to a job. `outcome`: how that ended, "" while it runs. */
export function jobEnvironment(job: HookJob, outcome = ""): Record<string, string> {
  const env: Record<string, string> = {
    ...programEnvironment(),
    BASALT_PROGRAM: join(packageRoot(), "basalt"),
    BASALT_FILED_CONFIG: job.configFile,
    BASALT_JOB_ID: String(job.jobId),
    BASALT_JOB_UUID: job.jobUuid,
    BASALT_JOB_NAME: job.jobName,
    BASALT_JOB: job.job,
    BASALT_JOB_TYPE: job.type,
    BASALT_JOB_LEVEL: job.level,
    BASALT_CLIENT: job.client,
    BASALT_DIRECTOR: job.director,
  };
  if (outcome !== "") env.BASALT_JOB_OUTCOME = outcome;
  return env;
}
