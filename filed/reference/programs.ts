/** Programs that make or change a reference machine: their words come from filed's own configuration. */
import { BackupError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { monotonicMs } from "../../common/time.js";
import { splitWords } from "../../common/words.js";
import type { JobMessage } from "../../proto/data/backup.js";
import { programEnvironment } from "../hooks/hooks.js";
import { resolveProgram } from "../hooks/program.js";

/** What all steps of one build share. */
export interface BuildTools {
  /** Name of the reference machine. */
  name: string;
  report: (type: JobMessage["type"], text: string) => void;
  /** What the job does now, for status queries. */
  state: (text: string) => void;
  signal: AbortSignal;
  /** Time (monotonic, ms) at which the build must be done. */
  untilMs: number;
  hookDirectories: readonly string[];
  /** Variables of the job for programs of the hook directories. */
  env: Readonly<Record<string, string>>;
}

/** Lines of one program in the job's log. */
const MAX_LINES = 2000;

/** Time left, ms. @throws BackupError REFERENCE_TIMEOUT */
export function timeLeft({ untilMs, name }: Pick<BuildTools, "untilMs" | "name">): number {
  const left = Math.ceil(untilMs - monotonicMs());
  if (left > 0) return left;
  throw new BackupError(
    "REFERENCE_TIMEOUT",
    `reference machine "${name}" was not built within its TimeLimit`,
  );
}

/**
 * Runs a program to its end; what it says goes to the job's log. `program`: the file, where the first word does not say
 * it; `label`: what failures call it.
 * @throws BackupError REFERENCE_FAILED, REFERENCE_TIMEOUT; the signal's reason
 */
export async function runStep(
  tools: BuildTools,
  step: {
    words: readonly string[];
    program?: string;
    label?: string;
    env?: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const { name, report, signal } = tools;
  const timeoutMs = timeLeft(tools);
  const { words, program } = step;
  let last = "";
  const onLine = (line: string): void => {
    if (line.trim() !== "") last = line;
    report("info", `Reference ${name}: ${line}`);
  };
  const env = step.env ?? programEnvironment();
  const run = { words, env, timeoutMs, onLine, signal, cwd: "/", maxLines: MAX_LINES };
  const result = await withOpenUmask(() => runCommand(program === undefined ? run : { ...run, program }));
  signal.throwIfAborted();
  if (result.timedOut) timeLeft({ name, untilMs: 0 });
  const failure = describeFailure(result, timeoutMs);
  if (failure === undefined) return;
  const said = last === "" ? "" : `; it said last: ${last}`;
  throw new BackupError(
    "REFERENCE_FAILED",
    `reference machine "${name}": ${step.label ?? words[0]}: ${failure}${said}`,
  );
}

/**
 * Starts a process with the umask that an installation has; a daemon's own hides what it writes. It is the whole daemon's
 * for the moment of the start, which is why `start` must start it before it waits for anything.
 */
function withOpenUmask<T>(start: () => T): T {
  const own = process.umask(0o022);
  try {
    return start();
  } finally {
    process.umask(own);
  }
}

/** Runs a command line of the hook directories. `place`: what it makes or changes. @throws as `runStep` */
export async function runHookProgram(
  tools: BuildTools,
  command: string,
  { place, old, more = [] }: { place: string; old: string; more?: readonly string[] },
): Promise<void> {
  const words = [...splitWords(command), ...more];
  if (words[0] === undefined) throw new BackupError("COMMAND_INVALID", "the command is empty");
  const program = resolveProgram(words[0], tools.hookDirectories);
  tools.report("info", `Reference ${tools.name}: run "${command}"`);
  const env = {
    ...tools.env,
    BASALT_REFERENCE: tools.name,
    BASALT_REFERENCE_TARGET: place,
    BASALT_REFERENCE_OLD: old,
  };
  await runStep(tools, { words, program, env });
}
