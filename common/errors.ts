/**
 * The one error class of the suite, and how errors become exit codes and lines of text.
 * A code is a stable upper-case string that scripts and callers may compare with; the message is for people
 * and says what failed, on what, and where possible what to do next.
 */

/** Whether doing the same again can help: never, at once, or after a while. */
export type Retry = "never" | "now" | "later";

export interface BackupErrorOptions {
  /** Facts for the log. Values must not be secrets. */
  context?: Readonly<Record<string, unknown>>;
  cause?: unknown;
  /** (Default: "never") */
  retry?: Retry;
}

/** An expected failure; anything else that is thrown is a defect. */
export class BackupError extends Error {
  readonly code: string;
  readonly context: Readonly<Record<string, unknown>>;
  readonly retry: Retry;

  constructor(code: string, message: string, options: BackupErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "BackupError";
    this.code = code;
    this.context = options.context ?? {};
    this.retry = options.retry ?? "never";
  }
}

/** Exit statuses of every `basalt` command. */
export const EXIT = { ok: 0, error: 1, usage: 2, warnings: 3, interrupted: 130 } as const;

/** Codes with an exit status of their own; all others exit with 1. */
const EXIT_BY_CODE: Readonly<Record<string, number>> = {
  CONFIG_INVALID: EXIT.usage,
  CONFIG_NOT_FOUND: EXIT.usage,
  USAGE: EXIT.usage,
  FINISHED_WITH_WARNINGS: EXIT.warnings,
  INTERRUPTED: EXIT.interrupted,
  ABORT_ERR: EXIT.interrupted,
};

/** Exit status for the outcome of a command; `undefined` (no error) is 0. */
export function exitCodeOf(error: unknown): number {
  if (error === undefined || error === null) return EXIT.ok;
  const code = codeOf(error);
  return (code === undefined ? undefined : EXIT_BY_CODE[code]) ?? EXIT.error;
}

/** The `code` of a BackupError, a Node system error or a DOM abort; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if (error instanceof Error && error.name === "AbortError") return "ABORT_ERR";
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}

/** System errors people meet, in words; Node's own text repeats call and path. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EEXIST: "already exists",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "no such local address",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  ETIMEDOUT: "timed out",
  EHOSTUNREACH: "host unreachable",
  ENOTFOUND: "host name not found",
  EMFILE: "too many open files",
  EIO: "input/output error",
};

/** One line for people: the message, then each cause that says something new, joined by ": ". */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  const seen = new Set<unknown>();
  for (let current = error; current !== undefined && current !== null && !seen.has(current); ) {
    seen.add(current);
    // A failed call under an error of ours: that one has taken over its words.
    const text = parts.length > 0 && isFailedCall(current) ? "" : ownMessage(current);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
    if (parts.length === 6) break;
    current = nextCause(current);
  }
  return parts.length === 0 ? "unknown error" : parts.join(": ");
}

/** An error of grpc-js for a call. */
function isFailedCall(error: unknown): boolean {
  const { details, metadata } = error as { details?: unknown; metadata?: unknown };
  return error instanceof Error && typeof details === "string" && typeof metadata === "object";
}

function nextCause(error: unknown): unknown {
  if (error instanceof AggregateError && error.cause === undefined) return error.errors[0];
  return error instanceof Error ? error.cause : undefined;
}

function ownMessage(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(typeof error === "string" ? error : safeString(error));
  const system = error as NodeJS.ErrnoException;
  const words = system.syscall === undefined ? undefined : SYSTEM_ERRORS[system.code ?? ""];
  if (words !== undefined) {
    const where = system.path ?? addressOf(system);
    return where === undefined ? words : `${oneLine(where)}: ${words}`;
  }
  return oneLine(error.message === "" ? error.name : error.message);
}

function addressOf(error: NodeJS.ErrnoException): string | undefined {
  const { address, port, hostname } = error as { address?: string; port?: number; hostname?: string };
  const host = address ?? hostname;
  if (host === undefined) return undefined;
  return port === undefined ? host : `${host}:${port}`;
}

function safeString(value: unknown): string {
  try {
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f]+/g, " ").trim();
}
