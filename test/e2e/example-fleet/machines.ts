/**
 * Small stand-ins for what the example's programs work on: three machines that change every day, two references, and
 * the commands snapshot-create, snapshot-remove and reference-build over them.
 *
 * A snapshot of web-1 and db-1 is the tree itself, moved to where the snapshot's file systems would be mounted: its
 * entries keep inode and ctime as those of a real snapshot do.
 */
import { copyFile, mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { noise } from "../../helpers/random.js";
import { writeScript } from "../../helpers/running.js";
import { runProgram } from "../../helpers/tree-ops.js";
import type { ExampleFleet } from "./fleet.js";

export const MACHINES = ["web-1", "db-1", "legacy-1"] as const;
export const REFERENCES = ["debian12", "debian12-db"] as const;
export type Machine = (typeof MACHINES)[number];
export type Reference = (typeof REFERENCES)[number];

/** Files of a reference, of which a month's updates change every fifth, and their size. */
const PACKAGE_FILES = { debian12: 100, "debian12-db": 40 } as const;
const PACKAGE_BYTES = 5000;
/** What a day changes: files of `OWN_BYTES`, or blocks of an image. */
const DAILY_FILES = 3;
const OWN_BYTES = 8000;
const BLOCK = 65_536;
const IMAGE_BLOCKS = 40;
const DAILY_BLOCKS = 2;
/** Days for which a machine keeps its own logs. */
const LOG_DAYS = 10;

/** See the head of this file. Days are numbers that only ever grow. */
export class Machines {
  readonly #fleet: ExampleFleet;

  private constructor(fleet: ExampleFleet) {
    this.#fleet = fleet;
  }

  /** Installs the hooks, the first release of the references, and the machines as they are before the first day. */
  static async create(fleet: ExampleFleet): Promise<Machines> {
    const machines = new Machines(fleet);
    for (const name of ["world", "releases", "fail", "states"]) await mkdir(fleet.path(name));
    await machines.#writeHooks();
    await machines.release(0);
    for (const machine of ["web-1", "db-1"] as const) {
      await mkdir(machines.#tree(machine));
      await machines.upgrade(machine);
      await mkdir(join(machines.#tree(machine), "srv"));
    }
    await writeFile(machines.#disk, noise(IMAGE_BLOCKS * BLOCK, "disk"));
    return machines;
  }

  #tree(machine: Machine): string {
    return this.#fleet.path("world", machine);
  }

  get #disk(): string {
    return this.#fleet.path("world", "vm_legacy-1-disk1");
  }

  async #writeHooks(): Promise<void> {
    const at = (name: string): string => this.#fleet.path(name);
    const hooks = join(this.#fleet.kvm, "hooks");
    await writeScript(join(hooks, "snapshot-create"), [
      "set -eu",
      `[ ! -e "${at("fail")}/$1" ] || { echo "no room for a snapshot of $1 in volume group kvm-01" >&2; exit 1; }`,
      `if [ -d "${at("world")}/$1" ]; then mv "${at("world")}/$1" "${at("mnt")}/$1"`,
      `else cp "${at("world")}/vm_$1-disk1" "${at("dev")}/snap_vm_$1-disk1"; fi`,
    ]);
    await writeScript(join(hooks, "snapshot-remove"), [
      "set -eu",
      `if [ -d "${at("mnt")}/$1" ]; then mv "${at("mnt")}/$1" "${at("world")}/$1"; fi`,
      `rm -f "${at("dev")}/snap_vm_$1-disk1"`,
    ]);
    await writeScript(join(hooks, "reference-build"), [
      "set -eu",
      `[ ! -e "${at("fail")}/$BASALT_REFERENCE" ] || { echo "the mirror does not answer" >&2; exit 1; }`,
      `cp -a "${at("releases")}/$BASALT_REFERENCE/." "$BASALT_REFERENCE_TARGET"`,
    ]);
  }

  /** From now on the commands fail for this machine or reference, or no longer. */
  async breaks(name: Machine | Reference, broken: boolean): Promise<void> {
    if (broken) await writeFile(this.#fleet.path("fail", name), "");
    else await rm(this.#fleet.path("fail", name));
  }

  /** Puts out the packages of a month: the second reference has those of the first and its own. */
  async release(month: number): Promise<void> {
    const files = [
      ["debian12", "usr/lib"],
      ["debian12-db", "usr/lib/postgresql"],
    ] as const;
    for (const [reference, directory] of files) {
      const tree = this.#fleet.path("releases", reference);
      await mkdir(join(tree, directory), { recursive: true });
      for (let number = 0; number < PACKAGE_FILES[reference]; number++) {
        if (month > 0 && (number + month) % 5 !== 0) continue;
        const content = noise(PACKAGE_BYTES, `${reference} ${number} of ${month}`);
        await writeFile(join(tree, directory, `file-${number}`), content);
      }
    }
    const [base, more] = REFERENCES.map((name) => this.#fleet.path("releases", name));
    await runProgram("cp", ["-au", `${base}/.`, more!]);
  }

  /** Brings a machine's packages to what was put out last. */
  async upgrade(machine: "web-1" | "db-1"): Promise<void> {
    const reference: Reference = machine === "db-1" ? "debian12-db" : "debian12";
    await runProgram("cp", ["-au", `${this.#fleet.path("releases", reference)}/.`, this.#tree(machine)]);
  }

  /** What the machines do on a day: new files, changed ones, old ones removed; blocks of the image. */
  async live(day: number): Promise<void> {
    for (const machine of ["web-1", "db-1"] as const) {
      const own = join(this.#tree(machine), "srv");
      await writeFile(join(own, `log-${day}`), noise(OWN_BYTES, `${machine} log ${day}`));
      await rm(join(own, `log-${day - LOG_DAYS}`), { force: true });
      for (let number = 0; number < DAILY_FILES; number++)
        await writeFile(join(own, `data-${number}`), noise(OWN_BYTES, `${machine} ${number} ${day}`));
    }
    const disk = await open(this.#disk, "r+");
    for (let number = 0; number < DAILY_BLOCKS; number++) {
      const block = (day * DAILY_BLOCKS + number) % IMAGE_BLOCKS;
      await disk.write(noise(BLOCK, `block ${day} ${number}`), 0, BLOCK, block * BLOCK);
    }
    await disk.close();
  }

  /** Keeps how the machines are, as that day's state. */
  async remember(day: number): Promise<void> {
    await mkdir(this.#fleet.path("states", String(day)));
    for (const machine of ["web-1", "db-1"] as const)
      await runProgram("cp", ["-a", this.#tree(machine), this.state(day, machine)]);
    await copyFile(this.#disk, this.state(day, "legacy-1"));
  }

  /** Where the state of a day is: a tree, or the disk's image. */
  state(day: number, machine: Machine): string {
    return this.#fleet.path("states", String(day), machine);
  }
}
