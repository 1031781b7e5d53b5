/** Commands around a job: those of the director are run here, those of the client become part of its request. */

import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import type { Hook } from "../../proto/generated/basalt/v1/Hook.js";
import type { RunScript } from "../config/types.js";
import { hookText, hookWords, replaceCodes } from "./codes.js";
import type { JobRun } from "./job-run.js";

/** A director's hook without a limit of its own may not stop the queue for ever. */
const DEFAULT_TIMEOUT_SEC = 6 * 3600;

/**
 * Runs the Before commands in their order. A failing one that counts ends the job.
 * @throws BackupError HOOK_FAILED
 */
export async function runBeforeHooks(run: JobRun): Promise<void> {
  for (const script of run.plan.job.runScripts) {
    if (script.onClient || script.when !== "Before") continue;
    const failure = await runHook(run, script, "BeforeJob", run.live.signal);
    if (failure !== undefined && script.failJobOnError) {
      throw new BackupError("HOOK_FAILED", `${script.origin} failed: ${failure}`);
    }
  }
}

/** Runs the After commands that are meant for this outcome; a failing one is an error of the job, no more. */
export async function runAfterHooks(run: JobRun, ok: boolean): Promise<void> {
  for (const script of run.plan.job.runScripts) {
    if (script.onClient || script.when !== "After") continue;
    if (!(ok ? script.onSuccess : script.onFailure)) continue;
    await runHook(run, script, "AfterJob", run.services.shutdown);
  }
}

/** Runs one command with its output as messages; why it failed, undefined when it did not. */
async function runHook(
  run: JobRun,
  script: RunScript,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const timeoutMs = (script.timeoutSec || DEFAULT_TIMEOUT_SEC) * 1000;
  const show = (line: string): void => run.info(`${name}: ${line}`);
  run.state(`is running ${script.origin}`);
  try {
    if (script.isConsole === true) return await runConsole(run, script, name);
    const words = hookWords(script.command, run.codes());
    run.info(`shell command: run ${name} "${words.join(" ")}"`);
    const result = await runCommand({ words, env: programEnvironment(), timeoutMs, onLine: show, signal });
    const failure = describeFailure(result, timeoutMs);
    if (failure === undefined) return undefined;
    const status = result.code ?? 1;
    run.say("error", `Runscript: ${name} returned non-zero status=${status}. ERR=${failure}`);
    return failure;
  } catch (error) {
    const failure = describeError(error);
    run.say("error", `Runscript: ${name} could not be run. ERR=${failure}`);
    return failure;
  } finally {
    run.state("is running");
  }
}

/** A command of the console; what it prints are messages of the job. */
async function runConsole(run: JobRun, script: RunScript, name: string): Promise<undefined> {
  const codes = run.codes();
  // A value is quoted as one word, whatever it holds.
  const line = script.command.replace(/%(.)/gs, (whole, code: string) => {
    const value = replaceCodes(whole, codes);
    return value === whole || code === "%" || /^[\w.:/-]*$/.test(value)
      ? value
      : `"${value.replace(/["\\]/g, "\\$&")}"`;
  });
  run.info(`console command: run ${name} "${line}"`);
  for (const text of await run.services.runConsole(line)) run.info(`${name}: ${text}`);
  return undefined;
}

/** The client's commands for its request, %-codes replaced. @throws BackupError COMMAND_INVALID */
export function clientHooks(run: JobRun): Hook[] {
  const codes = run.codes();
  return run.plan.job.runScripts
    .filter((script) => script.onClient)
    .map((script) => ({
      command: hookText(script.command, codes),
      origin: script.origin,
      before: script.when === "Before",
      onSuccess: script.onSuccess,
      onFailure: script.onFailure,
      failJobOnError: script.failJobOnError,
      timeoutSec: script.timeoutSec,
    }));
}

/** How long the client's After commands may take once a job has failed, ms. */
export function clientAfterMs(run: JobRun): number {
  const after = run.plan.job.runScripts.filter((script) => script.onClient && script.when === "After");
  return after.reduce((sum, script) => sum + (script.timeoutSec || 600) * 1000, 0);
}

/** Of the director's own environment only what programs cannot do without. */
export function programEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  };
  for (const name of ["PATH", "HOME", "LANG", "TZ", "USER"]) {
    const value = process.env[name];
    if (value !== undefined && value !== "") kept[name] = value;
  }
  return kept;
}
