/**
 * Which jobs of the file daemon are under way, for processes beside it: hooks that make snapshots, and whoever removes what
 * dead jobs have left. A job has a directory WORKING_DIRECTORY/running/UUID from before its first hook until after its last
 * one; in it is the process that it belongs to, and what snapshots were made for it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import { replaceFile } from "../../common/write-file.js";
import { ownProcess, processLives } from "./process-identity.js";

/** A set of snapshots that a job is to find as it was at its end. */
export interface MadeSet {
  readonly resource: string;
  readonly vm: string;
  readonly set: string;
}

const SET = "set-";
/** Not those that are being written. */
const SET_FILE = /^set-[0-9a-f]+$/;

export class RunningJobs {
  readonly #directory: string;

  constructor(workingDirectory: string) {
    this.#directory = join(workingDirectory, "running");
  }

  /** The job lives from now on, in this process. @throws BackupError WORKING_DIRECTORY */
  begin(uuid: string): void {
    const directory = this.#of(uuid);
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      replaceFile(join(directory, "process"), ownProcess(), 0o600);
    } catch (cause) {
      throw new BackupError("WORKING_DIRECTORY", `cannot note that a job runs: ${describeError(cause)}`, {
        cause,
      });
    }
  }

  end(uuid: string): void {
    rmSync(this.#of(uuid), { recursive: true, force: true });
  }

  lives(uuid: string): boolean {
    const process = read(join(this.#of(uuid), "process"));
    return process !== undefined && processLives(process);
  }

  /** @throws what writing throws, also when the job has ended */
  noteSet(uuid: string, made: MadeSet): void {
    replaceFile(join(this.#of(uuid), `${SET}${made.set}`), JSON.stringify(made), 0o600);
  }

  forgetSet(uuid: string, set: string): void {
    rmSync(join(this.#of(uuid), `${SET}${set}`), { force: true });
  }

  madeSets(uuid: string): MadeSet[] {
    const directory = this.#of(uuid);
    if (!existsSync(directory)) return [];
    const names = readdirSync(directory).filter((name) => SET_FILE.test(name));
    return names.flatMap((name) => {
      const text = read(join(directory, name));
      return text === undefined ? [] : [JSON.parse(text) as MadeSet];
    });
  }

  /** Forgets the jobs of processes that have ended. */
  clearDead(): void {
    if (!existsSync(this.#directory)) return;
    for (const uuid of readdirSync(this.#directory)) if (!this.lives(uuid)) this.end(uuid);
  }

  #of(uuid: string): string {
    if (/^[A-Za-z0-9-]{1,64}$/.test(uuid)) return join(this.#directory, uuid);
    throw new BackupError("REQUEST_INVALID", `${JSON.stringify(uuid.slice(0, 64))} is no job's UUID`);
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
