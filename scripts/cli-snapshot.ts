/** `basalt snapshot` on the command line. */

import type { Command } from "commander";

interface Options {
  readonly config: string;
}

type Finish = (outcome: () => Promise<number>) => Promise<void>;

const CONFIG_OPTION = ["-c, --config <file>", "configuration of the file daemon", "filed.yaml"] as const;
const VM_NAME = "name of the virtual machine";

const commands = () => import("../filed/snapshot/cli.js");

/** `finish` runs a command and leaves its exit status. */
export function addSnapshot(program: Command, finish: Finish, print: (line: string) => void): void {
  const snapshot = program
    .command("snapshot")
    .description("snapshots of virtual machines' disks on this hypervisor, for backups of them");
  snapshot
    .command("create")
    .description("one of every disk of a machine, while it is held still; all of them or none")
    .argument("<vm>", VM_NAME)
    .option("--no-mount", "do not mount the machine's file systems, even if the configuration says how")
    .option(...CONFIG_OPTION)
    .action((vm: string, { config, mount }: Options & { mount: boolean }) =>
      finish(async () => (await commands()).runCreate({ configFile: config, vm, mount }, print)),
    );
  snapshot
    .command("remove")
    .description("unmount and remove a machine's snapshots; those of another running job stay")
    .argument("<vm>", VM_NAME)
    .option(...CONFIG_OPTION)
    .action((vm: string, { config }: Options) =>
      finish(async () => (await commands()).runRemove({ configFile: config, vm }, print)),
    );
  snapshot
    .command("list")
    .description("what snapshots there are, of which jobs, and whether they are good")
    .argument("[vm]", `${VM_NAME} (default: all)`)
    .option("--json", "as JSON")
    .option(...CONFIG_OPTION)
    .action((vm: string | undefined, { config, json }: Options & { json?: true }) =>
      finish(async () => (await commands()).runList({ configFile: config, vm, json: json === true }, print)),
    );
  snapshot
    .command("cleanup")
    .description("remove what jobs have left that have ended; every start of the file daemon does it too")
    .argument("[vm]", `${VM_NAME} (default: all)`)
    .option(...CONFIG_OPTION)
    .action((vm: string | undefined, { config }: Options) =>
      finish(async () => (await commands()).runCleanup({ configFile: config, vm }, print)),
    );
}
