/** The machines of the benchmark: a reference and three virtual machines derived from it, as fleets are cloned. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  appendToEtc,
  editDatabase,
  makeDifferent,
  makeRawTree,
  rewriteItems,
  seededBytes,
} from "../test/helpers/raw-trees.js";
import { removeTree, runProgram, unmountBelow } from "../test/helpers/tree-ops.js";
import { type ImageChange, makeImage } from "./images.js";
import { IMAGE_NAME, type Machine } from "./peer.js";

/** How large the machines are. `huge` is for memory alone, see phases/memory.ts. */
export type Scale = "small" | "full" | "huge";

/** The machines' trees, the reference first, and how they were made. */
export interface BenchTrees {
  machines: Machine[];
  how: string;
}

/** What makes a virtual machine of a copy of the reference, and what a night changes on it. */
interface VmSize {
  /** Bytes of its own, 40 % of them in one database file. */
  ownBytes: number;
  /** Sizes of all files together that a night touches. */
  nightBytes: number;
  /** Whether pages of the database change in a night: then all of its bytes have to be read. */
  database: boolean;
}

interface ScaleSize {
  packages: string[];
  /** How much of /usr stands in for the packages where there is no mmdebstrap. */
  limitBytes: number;
  ownFiles: number;
  nightFiles: number;
  vms: VmSize[];
  imageBytes: number;
  change: ImageChange;
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

const SCALES: Record<"small" | "full", ScaleSize> = {
  small: {
    packages: SMALL,
    limitBytes: 230e6,
    ownFiles: 500,
    nightFiles: 140,
    vms: [
      { ownBytes: 27e6, nightBytes: 10e6, database: false },
      { ownBytes: 35e6, nightBytes: 18e6, database: true },
      { ownBytes: 44e6, nightBytes: 24e6, database: true },
    ],
    imageBytes: 800 << 20,
    change: { places: 190, bytes: 3.8e6 },
  },
  full: {
    packages: FULL,
    limitBytes: 2.3e9,
    ownFiles: 5000,
    nightFiles: 1400,
    vms: [
      { ownBytes: 270e6, nightBytes: 100e6, database: false },
      { ownBytes: 350e6, nightBytes: 180e6, database: true },
      { ownBytes: 440e6, nightBytes: 240e6, database: true },
    ],
    imageBytes: 8 * 2 ** 30,
    change: { places: 1898, bytes: 38e6 },
  },
};

/** Trees and images exist at two sizes only. */
function sizeOf(scale: Scale): ScaleSize {
  return SCALES[scale === "full" ? "full" : "small"];
}

/** What a night changes in an image of this scale. */
export function imageChange(scale: Scale): ImageChange {
  return sizeOf(scale).change;
}

/** Makes the trees of a scale in `dir`; later calls find them there. */
export async function makeBenchTrees(dir: string, scale: Scale): Promise<BenchTrees> {
  const size = sizeOf(scale);
  const top = join(dir, scale);
  const note = join(top, "derived.txt");
  const tree = (name: string): string => join(top, name);
  const vms = size.vms.map((vm, index) => ({ ...vm, name: `vm${index + 1}` }));
  if (!existsSync(note)) {
    await makeReference(top, size);
    for (const { name, ownBytes } of vms) {
      await removeTree(tree(name));
      await runProgram("cp", ["-a", tree("reference"), tree(name)]);
      makeDifferent(tree(name), name, { files: size.ownFiles, bytes: ownBytes });
    }
    writeFileSync(note, readFileSync(join(top, "reference.txt")));
  }
  const machines = ["reference", ...vms.map(({ name }) => name)].map(
    (name): Machine => ({ name, kind: "tree", tree: tree(name) }),
  );
  return { machines, how: readFileSync(note, "utf8") };
}

/** Takes long, and is therefore kept when making the machines derived from it was interrupted. */
async function makeReference(top: string, { packages, limitBytes }: ScaleSize): Promise<void> {
  const note = join(top, "reference.txt");
  if (existsSync(note)) return;
  await unmountBelow(top);
  await removeTree(top);
  writeFileSync(note, await makeRawTree(join(top, "reference"), { packages, limitBytes }));
}

/** The image of the reference's disk; made when it is not there yet. */
export async function makeBenchImage(dir: string, scale: Scale): Promise<Machine> {
  const machine: Machine = { name: "image", kind: "image", tree: join(dir, scale, "image") };
  const file = join(machine.tree, IMAGE_NAME);
  if (!existsSync(file)) await makeImage(file, join(dir, scale, "reference"), sizeOf(scale).imageBytes);
  return machine;
}

/** A number for editBenchMachine that was never used on the trees of a scale; `dir` is the benchmark's. */
export function nextNight(dir: string, scale: Scale): number {
  const file = join(dir, "trees", scale, "night.txt");
  const night = existsSync(file) ? Number(readFileSync(file, "utf8")) + 1 : 1;
  writeFileSync(file, String(night));
  return night;
}

/**
 * What a night changes on a virtual machine; another night changes other places. What the night before added goes, so
 * that a tree does not grow without end.
 */
export function editBenchMachine({ name, tree }: Machine, night: number, scale: Scale): void {
  const size = sizeOf(scale);
  const vm = size.vms[Number(name.slice(2)) - 1];
  if (!vm) throw new Error(`${name} is not a virtual machine of the benchmark`);
  const folder = join(tree, "srv", name);
  const tag = `${name} ${night}`;
  rmSync(join(folder, `day-${night - 1}`), { recursive: true, force: true });
  const files = Math.round(size.nightFiles * 0.55);
  let left = vm.nightBytes - rewriteItems(tree, `srv/${name}`, tag, { step: night, files });
  if (vm.database) left -= editDatabase(join(folder, "database.db"), tag, night);
  appendToEtc(tree, tag, night);
  addDay(join(folder, `day-${night}`), tag, Math.round(size.nightFiles * 0.38), left);
}

/** New files: one holds a third of the bytes, the others share the rest unevenly. */
function addDay(folder: string, tag: string, files: number, bytes: number): void {
  const large = Math.floor(bytes / 3);
  const small = (bytes - large) / files;
  for (let number = 0; number < files; number++) {
    const file = join(folder, `part-${number % 11}`, `new-${number}.dat`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, seededBytes(`${tag} ${number}`, Math.floor(small * (0.5 + (number % 11) / 10))));
  }
  writeFileSync(join(folder, "dump.bin"), seededBytes(`${tag} dump`, large));
}
