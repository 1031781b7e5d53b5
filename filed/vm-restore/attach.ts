/**
 * Partitions as loop devices, file systems mounted, and all of it undone again. Undoing needs no memory: it goes by the
 * kernel's tables, and so also clears what a killed process left behind.
 */
import { existsSync, lstatSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { bytesOfText } from "../../common/format/path.js";
import { type Lock, lockWorkingDirectory } from "../../common/working-directory.js";
import { mountsWithin } from "../mount/mount-table.js";
import { deviceNumbers, loopsOver, mountsOf } from "./device-use.js";
import type { Placed } from "./layout.js";
import { isOfImages, type RestorePlan, rootOf } from "./plan.js";
import type { Filesystem } from "./plan-partition.js";
import { runTool, type Tools } from "./tool.js";

/** Attaching and mounting take moments, on the slowest machine. */
const LIMIT_MS = 120_000;
/** So long a mount may be busy when everything is over: a file daemon that closes its last files. */
const BUSY_MS = 30_000;
const STEP_MS = 500;
/** What is restored is written, not used: no device of it works here, and nothing of it is run. */
const MOUNT_OPTIONS = "nodev,nosuid,noexec";
/** What vfat has no owner or mode for is left out without an error. */
const MORE_OPTIONS: Partial<Record<Filesystem, string>> = { vfat: ",quiet" };

/** A loop device over a partition; over the whole disk when it has no table. */
export async function attach(device: string, placed: Placed, signal?: AbortSignal): Promise<string> {
  const range = ["--offset", String(placed.startBytes), "--sizelimit", String(placed.sizeBytes)];
  const words = ["losetup", "--find", "--show", ...range, device];
  return (await runTool(words, { signal, timeoutMs: LIMIT_MS })).trim();
}

export interface Mountable {
  readonly loop: string;
  readonly placed: Placed;
}

/** Mounts what has a place in the guest, `/` first, below the root; the directories are made. @throws BackupError RESTORE_VM */
export async function mountAll(
  plan: RestorePlan,
  parts: readonly Mountable[],
  signal?: AbortSignal,
): Promise<void> {
  const root = rootOf(plan);
  const wanted = parts.filter(({ placed }) => placed.spec.mount !== undefined);
  const depth = ({ placed }: Mountable): number => placed.spec.mount!.split("/").filter(Boolean).length;
  for (const part of [...wanted].sort((a, b) => depth(a) - depth(b))) {
    const { mount, filesystem } = part.placed.spec;
    const at = join(root, mount!);
    mkdirSync(at, { recursive: true, mode: 0o755 });
    const mountOptions = `${MOUNT_OPTIONS}${MORE_OPTIONS[filesystem] ?? ""}`;
    const words = ["mount", "-t", filesystem, "-o", mountOptions, part.loop, at];
    await runTool(words, { signal, timeoutMs: LIMIT_MS });
  }
}

/** One at a time works on a machine's disks; held by the kernel until release or the process' end. @throws BackupError */
export function lockPlan({ directory, vm }: RestorePlan): Lock {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new BackupError("RESTORE_VM", `cannot make ${directory}: ${describeError(cause)}`, { cause });
  }
  return lockWorkingDirectory(directory, `restore-vm-${vm}`);
}

/**
 * The directory that everything is mounted below, for root alone: what is restored there is as readable as the guest had
 * it. While it exists, what is attached to the plan's disks is this plan's. @throws BackupError RESTORE_VM
 */
export function makeRoot({ directory, vm }: RestorePlan): void {
  const root = join(directory, vm);
  try {
    mkdirSync(root, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST")
      throw new BackupError("RESTORE_VM", `cannot make ${root}: ${describeError(error)}`, { cause: error });
    if (!lstatSync(root).isDirectory())
      throw new BackupError("RESTORE_VM", `${root} is in the way: it is no directory`);
  }
}

/** What of a plan is mounted or attached now: file systems, innermost first, and loop devices. */
export function attached(plan: RestorePlan): { mounts: string[]; loops: string[] } {
  const root = rootOf(plan);
  if (isOfImages(plan) || !existsSync(root)) return { mounts: [], loops: [] };
  const mounts = mountsWithin(bytesOfText(root))
    .map(({ point }) => Buffer.from(point, "latin1").toString())
    .reverse();
  return { mounts, loops: plan.disks.flatMap(({ device }) => loopsIfThere(device)) };
}

function loopsIfThere(device: string): string[] {
  try {
    return loopsOver(device);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/**
 * Unmounts and detaches all of it and removes the directory. Does as much as it can.
 * @throws BackupError RESTORE_VM with what is left
 */
export async function detachAll(plan: RestorePlan, { report }: Pick<Tools, "report">): Promise<void> {
  const left: string[] = [];
  for (const at of attached(plan).mounts) {
    try {
      await unmount(at);
      report(`unmounted ${at}`);
    } catch (error) {
      left.push(describeError(error));
    }
  }
  for (const loop of attached(plan).loops) {
    try {
      await detach(loop);
      report(`detached ${loop}`);
    } catch (error) {
      left.push(describeError(error));
    }
  }
  try {
    rmdirSync(rootOf(plan));
  } catch {
    // Never made, or what is mounted there is told above.
  }
  if (left.length > 0) {
    const next = "end what uses it, then: basalt restore-vm cleanup";
    throw new BackupError("RESTORE_VM", `not everything is released: ${left.join("; ")}; ${next}`);
  }
}

async function unmount(at: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += STEP_MS) {
    try {
      await runTool(["umount", at], { timeoutMs: LIMIT_MS });
      return;
    } catch (error) {
      if (waitedMs >= BUSY_MS || !/busy/.test(describeError(error))) throw error;
    }
    await sleep(STEP_MS);
  }
}

/** @throws BackupError RESTORE_VM: losetup would take it away as soon as whoever mounted it lets go */
async function detach(loop: string): Promise<void> {
  const mounts = mountsOf(deviceNumbers(lstatSync(loop).rdev));
  if (mounts.length > 0) throw new BackupError("RESTORE_VM", `${loop} is mounted at ${mounts.join(", ")}`);
  await runTool(["losetup", "--detach", loop], { timeoutMs: LIMIT_MS });
}
