/**
 * A machine's disks made again on the hypervisor. What the console has to do in between is the caller's: here devices are
 * made ready before, and released after, whatever happened.
 */
import { closeSync, constants, ftruncateSync, openSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { attach, detachAll, lockPlan, type Mountable, makeRoot, mountAll } from "./attach.js";
import { bootNotes, copyBootFiles } from "./boot.js";
import { describePlan, type ExaminedDisk, examine } from "./examine.js";
import { mkfsCommand } from "./filesystems.js";
import { fstabNotes, readGuestFile } from "./fstab.js";
import { type Placed, writeTable } from "./layout.js";
import { isOfImages, type RestorePlan, rootOf } from "./plan.js";
import { runTool, type Tools } from "./tool.js";

export interface RestoreVmOptions extends Tools {
  /** Carries the restore out through the director, or waits for whoever does. @throws when it did not end well */
  restore: () => Promise<void>;
  /** Kernel and initial file system of the guest are copied here. (Default: nowhere) */
  bootFiles?: string | undefined;
}

const CLAIM_TRIES = 20;
const CLAIM_WAIT_MS = 250;

/**
 * Carries a plan out. When it returns or throws, nothing is mounted or attached any more; what could not be released is said.
 * @throws BackupError RESTORE_VM, INTERRUPTED, ALREADY_RUNNING; what `restore` throws
 */
export async function restoreVm(plan: RestorePlan, options: RestoreVmOptions): Promise<void> {
  const lock = lockPlan(plan);
  try {
    await carryOut(plan, options);
  } finally {
    lock.release();
  }
}

async function carryOut(plan: RestorePlan, options: RestoreVmOptions): Promise<void> {
  const { report } = options;
  const disks = await examine(plan);
  for (const line of describePlan(plan, disks)) report(line);
  if (isOfImages(plan)) return await restoreImages(disks, options);
  let failure: unknown;
  try {
    await restoreFiles(plan, disks, options);
  } catch (error) {
    failure = error;
  }
  try {
    await detachAll(plan, options);
  } catch (error) {
    if (failure === undefined) throw error;
    report(describeError(error));
  }
  if (failure !== undefined) throw failure;
  report(`${plan.vm} is restored`);
}

async function restoreImages(disks: readonly ExaminedDisk[], options: RestoreVmOptions): Promise<void> {
  for (const disk of disks) if (disk.volume !== undefined) await makeVolume(disk, options);
  await options.restore();
  options.report("the images are restored; start the guest from these disks as it was before");
}

async function makeVolume({ disk, volume }: ExaminedDisk, { report, signal }: Tools): Promise<void> {
  await runTool(volume!.command, { signal });
  report(`made ${disk.device}; if the restore is given up: lvremove ${disk.device}`);
}

async function restoreFiles(
  plan: RestorePlan,
  disks: readonly ExaminedDisk[],
  options: RestoreVmOptions,
): Promise<void> {
  const claims: number[] = [];
  try {
    const parts: Mountable[] = [];
    makeRoot(plan);
    for (const disk of disks) {
      await makeDisk(disk, options);
      claims.push(await claim(disk));
      parts.push(...(await makeFilesystems(disk, options)));
    }
    await mountAll(plan, parts, options.signal);
    const root = rootOf(plan);
    options.report(`the file systems are mounted at ${root}`);
    await options.restore();
    checkRestored(plan, root);
    await runTool(["sync", "--file-system", root]);
    for (const note of notesOf(plan, root)) options.report(note);
    if (options.bootFiles !== undefined) await copyBootFiles(root, options.bootFiles, options.report);
  } finally {
    for (const fd of claims) closeSync(fd);
  }
}

async function makeDisk(disk: ExaminedDisk, options: Tools): Promise<void> {
  if (!disk.isMissing) return;
  if (disk.volume !== undefined) return await makeVolume(disk, options);
  const fd = openSync(disk.disk.device, "wx", 0o600);
  try {
    ftruncateSync(fd, disk.sizeBytes);
  } finally {
    closeSync(fd);
  }
  options.report(`made ${disk.disk.device}`);
}

/**
 * From now on nobody else gets this device by asking for it alone. Right after a volume was made, udev may still look at it.
 * @throws BackupError RESTORE_VM: somebody was faster
 */
async function claim({ disk, isBlockDevice }: ExaminedDisk): Promise<number> {
  const flags = constants.O_RDWR | (isBlockDevice ? constants.O_EXCL : 0);
  for (let attempt = 1; ; attempt++) {
    try {
      return openSync(disk.device, flags);
    } catch (cause) {
      if (codeOf(cause) !== "EBUSY" || attempt === CLAIM_TRIES)
        throw new BackupError("RESTORE_VM", `${disk.device} cannot be had: ${describeError(cause)}`, {
          cause,
        });
    }
    await sleep(CLAIM_WAIT_MS);
  }
}

async function makeFilesystems(
  { disk, placed, sectorBytes }: ExaminedDisk,
  { report, signal }: Tools,
): Promise<Mountable[]> {
  const written: readonly Placed[] =
    disk.table === "none" ? placed : await writeTable(disk, disk.device, { sectorBytes, signal });
  const parts: Mountable[] = [];
  for (const each of written) {
    const loop = await attach(disk.device, each, signal);
    const command = mkfsCommand(each.spec, loop);
    if (command !== undefined) await runTool(command, { signal });
    parts.push({ loop, placed: each });
  }
  report(`${disk.device}: partitions and file systems are made`);
  return parts;
}

/** A restore that somebody said was done, and that brought nothing, was not. */
function checkRestored({ disks }: RestorePlan, root: string): void {
  const mounts = disks.flatMap((disk) => disk.partitions.map(({ mount = "" }) => mount.split("/")[1] ?? ""));
  const made = new Set(["lost+found", ...mounts]);
  if (readdirSync(root).some((name) => !made.has(name))) return;
  throw new BackupError("RESTORE_VM", `nothing was restored into ${root}`);
}

function notesOf(plan: RestorePlan, root: string): string[] {
  try {
    return [...fstabNotes(readGuestFile(root, "/etc/fstab"), plan), ...bootNotes(plan, root)];
  } catch (error) {
    return [`/etc/fstab or /boot of the guest could not be looked at: ${describeError(error)}`];
  }
}
