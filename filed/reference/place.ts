/**
 * Where a reference machine lies. A new one is made beside it (`.new`) and takes its place by renaming, while the old
 * one waits (`.old`) until the backup is committed; else the old one comes back and the new one stays to be looked at
 * (`.failed`) until the next is built. So the place shows what the Base in force was made of, unless a connection or this
 * process ends just there (docs/reference-machines.md).
 */
import { readFileSync } from "node:fs";
import { chmod, lstat, mkdir, rename } from "node:fs/promises";
import path from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { programEnvironment } from "../hooks/hooks.js";
import { whoElseMayWrite } from "../hooks/program.js";
import type { PlaceSettings } from "./settings.js";

/** Removing a tree of a million entries on a slow disk. */
const REMOVE_MS = 3_600_000;

/** Places that a job works on in this process. */
const busy = new Set<string>();

export class Place {
  readonly #settings: PlaceSettings;

  constructor(settings: PlaceSettings) {
    this.#settings = settings;
  }

  /** The machine that is, or is to be, backed up. */
  get path(): string {
    return this.#settings.path;
  }

  /** Where the next one is made. */
  get fresh(): string {
    return `${this.path}.new`;
  }

  get #former(): string {
    return `${this.path}.old`;
  }

  /** What could be built, but not saved. */
  get failed(): string {
    return `${this.path}.failed`;
  }

  /** A tree that an image is made of. */
  get #tree(): string {
    return `${this.path}.tree`;
  }

  /** Runs `work` while no other job builds here. @throws BackupError REFERENCE_BUSY; what `work` throws */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (busy.has(this.path))
      throw new BackupError("REFERENCE_BUSY", `another job builds ${this.path} at the moment`);
    busy.add(this.path);
    try {
      return await work();
    } finally {
      busy.delete(this.path);
    }
  }

  /**
   * Removes what an earlier attempt left, brings back a machine that one has set aside, and makes the empty directory
   * of the new one.
   * @throws BackupError REFERENCE_PLACE
   */
  async open(): Promise<void> {
    const parent = path.dirname(this.path);
    const problem = whoElseMayWrite(parent);
    if (problem !== undefined)
      throw placeError(`${parent} ${problem}: reference machines are made in a safe place only`);
    const former = await exists(this.#former);
    if (former && !(await exists(this.path))) await move(this.#former, this.path);
    // Of a boot check that was killed.
    const image = `${this.fresh}.boot`;
    for (const each of [this.fresh, image, this.#tree, this.failed, this.#former]) await this.#remove(each);
    if (this.#settings.kind === "directory") await makeOpenDirectory(this.fresh);
  }

  /** An empty directory beside it, for a tree. */
  async makeTree(): Promise<string> {
    await makeOpenDirectory(this.#tree);
    return this.#tree;
  }

  /** @throws BackupError REFERENCE_PLACE */
  removeTree(): Promise<void> {
    return this.#remove(this.#tree);
  }

  /** What was built takes the place. @throws BackupError REFERENCE_PLACE, REFERENCE_EMPTY */
  async swap(): Promise<void> {
    await this.#checkBuilt();
    refuseMounts(this.fresh);
    if (await exists(this.path)) {
      refuseMounts(this.path);
      await move(this.path, this.#former);
    }
    try {
      await move(this.fresh, this.path);
    } catch (error) {
      if (await exists(this.#former)) await move(this.#former, this.path);
      throw error;
    }
  }

  /** The new one stays. @throws BackupError REFERENCE_PLACE */
  keep(): Promise<void> {
    return this.#remove(this.#former);
  }

  /** The old one comes back. @throws BackupError REFERENCE_PLACE */
  async revert(): Promise<void> {
    await move(this.path, this.failed);
    if (await exists(this.#former)) await move(this.#former, this.path);
  }

  /** What could not be finished goes. @throws BackupError REFERENCE_PLACE */
  async discard(): Promise<void> {
    await this.#remove(this.fresh);
    await this.#remove(this.#tree);
  }

  async #checkBuilt(): Promise<void> {
    const stats = await lstat(this.fresh).catch(() => undefined);
    const { kind } = this.#settings;
    const right = kind === "directory" ? stats?.isDirectory() : stats?.isFile() && stats.size > 0;
    if (right !== true) {
      const wanted = kind === "directory" ? "a directory" : "a regular file with something in it";
      throw new BackupError("REFERENCE_EMPTY", `the builder has ended, but ${this.fresh} is not ${wanted}`);
    }
  }

  async #remove(target: string): Promise<void> {
    if (!(await exists(target))) return;
    refuseMounts(target);
    const words = ["rm", "-rf", "--one-file-system", "--", target];
    let said = "";
    const onLine = (line: string): void => {
      if (said === "") said = line;
    };
    const result = await runCommand({
      words,
      env: programEnvironment(),
      timeoutMs: REMOVE_MS,
      onLine,
      cwd: "/",
    });
    const failure = describeFailure(result, REMOVE_MS);
    if (failure !== undefined) throw placeError(`cannot remove ${target}: ${said || failure}`);
  }
}

function placeError(text: string): BackupError {
  return new BackupError("REFERENCE_PLACE", text);
}

/** Everybody may enter the root of a machine, whatever this daemon's umask is. */
async function makeOpenDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory);
    await chmod(directory, 0o755);
  } catch (cause) {
    throw placeError(`cannot make ${directory}: ${describeError(cause)}`);
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return false;
    throw placeError(`cannot look at ${file}: ${describeError(cause)}`);
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    throw placeError(`cannot rename ${from} to ${to}: ${describeError(cause)}`);
  }
}

/**
 * A builder that was killed may have left the host's own /dev or /proc mounted in its tree: nothing is removed or saved
 * through that.
 */
function refuseMounts(target: string): void {
  const found = mountPoints().find((point) => point === target || point.startsWith(`${target}/`));
  if (found !== undefined)
    throw placeError(`something is mounted on ${found}: unmount it (umount -R ${found})`);
}

function mountPoints(): string[] {
  const plain = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => plain(line.split(" ")[4] ?? ""));
}
