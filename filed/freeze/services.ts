/** Stops services for the moment of a snapshot. */
import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { splitWords } from "../../common/words.js";
import { programEnvironment } from "../hooks/hooks.js";
import { resolveProgram } from "../hooks/program.js";
import type { Held, Released, Service, StepTools } from "./settings.js";

/**
 * Stops them in order. `arm` is called with each start command before its stop command runs: also what was half stopped is
 * started again. @throws BackupError FREEZE_FAILED
 */
export async function stopServices(
  services: readonly Service[],
  directories: readonly string[],
  tools: StepTools,
  arm: (start: string) => void,
): Promise<Held> {
  // What cannot be started again is not stopped.
  for (const { stop, start } of services) {
    wordsOf(stop, directories, tools.vm);
    wordsOf(start, directories, tools.vm);
  }
  for (const { stop, start } of services) {
    arm(start);
    await run(stop, directories, tools);
  }
  return { how: "services", frozen: 0, whole: false, text: `stopped: ${services.length} services` };
}

/**
 * Starts services, the last one first; each that has been started is taken off the list.
 * @throws BackupError FREEZE_FAILED for those that could not, once all were tried
 */
export async function startServices(
  starts: string[],
  directories: readonly string[],
  tools: StepTools,
): Promise<Released> {
  const failures: string[] = [];
  const total = starts.length;
  for (let index = total - 1; index >= 0; index--) {
    try {
      await run(starts[index]!, directories, tools);
      starts.splice(index, 1);
    } catch (error) {
      failures.push(describeError(error));
    }
  }
  if (failures.length > 0) throw new BackupError("FREEZE_FAILED", failures.join("; "));
  return { thawed: 0, kept: true, text: `started: ${total} services` };
}

function wordsOf(
  command: string,
  directories: readonly string[],
  vm: string,
): { words: string[]; program: string } {
  const words = splitWords(command).map((word) => word.replaceAll("%n", vm));
  const [name] = words;
  if (name === undefined) throw new BackupError("COMMAND_INVALID", "a command of Services is empty");
  return { words, program: resolveProgram(name, directories) };
}

async function run(command: string, directories: readonly string[], tools: StepTools): Promise<void> {
  const { words, program } = wordsOf(command, directories, tools.vm);
  const { stepTimeoutMs: timeoutMs, signal, vm } = tools;
  let last = "";
  const result = await runCommand({
    words,
    program,
    env: { ...programEnvironment(), BASALT_VM: vm },
    timeoutMs,
    graceMs: 1000,
    signal,
    cwd: "/",
    maxLines: 1000,
    onLine: (line) => {
      if (line.trim() !== "") last = `: ${line.trim()}`;
    },
  });
  const failure = describeFailure(result, timeoutMs);
  if (failure !== undefined) throw new BackupError("FREEZE_FAILED", `${command}: ${failure}${last}`);
}
