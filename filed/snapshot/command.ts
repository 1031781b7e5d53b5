/** Snapshots by the operator's own programs, from the directories that filed may run programs of. */
import { statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import { resolveProgram } from "../hooks/program.js";
import type { SnapshotContext } from "./context.js";
import { type NotedDisk, SetDirectory } from "./set-directory.js";
import type { CommandSettings, SnapshotSettings } from "./settings.js";
import { runTool } from "./tool.js";
import type { Owner, Plan, Provider, SnapshotDisk, SnapshotSet } from "./types.js";

/** A number, a path, and `ro` when it cannot be written. */
const LINE = /^(\d{1,6})\s+(\/\S.*?)(?:\s+(ro|rw))?$/;

export class CommandProvider implements Provider {
  readonly #settings: CommandSettings;
  readonly #directories: readonly string[];
  readonly #sets: SetDirectory;

  constructor({ name }: SnapshotSettings, settings: CommandSettings, context: SnapshotContext) {
    this.#settings = settings;
    this.#directories = context.hookDirectories;
    this.#sets = new SetDirectory(join(context.workingDirectory, "snapshots", encodeURIComponent(name)));
  }

  async plan(vm: string): Promise<Plan> {
    const { create, remove, check } = this.#settings;
    for (const words of [create, remove, ...(check === undefined ? [] : [check])]) this.#program(words);
    const make = async (owner: Owner, signal: AbortSignal | undefined): Promise<void> => {
      this.#sets.claim({ owner, disks: [] });
      const disks = disksOf(await this.#run(create, vm, signal));
      this.#sets.update({ owner: { ...owner, disks: disks.length }, disks });
    };
    // What the program does at one instant is its own affair.
    return { disks: [], instants: 1, make };
  }

  async sets(vm?: string): Promise<SnapshotSet[]> {
    return Promise.all(
      this.#sets.notes(vm).map(async ({ owner, disks }) => {
        const fault = disks.length === 0 ? undefined : await this.#fault(owner.vm);
        return { owner, disks: disks.flatMap((disk) => toDisk(disk, fault)) };
      }),
    );
  }

  async #fault(vm: string): Promise<string | undefined> {
    const { check } = this.#settings;
    if (check === undefined) return undefined;
    try {
      await this.#run(check, vm, undefined);
      return undefined;
    } catch (error) {
      return `is no good: ${describeError(error)}`;
    }
  }

  async remove({ owner }: SnapshotSet): Promise<void> {
    if (!this.#sets.notes().some((note) => note.owner.set === owner.set)) return;
    await this.#run(this.#settings.remove, owner.vm, undefined);
    this.#sets.release(owner.vm);
  }

  #program(words: readonly string[]): string {
    return resolveProgram(words[0] ?? "", this.#directories);
  }

  #run(command: readonly string[], vm: string, signal: AbortSignal | undefined): Promise<string> {
    const words = command.map((word) => word.replaceAll("%n", vm));
    const timeoutMs = this.#settings.timeoutSec * 1000;
    return runTool(words, { program: this.#program(words), timeoutMs, signal });
  }
}

/** What CreateCommand has printed. @throws BackupError SNAPSHOT_FAILED */
function disksOf(output: string): NotedDisk[] {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const disks = lines.map((line) => {
    const [, number, path = "", mode] = LINE.exec(line.trim()) ?? [];
    if (number === undefined) throw badLine(line, "is not NUMBER /PATH [ro]");
    if (!isAbsolute(path) || sizeOf(path) === undefined) throw badLine(line, "names nothing that is there");
    return { number: Number(number), origin: `disk ${number}`, path, writable: mode !== "ro" };
  });
  if (disks.length === 0) throw new BackupError("SNAPSHOT_FAILED", "CreateCommand printed no disk");
  return disks.sort((a, b) => a.number - b.number);
}

function badLine(line: string, why: string): BackupError {
  const text = `a line of CreateCommand ${why}: ${JSON.stringify(line.slice(0, 200))}`;
  return new BackupError("SNAPSHOT_FAILED", text);
}

function sizeOf(path: string): number | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined || !(stats.isFile() || stats.isBlockDevice()) ? undefined : stats.size;
}

function toDisk({ number, origin, path, writable }: NotedDisk, fault: string | undefined): SnapshotDisk[] {
  const sizeBytes = sizeOf(path);
  return sizeBytes === undefined
    ? []
    : [{ number, origin, name: path, device: path, writable, sizeBytes, fault }];
}
