/**
 * A disk image as a file: filed answers the reads, nbdfuse(1) of libnbd presents them through FUSE. The two talk through a
 * socket that has no name. Nothing in this thread may touch the file: who waits for it here cannot answer.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, type RunResult, runCommand } from "../../common/exec.js";
import { monotonicMs } from "../../common/time.js";
import { type NbdExport, serveNbd } from "../nbd/server.js";

export const PROGRAM_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
const APPEAR_LIMIT_MS = 60_000;
const LOOK_MS = 20;
const UNMOUNT_LIMIT_MS = 15_000;
const END_LIMIT_MS = 10_000;
const FILE = "disk";

export class FuseDisk {
  /** Absolute. */
  readonly file: string;
  readonly #directory: string;
  readonly #abort = new AbortController();
  readonly #lines: string[] = [];
  #ended: Promise<RunResult> | undefined;
  #gone = false;

  /** `directory` does not exist yet; its parent belongs to this process alone. */
  constructor(directory: string) {
    this.#directory = directory;
    this.file = join(directory, FILE);
  }

  /** Resolves when the file is there. @throws BackupError FUSE_FAILED; the signal's reason */
  async open(disk: NbdExport, signal: AbortSignal): Promise<void> {
    await mkdir(this.#directory, { mode: 0o700 });
    this.#ended = runCommand({
      words: ["nbdfuse", ...(disk.write === undefined ? ["-r"] : []), this.file, "--fd", "3"],
      env: PROGRAM_ENV,
      timeoutMs: 0,
      graceMs: 2000,
      signal: this.#abort.signal,
      onLine: (line) => {
        if (this.#lines.length < 5 && line.trim() !== "") this.#lines.push(line.trim());
      },
      onChannel: (channel) => void serveNbd(channel, new Map([["", disk]])).catch(() => undefined),
    });
    this.#ended.catch(() => undefined).finally(() => (this.#gone = true));
    const until = monotonicMs() + APPEAR_LIMIT_MS;
    while (!isMounted(this.#directory)) {
      signal.throwIfAborted();
      if (this.#gone || monotonicMs() > until) throw await this.#failure();
      await sleep(LOOK_MS);
    }
    // Each read goes through three processes: few and large ones.
    setReadAhead(`/sys/class/bdi/${deviceOf(this.#directory)}/read_ahead_kb`);
  }

  async #failure(): Promise<BackupError> {
    const needs = "files out of disk images need nbdfuse (package libnbd-bin), FUSE (fuse3) and /dev/fuse";
    const fail = (why: string, cause?: unknown): BackupError =>
      new BackupError("FUSE_FAILED", `cannot show the disk image as a file: ${why}; ${needs}`, { cause });
    if (!this.#gone) return fail(`nbdfuse did not mount it within ${APPEAR_LIMIT_MS / 1000} seconds`);
    try {
      const said = this.#lines.join(" ");
      return fail(said || (describeFailure(await this.#ended!, 0) ?? "nbdfuse ended by itself"));
    } catch (cause) {
      return fail(describeError(cause), cause);
    }
  }

  /** Unmounts the file and ends nbdfuse, whatever state they are in. Never throws: the caller looks what is left. */
  async close(): Promise<void> {
    await unmount(this.#directory, []);
    if (isMounted(this.#directory)) await unmount(this.#directory, ["-l"]);
    if (this.#ended === undefined) return;
    // It ends when it is unmounted; else it is told to.
    const late = new AbortController();
    await Promise.race([
      this.#ended.catch(() => undefined),
      sleep(END_LIMIT_MS, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    this.kill();
    await this.#ended.catch(() => undefined);
  }

  /** Whoever waits for the file gets an error. */
  kill(): void {
    this.#abort.abort();
  }
}

const READ_AHEAD_KB = "1024";

/** For whatever is opened from then on. It only saves time: what cannot be set stays as it is. */
export function setReadAhead(file: string): void {
  try {
    writeFileSync(file, READ_AHEAD_KB);
  } catch {
    // Without sysfs, or in a container that may not write to it.
  }
}

/** `major:minor` of what is mounted there. */
function deviceOf(directory: string): string {
  const lines = readFileSync("/proc/self/mountinfo", "latin1").split("\n");
  const row = lines.findLast((line) => unescaped(line.split(" ")[4] ?? "") === directory);
  return row?.split(" ")[2] ?? "";
}

/** By the kernel's table: a look at the directory itself would wait for nbdfuse. */
export function isMounted(directory: string): boolean {
  return mountPoints().includes(directory);
}

/** Of all mounts; in order, what lies on top of something behind it. Names as latin1 carriers. */
export function mountPoints(table: string = readFileSync("/proc/self/mountinfo", "latin1")): string[] {
  return table
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => unescaped(line.split(" ")[4] ?? ""));
}

function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Never throws. */
export async function unmount(directory: string, options: readonly string[]): Promise<void> {
  if (!isMounted(directory)) return;
  const path = Buffer.from(directory, "latin1").toString("utf8");
  const words = ["umount", "-n", "-i", "-c", ...options, "--", path];
  await runCommand({ words, env: PROGRAM_ENV, timeoutMs: UNMOUNT_LIMIT_MS, graceMs: 1000 }).catch(
    () => undefined,
  );
}
