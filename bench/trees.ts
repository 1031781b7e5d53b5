/**
 * The machines of the benchmark: a reference, two virtual machines derived from it, and one installed on its own
 * with more packages, as in a fleet where some were cloned and some were not.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EditSize, editMachine, makeDifferent, makeRawTree } from "../test/helpers/raw-trees.js";
import { removeTree, runProgram, unmountBelow } from "../test/helpers/tree-ops.js";

/** How large the machines are. */
export type Scale = "small" | "full";

/** The machines' trees, the reference first, and how they were made. */
export interface BenchTrees {
  machines: { name: string; tree: string }[];
  how: string;
}

interface ScaleSize {
  reference: string[];
  /** Beside those of the reference. */
  more: string[];
  limitBytes: number;
  own: EditSize;
  night: EditSize;
}

const SMALL = [
  "systemd-sysv",
  "udev",
  "iproute2",
  "dbus",
  "openssh-server",
  "perl",
  "python3",
  "vim-tiny",
  "nginx-light",
];
const FULL = [
  ...SMALL,
  ...["linux-image-amd64", "build-essential", "git", "vim", "emacs-nox"],
  ...["python3-all-dev", "python3-numpy", "python3-django", "postgresql", "apache2", "php-cli"],
  ...["libboost1.81-dev", "nodejs", "npm", "ruby", "perl-doc", "manpages-dev"],
];

const SCALES: Record<Scale, ScaleSize> = {
  small: {
    reference: SMALL,
    more: ["git", "curl", "apache2", "postgresql-client", "vim"],
    limitBytes: 200e6,
    own: { files: 600, bytes: 30e6 },
    night: { files: 200, bytes: 15e6 },
  },
  full: {
    reference: FULL,
    more: ["clang", "golang-go", "docker.io", "samba", "postfix", "libreoffice-core-nogui"],
    limitBytes: 2.3e9,
    own: { files: 4500, bytes: 300e6 },
    night: { files: 1400, bytes: 150e6 },
  },
};

/** Makes the trees of a scale in `dir`; later calls find them there. */
export async function makeBenchTrees(dir: string, scale: Scale): Promise<BenchTrees> {
  const size = SCALES[scale];
  const top = join(dir, scale);
  const note = join(top, "made.txt");
  const tree = (name: string): string => join(top, name);
  if (!existsSync(note)) {
    await unmountBelow(top);
    await removeTree(top);
    const how = await makeRawTree(tree("reference"), {
      packages: size.reference,
      limitBytes: size.limitBytes,
    });
    for (const name of ["vm1", "vm2"]) {
      await runProgram("cp", ["-a", tree("reference"), tree(name)]);
      makeDifferent(tree(name), name, size.own);
    }
    const packages = [...size.reference, ...size.more];
    const other = await makeRawTree(tree("vm3"), { packages, limitBytes: size.limitBytes * 1.1 });
    makeDifferent(tree("vm3"), "vm3", { files: size.own.files, bytes: size.own.bytes / 4 });
    writeFileSync(note, `reference: ${how}; vm1, vm2: copies of it with own data; vm3: ${other}`);
  }
  const machines = ["reference", "vm1", "vm2", "vm3"].map((name) => ({ name, tree: tree(name) }));
  return { machines, how: readFileSync(note, "utf8") };
}

/** What a night changes on a machine; `step` must be a new number each time. */
export function editBenchMachine(machine: { name: string; tree: string }, step: number, scale: Scale): void {
  editMachine(machine.tree, machine.name, step, SCALES[scale].night);
}

/** A number for editBenchMachine that was never used on the trees of a scale; `dir` is the benchmark's. */
export function nextNight(dir: string, scale: Scale): number {
  const file = join(dir, "trees", scale, "night.txt");
  const night = existsSync(file) ? Number(readFileSync(file, "utf8")) + 1 : 1;
  writeFileSync(file, String(night));
  return night;
}
