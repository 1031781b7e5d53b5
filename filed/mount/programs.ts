/** mount(8) and umount(8), each with a time limit and an error that says what they said. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../../common/errors.js";
import { describeFailure, type RunResult, runCommand } from "../../common/exec.js";

const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
const MAX_LINES = 5;
const GRACE_MS = 1000;
/** Killed programs have ended after this. */
const HANG_MS = 5000;

export interface ProgramLimits {
  timeLimitMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Does not wait for a program that does not even end when it is killed, as on a device that does not answer.
 * @throws BackupError MOUNT_FAILED with what the program said; INTERRUPTED when the signal came
 */
export async function runMountProgram(words: readonly string[], limits: ProgramLimits): Promise<void> {
  const lines: string[] = [];
  const timeoutMs = Math.max(1, limits.timeLimitMs);
  const running = runCommand({
    words,
    env: ENVIRONMENT,
    timeoutMs,
    graceMs: GRACE_MS,
    maxLines: 100,
    signal: limits.signal,
    onLine: (line) => {
      const text = line.trim();
      if (text !== "" && !/dmesg\(1\)/.test(text) && lines.length < MAX_LINES) lines.push(text);
    },
  });
  const result = await orHangs(running, words[0]!, timeoutMs, limits.signal);
  const failure = describeFailure(result, timeoutMs);
  if (failure === undefined) return;
  if (result.aborted) throw new BackupError("INTERRUPTED", `${words[0]} was interrupted`);
  throw new BackupError("MOUNT_FAILED", lines.length === 0 ? failure : lines.join(" "));
}

async function orHangs(
  running: Promise<RunResult>,
  name: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<RunResult> {
  const over = new AbortController();
  const late = async (): Promise<never> => {
    const afterMs = Math.min(timeoutMs, 2 ** 30) + HANG_MS;
    const interrupted = signal === undefined ? [] : [once(signal, "abort", { signal: over.signal })];
    await Promise.race([sleep(afterMs, undefined, { signal: over.signal }), ...interrupted]);
    if (signal?.aborted) await sleep(HANG_MS, undefined, { signal: over.signal });
    throw new BackupError("MOUNT_FAILED", `${name} hangs in the kernel: does the device still answer?`);
  };
  try {
    return await Promise.race([running, late()]);
  } finally {
    over.abort();
    running.catch(() => undefined);
  }
}
