/**
 * Runs external commands: the only place that starts processes. No shell, stdin is /dev/null or a given text, the command leads a
 * process group of its own so that whatever it started can be ended with it.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Duplex, Readable } from "node:stream";
import { BackupError, codeOf, describeError } from "./errors.js";

export interface RunOptions {
  /** Program and arguments; the program is absolute or looked up in `env.PATH`. */
  words: readonly string[];
  /** File to execute instead of the first word, which stays the command's own name. */
  program?: string;
  /** The whole environment: nothing is inherited. */
  env: Readonly<Record<string, string>>;
  /** What it reads from stdin. (Default: nothing) */
  input?: string;
  /** After this the group gets SIGTERM, and SIGKILL after `graceMs`. 0: no limit. */
  timeoutMs: number;
  /** A line of stdout or stderr, without its newline and cut at `maxLineBytes`. */
  onLine?: (line: string) => void;
  /** Gets the bytes of stdout as they are, the next when it is done with these; lines are those of stderr then. */
  onOutput?: (bytes: Buffer) => Promise<void>;
  /** Gets a socket to the command, which has its other end as file descriptor 3. */
  onChannel?: (channel: Duplex) => void;
  /** Ends the command as a timeout does. */
  signal?: AbortSignal | undefined;
  cwd?: string;
  /** (Default: 5,000) */
  graceMs?: number;
  /** (Default: 4,096) */
  maxLineBytes?: number;
  /** Lines beyond this are read and dropped; one line says so. (Default: 10,000) */
  maxLines?: number;
}

export interface RunResult {
  /** Exit status; undefined when a signal ended the command. */
  code: number | undefined;
  /** Name of the signal that ended it, such as SIGTERM. */
  signal: string | undefined;
  timedOut: boolean;
  /** Ended because of `signal`. */
  aborted: boolean;
}

/**
 * Starts a module of this program as a process that talks by messages (structured clones); its errors go to stderr.
 * Nothing of the environment is inherited but what is given. Whoever starts it ends it. A detached one leads a session of
 * its own: signals to this process' group and the end of its terminal do not reach it.
 */
export function startModule(
  module: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { detached = false }: { detached?: boolean } = {},
): ChildProcess {
  return fork(module, args, {
    serialization: "advanced",
    env: { ...env },
    detached,
    execArgv: ["--enable-source-maps"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}

/** A daemon that the command left behind may hold its output open: after the command's end that is not waited for. */
const DRAIN_MS = 500;

/**
 * Runs one command to its end. Processes that it leaves behind live on after a normal end, and are killed after a
 * timeout or an abort.
 * @throws BackupError EXEC_FAILED when it cannot be started; what `onOutput` threw, once the command was ended.
 */
export async function runCommand(options: RunOptions): Promise<RunResult> {
  const [name, ...args] = options.words;
  if (name === undefined || name === "") throw new BackupError("EXEC_FAILED", "the command is empty");
  if (options.signal?.aborted) return { code: undefined, signal: undefined, timedOut: false, aborted: true };
  const child = start(name, args, options);
  // Where too many files are open there is none.
  const channel = child.stdio?.[3] as Duplex | undefined;
  // Whoever talks through it finds out at the next word that the command is gone.
  channel?.on("error", () => undefined);
  if (channel !== undefined) options.onChannel?.(channel);
  const limit = endOnLimit(child, options);
  const lines = lineLimit(options);
  const streams = [child.stdout!, child.stderr!];
  const output = options.onOutput === undefined ? undefined : readBytes(child, options.onOutput);
  output?.catch(() => undefined);
  const drained = Promise.all(
    streams.slice(output === undefined ? 0 : 1).map((stream) => {
      return readLines(stream, options.maxLineBytes ?? 4096, lines);
    }),
  );
  try {
    const { code, signal } = await exitOf(child, options);
    // What was written is taken whole, however long that takes; a limit closes the stream.
    await output?.catch((error) => {
      if (limit.reason === undefined) throw error;
    });
    await raceTimer(drained, DRAIN_MS);
    return {
      code: code ?? undefined,
      signal: signal ?? undefined,
      timedOut: limit.reason === "timeout",
      aborted: limit.reason === "abort",
    };
  } finally {
    limit.done();
    for (const stream of streams) stream.destroy();
    channel?.destroy();
  }
}

function start(name: string, args: readonly string[], options: RunOptions): ChildProcess {
  const { input } = options;
  try {
    const child = spawn(options.program ?? name, args, {
      argv0: name,
      env: { ...options.env },
      detached: true,
      stdio: [
        ...[input === undefined ? ("ignore" as const) : ("pipe" as const), "pipe" as const, "pipe" as const],
        ...(options.onChannel === undefined ? [] : ["pipe" as const]),
      ],
      windowsHide: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    // Whoever does not read it all says so by its status.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
    return child;
  } catch (cause) {
    throw cannotRun(options, cause);
  }
}

function exitOf(
  child: ChildProcess,
  options: RunOptions,
): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      if (child.pid === undefined) reject(cannotRun(options, cause));
    });
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

const START_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such program, or its interpreter is missing",
  EACCES: "not executable",
  E2BIG: "arguments too long",
  ENOEXEC: "not a program; does its first line name an interpreter?",
};

function cannotRun(options: RunOptions, cause: unknown): BackupError {
  const why = START_ERRORS[codeOf(cause) ?? ""] ?? describeError(cause);
  return new BackupError("EXEC_FAILED", `cannot run ${options.program ?? options.words[0]}: ${why}`, {
    cause,
  });
}

/** Ends the command when nobody wants its output any more. */
async function readBytes(child: ChildProcess, take: (bytes: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const bytes of child.stdout!) await take(bytes as Buffer);
  } catch (error) {
    killGroup(child, "SIGKILL");
    throw error;
  }
}

interface Limit {
  reason: "timeout" | "abort" | undefined;
  done(): void;
}

/** SIGTERM to the group on timeout or abort, SIGKILL later. */
function endOnLimit(child: ChildProcess, options: RunOptions): Limit {
  let killer: NodeJS.Timeout | undefined;
  const end = (reason: "timeout" | "abort"): void => {
    if (limit.reason !== undefined) return;
    limit.reason = reason;
    killGroup(child, "SIGTERM");
    // Whoever else holds its other end is not waited for.
    if (options.onOutput !== undefined) child.stdout?.destroy();
    killer = setTimeout(() => killGroup(child, "SIGKILL"), options.graceMs ?? 5000);
  };
  const onAbort = (): void => end("abort");
  const timer =
    options.timeoutMs > 0
      ? setTimeout(() => end("timeout"), Math.min(options.timeoutMs, 2 ** 31 - 1))
      : undefined;
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const limit: Limit = {
    reason: undefined,
    done: () => {
      clearTimeout(timer);
      clearTimeout(killer);
      options.signal?.removeEventListener("abort", onAbort);
      // The leader has ended in time; what it started and did not end goes the hard way.
      if (limit.reason !== undefined) killGroup(child, "SIGKILL");
    },
  };
  return limit;
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // ESRCH: the whole group has ended already.
  }
}

/** `onLine` that stops after maxLines, saying so once. */
function lineLimit(options: RunOptions): (line: string) => void {
  const most = options.maxLines ?? 10_000;
  let count = 0;
  return (line) => {
    count++;
    if (count <= most) options.onLine?.(line);
    else if (count === most + 1) options.onLine?.(`(more than ${most} lines: the rest is left out)`);
  };
}

/** Calls `onLine` for every line; a longer one than `maxBytes` is cut there. Resolves at the end of the stream. */
function readLines(stream: Readable, maxBytes: number, onLine: (line: string) => void): Promise<void> {
  let open = "";
  let cut = false;
  const flush = (): void => {
    onLine(cut ? `${open}…` : open);
    open = "";
    cut = false;
  };
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const parts = text.split(/\r?\n/);
    parts.forEach((part, index) => {
      if (index > 0) flush();
      if (open.length + part.length > maxBytes) cut = true;
      open = (open + part).slice(0, maxBytes);
    });
  });
  return new Promise((resolve) => {
    stream.once("error", () => undefined);
    stream.once("close", () => {
      if (open !== "") flush();
      resolve();
    });
  });
}

async function raceTimer(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/** How a command ended, as Bacula words it: `Child exited with code 1`; undefined for success. */
export function describeFailure(result: RunResult, timeoutMs: number): string | undefined {
  if (result.timedOut)
    return `Child did not end within ${Math.round(timeoutMs / 1000)} seconds and was killed`;
  if (result.aborted) return "Child was ended because the job was canceled";
  if (result.signal !== undefined) {
    const number = constants.signals[result.signal as NodeJS.Signals] ?? 0;
    return `Child died from signal ${number}: ${result.signal}`;
  }
  return result.code === 0 ? undefined : `Child exited with code ${result.code}`;
}
