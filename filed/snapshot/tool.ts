/** Programs of the system that make snapshots. */
import { BackupError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { programEnvironment } from "../hooks/hooks.js";

export interface ToolOptions {
  timeoutMs: number;
  /** File to execute instead of the first word. */
  program?: string;
  /** Further variables. */
  env?: Readonly<Record<string, string>>;
  /** Ends the program. Those that must not be ended in the middle are given none. */
  signal?: AbortSignal | undefined;
}

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Its standard output. @throws BackupError SNAPSHOT_FAILED with what it complained of; EXEC_FAILED */
export async function runTool(words: readonly string[], options: ToolOptions): Promise<string> {
  const { timeoutMs, program, signal } = options;
  const complaints: string[] = [];
  const output: Buffer[] = [];
  let bytes = 0;
  const result = await runCommand({
    words,
    ...(program === undefined ? {} : { program }),
    env: { ...programEnvironment(), LC_ALL: "C.UTF-8", LVM_SUPPRESS_FD_WARNINGS: "1", ...options.env },
    cwd: "/",
    timeoutMs,
    signal,
    maxLines: 100,
    onLine: (line) => void complaints.push(line.trim()),
    onOutput: async (chunk) => {
      bytes += chunk.length;
      if (bytes > MAX_OUTPUT_BYTES)
        throw new BackupError("SNAPSHOT_FAILED", `${words[0]} does not stop talking`);
      output.push(chunk);
    },
  });
  const failure = describeFailure(result, timeoutMs);
  if (failure === undefined) return Buffer.concat(output).toString("utf8");
  const said = complaints.filter((line) => line !== "" && !/^WARNING: /.test(line)).slice(-5);
  const why = said.length === 0 ? failure : said.join("; ");
  throw new BackupError("SNAPSHOT_FAILED", `${words.slice(0, 2).join(" ")} failed: ${why}`);
}
