/** Releases what was mounted of a virtual machine, by what the kernel says: also what a dead process left behind. */
import { lstatSync, rmdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import { monotonicMs } from "../../common/time.js";
import { detachLoop, loopLabel, loopsLabelled } from "../sys/loop.js";
import type { MountSettings } from "./config.js";
import { type MountRow, mountsWithin } from "./mount-table.js";
import { machineLabel } from "./mounted-machine.js";
import { machineDirectory } from "./place.js";
import { runMountProgram } from "./programs.js";

const RETRY_MS = 200;
/** umount itself does not wait for users; a hung device may keep it. */
const UMOUNT_LIMIT_MS = 20_000;

/**
 * Unmounts all that is mounted in the machine's directory, what was mounted last first, detaches its loop devices and
 * removes the directory. Nothing mounted is no error. What stays in use beyond the limit of the settings is unmounted
 * lazily: that is reported as a warning, as are loop devices which then stay attached.
 * @throws BackupError UNMOUNT_FAILED when something is still mounted in the end
 */
export async function unmountVm(
  vm: string,
  settings: MountSettings,
  tools: { report: (line: string) => void },
): Promise<void> {
  const root = machineDirectory(settings.directory, vm);
  const until = monotonicMs() + settings.unmountLimitSec * 1000;
  for (let rows = mountsWithin(root); rows.length > 0; ) {
    const last = rows.at(-1)!;
    const failure = await unmount(last, []);
    const left = mountsWithin(root);
    if (failure !== undefined && left.length >= rows.length) {
      if (monotonicMs() >= until) {
        await unmountLazily(vm, root, tools.report);
        break;
      }
      await sleep(RETRY_MS);
    }
    rows = left;
  }
  await detachLoops(vm, machineLabel(root), until, tools.report);
  removeDirectory(root);
}

/** The error, if any: whether it is unmounted is to be seen in the table. */
async function unmount({ point }: MountRow, options: readonly string[]): Promise<string | undefined> {
  const path = Buffer.from(point, "latin1").toString("utf8");
  try {
    const words = ["umount", "-n", "-i", "-c", ...options, "--", path];
    await runMountProgram(words, { timeLimitMs: UMOUNT_LIMIT_MS });
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

async function unmountLazily(vm: string, root: string, report: (line: string) => void): Promise<void> {
  let failure: string | undefined;
  for (let rows = mountsWithin(root); rows.length > 0; ) {
    const last = rows.at(-1)!;
    failure = await unmount(last, ["-l"]);
    const left = mountsWithin(root);
    if (left.length >= rows.length) {
      const text = `${displayPath(last.point)} cannot be unmounted: ${failure ?? "it is still mounted"}`;
      throw new BackupError("UNMOUNT_FAILED", `${vm}: ${text}`);
    }
    report(
      `Warning: ${vm}: ${displayPath(last.point)} was in use and is unmounted once nobody uses it any more`,
    );
    rows = left;
  }
}

/** They detach themselves, the last moment after the unmount. */
async function detachLoops(
  vm: string,
  label: string,
  until: number,
  report: (line: string) => void,
): Promise<void> {
  let devices = loopsLabelled(label);
  while (devices.length > 0 && monotonicMs() < until) {
    for (const device of devices) detachLoop(device);
    devices = devices.filter((device) => loopLabel(device) === label);
    if (devices.length > 0) await sleep(RETRY_MS);
  }
  for (const device of devices)
    report(`Warning: ${vm}: ${device} is still in use, and so is the disk behind it`);
}

function removeDirectory(root: string): void {
  try {
    rmdirSync(root);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    const what = lstatSync(root).isDirectory() ? "it is not empty" : "it is no directory";
    throw new BackupError("UNMOUNT_FAILED", `${root} cannot be removed: ${what} (${describeError(error)})`);
  }
}
