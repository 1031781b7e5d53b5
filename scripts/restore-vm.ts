/** What `basalt restore-vm` does: the hypervisor's part is in filed/vm-restore, the director is reached as a console. */
import { createInterface } from "node:readline/promises";
import { BackupError, EXIT } from "../common/errors.js";
import { ProgramConsole } from "../console/program.js";
import { attached, detachAll, lockPlan } from "../filed/vm-restore/attach.js";
import { describeDisks } from "../filed/vm-restore/describe.js";
import { describePlan, examine } from "../filed/vm-restore/examine.js";
import { type DiskPlan, isOfImages, loadPlan, type RestorePlan } from "../filed/vm-restore/plan.js";
import { planText } from "../filed/vm-restore/plan-text.js";
import { restoreVm } from "../filed/vm-restore/restore-vm.js";
import {
  chainOf,
  checkImages,
  imagesOf,
  restoreCommand,
  restoreThrough,
} from "../filed/vm-restore/through-director.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

interface Draft {
  readonly vm: string;
  readonly jobId?: number | undefined;
  readonly client?: string | undefined;
}

/** Prints a plan of disks that exist. @throws BackupError */
export async function describeVm(
  options: Draft & { devices: string[]; root?: string | undefined },
): Promise<number> {
  const { devices, root, ...draft } = options;
  asRoot();
  const { disks, remarks } = await describeDisks(devices, root);
  process.stdout.write(planText({ ...draft, disks, remarks }));
  return EXIT.ok;
}

interface ImagesOptions extends Draft {
  readonly jobId: number;
  readonly console: string;
  readonly director?: string;
  readonly group?: string;
}

/** Prints a plan of the images of a run. @throws BackupError */
export async function draftImages({ vm, jobId, client, group, ...options }: ImagesOptions): Promise<number> {
  const console = await ProgramConsole.open(options.console, options.director);
  try {
    const images = await imagesOf(console, await chainOf(console, jobId));
    if (images.length === 0) throw new BackupError("RESTORE_VM", `JobId ${jobId} holds no images`);
    const disks = images.map(({ name, sizeBytes }): DiskPlan => {
      const device = deviceFor(name, group);
      return { device, sizeBytes, image: name, overwrite: false, table: "none", partitions: [] };
    });
    const remarks = ["look at every Device: what it names is written to from end to end"];
    process.stdout.write(planText({ vm, client, jobId, disks, remarks }));
    return EXIT.ok;
  } finally {
    console.close();
  }
}

/** The volume that a snapshot was of: `snap_` goes, and the group may be another one. */
function deviceFor(image: string, group: string | undefined): string {
  const [, directory = "", name = ""] = /^(.*)\/([^/]*)$/.exec(image) ?? [];
  return `${group === undefined ? directory : `/dev/${group}`}/${name.replace(/^snap_/, "")}`;
}

/** What a plan would do. @throws BackupError RESTORE_VM: what stands against it */
export async function checkPlan(file: string): Promise<number> {
  asRoot();
  const plan = loadPlan(file);
  for (const line of describePlan(plan, await examine(plan))) print(line);
  print("nothing was touched; basalt restore-vm run does it");
  return EXIT.ok;
}

/** Releases what is left of a run. @throws BackupError RESTORE_VM: what could not be released */
export async function cleanUp(file: string): Promise<number> {
  asRoot();
  outliveReader();
  const plan = loadPlan(file);
  const lock = lockPlan(plan);
  try {
    const { mounts, loops } = attached(plan);
    if (mounts.length + loops.length === 0) print("nothing is left");
    await detachAll(plan, { report: print });
  } finally {
    lock.release();
  }
  return EXIT.ok;
}

interface RunOptions {
  readonly plan: string;
  readonly console?: string;
  readonly director?: string;
  readonly restoreJob?: string;
  readonly bootFiles?: string;
}

/** Carries a plan out. A signal ends it in order: the Restore job is canceled, all is released. @throws BackupError */
export async function runPlan(options: RunOptions): Promise<number> {
  asRoot();
  outliveReader();
  const plan = loadPlan(options.plan);
  const ended = new AbortController();
  const { signal } = ended;
  const end = (name: NodeJS.Signals): void => {
    print(`${name}: releasing everything`);
    ended.abort();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, end);
  const console =
    options.console === undefined ? undefined : await ProgramConsole.open(options.console, options.director);
  try {
    if (console === undefined && !process.stdin.readable)
      throw new BackupError(
        "USAGE",
        "nobody could say when the restore has ended: give --console, or a terminal",
      );
    if (console !== undefined && isOfImages(plan)) await checkImages(console, plan);
    const { restoreJob, bootFiles } = options;
    let isWhole = true;
    const restore = async (): Promise<void> => {
      if (console === undefined) await byHand(plan, restoreJob, signal);
      else isWhole = await restoreThrough(console, plan, { report: print, signal, restoreJob });
    };
    await restoreVm(plan, { report: print, signal, restore, bootFiles });
    return isWhole ? EXIT.ok : EXIT.warnings;
  } finally {
    console?.close();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, end);
  }
}

/** Waits for whoever types the commands into a console elsewhere. @throws BackupError INTERRUPTED */
async function byHand(plan: RestorePlan, restoreJob: string | undefined, signal: AbortSignal): Promise<void> {
  print("Everything is ready. In a console:");
  print(`  .bvfs_get_jobids jobid=${plan.jobId}`);
  print(`prints the runs that make up the state; give all of them in place of ${plan.jobId} in`);
  print(`  ${restoreCommand(plan, [plan.jobId], restoreJob)}`);
  const lines = createInterface({ input: process.stdin });
  const stop = (): void => lines.close();
  signal.addEventListener("abort", stop, { once: true });
  try {
    print('When that job has ended well, type "done" here; anything else gives up:');
    for await (const line of lines) {
      if (line.trim() === "done") return;
      break;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    lines.close();
  }
  throw new BackupError("INTERRUPTED", "given up: the disks are made, and not restored");
}

/** Whoever reads what is printed may go, with the terminal: what is mounted is released all the same. */
function outliveReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners("error");
    stream.on("error", () => undefined);
  }
}

function asRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new BackupError("USAGE", "disks are read and made by root alone: run this as root");
}
