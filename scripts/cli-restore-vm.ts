/** `basalt restore-vm` on the command line. */
import { type Command, InvalidArgumentError } from "commander";

type Finish = (outcome: () => Promise<number>) => Promise<void>;

interface ConsoleCliOptions {
  readonly console?: string;
  readonly director?: string;
}

interface DraftCliOptions extends ConsoleCliOptions {
  readonly jobid?: number;
  readonly client?: string;
  readonly root?: string;
  readonly group?: string;
}

interface RunCliOptions extends ConsoleCliOptions {
  readonly restoreJob?: string;
  readonly bootFiles?: string;
}

const CLIENT = ["--client <name>", "the Client whose file daemon is on this machine"] as const;

/** `finish` runs the command and leaves its exit status. */
export function addRestoreVm(program: Command, finish: Finish): void {
  const restoreVm = program
    .command("restore-vm")
    .description(
      "make the disks of a virtual machine again on this hypervisor, by a plan; see docs/vm-restore.md",
    );
  restoreVm
    .command("describe")
    .description("print the plan of disks that exist: partitions, file systems, where the guest mounts them")
    .argument("<vm>", "name of the machine")
    .argument("<device...>", "its disks: devices or files; they are only read")
    .option("--root <directory>", "where its files are mounted, for its /etc/fstab")
    .option("--jobid <number>", "the run whose state is wanted", jobId)
    .option(...CLIENT)
    .action((vm: string, devices: string[], { root, jobid, client }: DraftCliOptions) =>
      finish(async () => (await commands()).describeVm({ vm, devices, root, jobId: jobid, client })),
    );
  restoreVm
    .command("images")
    .description("print the plan of the disk images that a backup holds")
    .argument("<vm>", "name of the machine")
    .requiredOption("--jobid <number>", "the run whose state is wanted", jobId)
    .requiredOption("-c, --console <file>", "configuration of a console")
    .option("--director <name>", "Director resource of it (default: the first)")
    .option("--group <name>", "volume group of the new disks (default: as in the backup)")
    .option(...CLIENT)
    .action((vm: string, options: DraftCliOptions & { console: string; jobid: number }) =>
      finish(async () => (await commands()).draftImages({ vm, ...options, jobId: options.jobid })),
    );
  restoreVm
    .command("check")
    .description("say what `run` would do, and what stands against it; nothing is touched")
    .argument("<plan>", "file with the plan")
    .action((plan: string) => finish(async () => (await commands()).checkPlan(plan)));
  restoreVm
    .command("run")
    .description("make the disks, restore into them, release them")
    .argument("<plan>", "file with the plan")
    .option(
      "-c, --console <file>",
      "configuration of a console, to start the restore with (default: say what to type)",
    )
    .option("--director <name>", "Director resource of it (default: the first)")
    .option("--restore-job <name>", "Job of type Restore (default: the only one)")
    .option("--boot-files <directory>", "copy the guest's kernel and initrd to this directory")
    .action((plan: string, options: RunCliOptions) =>
      finish(async () => (await commands()).runPlan({ plan, ...options })),
    );
  restoreVm
    .command("cleanup")
    .description("unmount and detach what a run that was killed has left")
    .argument("<plan>", "file with the plan")
    .action((plan: string) => finish(async () => (await commands()).cleanUp(plan)));
}

function commands() {
  return import("./restore-vm.js");
}

function jobId(text: string): number {
  if (/^[1-9]\d{0,11}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a JobId is a number from 1 on");
}
