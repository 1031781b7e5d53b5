/** The trees of the demonstration: a reference machine and two virtual machines that look much like it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { editMachine, makeDifferent, makeRawTree } from "./raw-trees.js";
import { removeTree, runProgram, unmountBelow } from "./tree-ops.js";

/** Where the trees are and how they were made. */
export interface DemoTrees {
  reference: string;
  vms: [string, string];
  /** For people. */
  how: string;
}

const PACKAGES = ["systemd-sysv", "udev", "iproute2", "dbus", "openssh-server", "perl"];
const LIMIT_BYTES = 200e6;

/** Files that a package on the second machine would bring. */
function addPackage(tree: string): void {
  const folder = join(tree, "opt/extra-package");
  mkdirSync(join(folder, "bin"), { recursive: true });
  writeFileSync(join(folder, "bin/run"), "#!/bin/sh\necho extra\n", { mode: 0o755 });
  makeDifferent(folder, "extra", { files: 200, bytes: 8e6 });
}

async function makeMachine(cache: string, reference: string, name: string): Promise<string> {
  const path = join(cache, name);
  await runProgram("cp", ["-a", "--reflink=auto", reference, path]);
  makeDifferent(path, name, { files: 300, bytes: 15e6 });
  if (name === "vm2") addPackage(path);
  return path;
}

/**
 * Makes the trees below `dir`, once: a pristine set is kept in `dir/cache`, and each call copies it anew to
 * `dir/trees`, so that runs start from the same state.
 */
export async function makeDemoTrees(dir: string): Promise<DemoTrees> {
  const cache = join(dir, "cache");
  const note = join(cache, "made.txt");
  if (!existsSync(note)) {
    await unmountBelow(cache);
    await removeTree(cache);
    const how = await makeRawTree(join(cache, "reference"), { packages: PACKAGES, limitBytes: LIMIT_BYTES });
    for (const name of ["vm1", "vm2"]) await makeMachine(cache, join(cache, "reference"), name);
    writeFileSync(note, how);
  }
  const trees = join(dir, "trees");
  await removeTree(trees);
  mkdirSync(trees, { recursive: true });
  for (const name of ["reference", "vm1", "vm2"])
    await runProgram("cp", ["-a", "--reflink=auto", join(cache, name), join(trees, name)]);
  const vms: [string, string] = [join(trees, "vm1"), join(trees, "vm2")];
  return { reference: join(trees, "reference"), vms, how: readFileSync(note, "utf8") };
}

/** What happens on the machine `vm1` or `vm2` of a set between two runs. */
export function editDemoMachine(tree: string, name: "vm1" | "vm2", step: number): void {
  editMachine(tree, name, step, { files: 60, bytes: 6e6 });
}
