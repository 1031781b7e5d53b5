/**
 * Sets of snapshots where nothing can be tagged itself: each machine has a directory with the owner's note in it, which is
 * there before the first snapshot and goes after the last. The directory's name is the lock: there is one set of a machine.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { replaceFile, writeNew } from "../../common/write-file.js";
import { checkVmName } from "./names.js";
import type { Owner } from "./types.js";

/** A disk as the note has it; `path` is relative to the machine's directory, or absolute. */
export interface NotedDisk {
  readonly number: number;
  readonly origin: string;
  readonly path: string;
  readonly writable: boolean;
}

export interface SetNote {
  readonly owner: Owner;
  readonly disks: readonly NotedDisk[];
}

const NOTE = "basalt-set.json";
const NEW = ".new-";

export class SetDirectory {
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  of(vm: string): string {
    checkVmName(vm);
    return join(this.#base, vm);
  }

  /** @throws BackupError SNAPSHOT_EXISTS, SNAPSHOT_FAILED */
  claim(note: SetNote): void {
    const { vm, set } = note.owner;
    const fresh = join(this.#base, `${NEW}${set}`);
    try {
      mkdirSync(this.#base, { recursive: true, mode: 0o700 });
      this.#checkBase();
      mkdirSync(fresh, { mode: 0o700 });
      writeNew(join(fresh, NOTE), JSON.stringify(note), 0o600);
      renameSync(fresh, this.of(vm));
    } catch (cause) {
      rmSync(fresh, { recursive: true, force: true });
      if (["ENOTEMPTY", "EEXIST"].includes(codeOf(cause) ?? ""))
        throw new BackupError(
          "SNAPSHOT_EXISTS",
          `${this.of(vm)} exists: there are snapshots of ${vm} already`,
        );
      if (cause instanceof BackupError) throw cause;
      throw new BackupError("SNAPSHOT_FAILED", `cannot use ${this.#base}: ${describeError(cause)}`, {
        cause,
      });
    }
  }

  /** What a provider knows only when it has made them. */
  update(note: SetNote): void {
    replaceFile(join(this.of(note.owner.vm), NOTE), JSON.stringify(note), 0o600);
  }

  /** Sets of one machine or of all, with a note that can be read; others are not ours. @throws BackupError SNAPSHOT_FAILED */
  notes(machine?: string): SetNote[] {
    if (!existsSync(this.#base)) return [];
    this.#checkBase();
    return readdirSync(this.#base).flatMap((vm) => {
      if (machine !== undefined && vm !== machine) return [];
      try {
        const note = JSON.parse(readFileSync(join(this.#base, vm, NOTE), "utf8")) as SetNote;
        return note.owner.vm === vm ? [note] : [];
      } catch {
        return [];
      }
    });
  }

  /** The images' directory may be writable for others: what they put there is not believed. */
  #checkBase(): void {
    const stats = lstatSync(this.#base);
    if (stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0) return;
    throw new BackupError(
      "SNAPSHOT_FAILED",
      `${this.#base} is not a directory of this user alone; remove it`,
    );
  }

  /** When all that was in it is gone. @throws BackupError SNAPSHOT_FAILED when something is not */
  release(vm: string): void {
    const directory = this.of(vm);
    const left = readdirSync(directory).filter((name) => name !== NOTE);
    if (left.length > 0)
      throw new BackupError(
        "SNAPSHOT_FAILED",
        `${directory} holds what Basalt did not make: ${left[0]}; remove it`,
      );
    rmSync(join(directory, NOTE), { force: true });
    rmdirSync(directory);
  }
}
