/**
 * What Bacula's `setdebug` changes while a daemon runs: how much it logs, and whether that goes to NAME.trace in its
 * working directory. One state for the process, as there is one daemon in it.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import path from "node:path";
import { BackupError, describeError } from "./errors.js";

/** What a daemon's part of `setdebug` says; what is missing stays as it is. */
export interface DebugOrder {
  /** 0: as usual; to 99: debug; from 100 on everything. */
  level?: number | undefined;
  /** Whether lines go to the trace file. */
  trace?: boolean | undefined;
}

const EVERYTHING = 100;
let wanted: "debug" | "trace" | undefined;
let file: number | undefined;

/** The level that was ordered; undefined: the daemon's usual one. */
export function orderedLevel(): "debug" | "trace" | undefined {
  return wanted;
}

/** Of a daemon's configuration: where its trace file goes. */
export interface TracePlace {
  readonly name: string;
  readonly workingDirectory: string;
  /** With Bacula's configuration the state directory lies in Bacula's working directory. */
  readonly bacula?: { readonly stateDirectory: string } | undefined;
}

/** `WORKDIR/NAME.trace`. */
export function traceFile({ name, workingDirectory, bacula }: TracePlace): string {
  const directory = bacula === undefined ? workingDirectory : path.dirname(bacula.stateDirectory);
  return path.join(directory, `${name}.trace`);
}

/** Carries out an order of a daemon. @throws BackupError TRACE_FAILED when the file cannot be written */
export function orderDebug(daemon: TracePlace, { level, trace }: DebugOrder): void {
  if (trace === false) stopTrace();
  if (trace === true && file === undefined) file = opened(traceFile(daemon));
  if (level === undefined) return;
  wanted = level === 0 ? undefined : level < EVERYTHING ? "debug" : "trace";
  traceLine(`setdebug level=${level}\n`);
}

/** Jobs' names and paths stand in it: nobody else may read it, and a link in its place is not followed. */
function opened(name: string): number {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  try {
    return openSync(name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new BackupError("TRACE_FAILED", `${name} cannot be written: ${describeError(cause)}`, { cause });
  }
}

/** Writes a finished line to the trace file; false when there is none. */
export function traceLine(line: string): boolean {
  if (file === undefined) return false;
  try {
    writeSync(file, line);
    return true;
  } catch {
    // A full disk must not end the daemon: the lines go where they went before.
    stopTrace();
    return false;
  }
}

function stopTrace(): void {
  if (file !== undefined) closeSync(file);
  file = undefined;
}
