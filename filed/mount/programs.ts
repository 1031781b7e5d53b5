/** mount(8) and umount(8), each with a time limit and an error that says what they said. */
import { BackupError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";

const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
const MAX_LINES = 5;
const GRACE_MS = 1000;

export interface ProgramLimits {
  timeLimitMs: number;
  signal?: AbortSignal | undefined;
}

/** @throws BackupError MOUNT_FAILED with what the program said; INTERRUPTED when the signal came */
export async function runMountProgram(words: readonly string[], limits: ProgramLimits): Promise<void> {
  const lines: string[] = [];
  const timeoutMs = Math.max(1, limits.timeLimitMs);
  const result = await runCommand({
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
  const failure = describeFailure(result, timeoutMs);
  if (failure === undefined) return;
  if (result.aborted) throw new BackupError("INTERRUPTED", `${words[0]} was interrupted`);
  throw new BackupError("MOUNT_FAILED", lines.length === 0 ? failure : lines.join(" "));
}
