/** Programs of the hypervisor that restore-vm uses: partitions, file systems, volumes, mounts. */
import { BackupError } from "../../common/errors.js";
import { runCommand } from "../../common/exec.js";

export interface Tools {
  /** A line for the operator. */
  report: (line: string) => void;
  signal?: AbortSignal | undefined;
}

export interface ToolOptions {
  signal?: AbortSignal | undefined;
  input?: string;
  /** Exit statuses that are no failure. (Default: 0 alone) */
  statuses?: readonly number[];
  /** (Default: an hour, for file systems on disks that are slow to discard) */
  timeoutMs?: number;
}

const TIMEOUT_MS = 3600_000;
const MAX_OUTPUT = 16 * 1024 * 1024;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Where LVM and losetup are told of another configuration than the machine's. */
const PASSED_ON = ["LVM_SYSTEM_DIR", "LVM_SUPPRESS_FD_WARNINGS"];

/**
 * What the program prints on stdout.
 * @throws BackupError RESTORE_VM with what it said; INTERRUPTED after `signal`
 */
export async function runTool(toolWords: readonly string[], options: ToolOptions = {}): Promise<string> {
  const errors: string[] = [];
  const output: Buffer[] = [];
  let bytes = 0;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const result = await runCommand({
    words: toolWords,
    env: environment(),
    timeoutMs,
    signal: options.signal,
    ...(options.input === undefined ? {} : { input: options.input }),
    onLine: (line) => {
      if (line.trim() !== "" && errors.length < 20) errors.push(line.trim());
    },
    onOutput: async (piece) => {
      bytes += piece.length;
      if (bytes > MAX_OUTPUT) throw new BackupError("RESTORE_VM", `${toolWords[0]} prints without end`);
      output.push(piece);
    },
  });
  const shown = toolWords.join(" ");
  if (result.aborted) throw new BackupError("INTERRUPTED", `interrupted during: ${shown}`);
  if (result.timedOut)
    throw new BackupError("RESTORE_VM", `not done within ${timeoutMs / 1000} seconds: ${shown}`);
  const { code } = result;
  if (code !== undefined && (options.statuses ?? [0]).includes(code)) return Buffer.concat(output).toString();
  const why = errors.length > 0 ? errors.join("; ") : `status ${code ?? result.signal}`;
  throw new BackupError("RESTORE_VM", `${shown}: ${why}`);
}

function environment(): Record<string, string> {
  const env: Record<string, string> = { PATH, LC_ALL: "C", LVM_SUPPRESS_FD_WARNINGS: "1" };
  for (const name of PASSED_ON) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
