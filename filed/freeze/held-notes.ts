/**
 * Notes of machines that are held, in WORKING_DIRECTORY/held: a guard writes one before its first step that changes anything, and
 * removes it when the machine was let go. Only one that was killed together with its starter leaves its own, as
 * when a service manager ends all processes of a unit; the next start of the file daemon lets those machines go.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../common/errors.js";
import { replaceFile } from "../../common/write-file.js";
import { ownProcess, processLives } from "../snapshot/process-identity.js";
import { letGo } from "./let-go.js";
import type { Undo } from "./settings.js";

interface HeldNote {
  /** Of the guard. */
  readonly process: string;
  readonly vm: string;
  readonly stepTimeoutMs: number;
  readonly undo: Undo;
}

const directoryOf = (workingDirectory: string): string => join(workingDirectory, "held");
const fileOf = (workingDirectory: string, pid: number): string =>
  join(directoryOf(workingDirectory), String(pid));

/** Of this process. @throws what writing throws: nothing is held then */
export function noteHeld(workingDirectory: string, note: Omit<HeldNote, "process">): void {
  mkdirSync(directoryOf(workingDirectory), { recursive: true, mode: 0o700 });
  const text = JSON.stringify({ ...note, process: ownProcess() });
  replaceFile(fileOf(workingDirectory, process.pid), text, 0o600);
}

/** @param pid of the guard */
export function forgetHeld(workingDirectory: string, pid: number): void {
  rmSync(fileOf(workingDirectory, pid), { force: true });
}

/** Lets go what dead guards have left. Never throws; what cannot be let go in time keeps its note. */
export async function letGoLeftovers(
  workingDirectory: string,
  report: (line: string) => void,
  limitMs: number,
): Promise<void> {
  await Promise.all(
    notesIn(workingDirectory).map(async ({ file, note }) => {
      try {
        if (note !== undefined && processLives(note.process)) return;
        // What was held before this machine started is not held any more.
        if (note !== undefined && bootOf(note.process) === bootOf(ownProcess())) {
          const { text } = await letGo(note.undo, note, { limitMs });
          report(`${note.vm} was held by a process that was killed: ${text}`);
        }
        rmSync(file, { force: true });
      } catch (error) {
        report(`${note?.vm} may still be held, it could not be let go: ${describeError(error)}`);
      }
    }),
  );
}

function bootOf(identity: string): string | undefined {
  return identity.split(".")[2];
}

/** Undefined for what cannot be read as one. */
function notesIn(workingDirectory: string): { file: string; note: HeldNote | undefined }[] {
  let names: string[];
  try {
    names = readdirSync(directoryOf(workingDirectory)).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  return names.map((name) => {
    const file = join(directoryOf(workingDirectory), name);
    try {
      return { file, note: JSON.parse(readFileSync(file, "utf8")) as HeldNote };
    } catch {
      return { file, note: undefined };
    }
  });
}
