/** A machine of User Mode Linux as a hypervisor: a volume group `kvm-01` on its disk, and the file daemon's configuration. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { REPOSITORY } from "../helpers/root.js";
import { Uml, type UmlOptions, type UmlResult } from "./uml.js";

const BASALT = join(REPOSITORY, "basalt");

/** A Snapshot resource as in YAML. */
export type SnapshotResource = Record<string, unknown>;

/** Close `machine` in the end. */
export class Hypervisor {
  readonly machine: Uml;

  private constructor(machine: Uml) {
    this.machine = machine;
  }

  /** Boots a machine and makes the volume group. */
  static async create(options: UmlOptions = {}): Promise<Hypervisor> {
    const hypervisor = new Hypervisor(await Uml.create(options));
    try {
      await hypervisor.machine.boot();
      await hypervisor.machine.run("vgcreate -q kvm-01 /dev/ubda");
      return hypervisor;
    } catch (error) {
      await hypervisor.machine.close();
      throw error;
    }
  }

  /** For commands alone; no daemon starts with it. */
  configure(snapshots: SnapshotResource[]): Promise<void> {
    const WorkingDirectory = this.machine.path("var");
    const TLS = { CaFile: "ca", CertFile: "cert", KeyFile: "key" };
    const FileDaemon = { Name: "kvm-01-fd", WorkingDirectory, Directors: "t-dir", TLS };
    return writeFile(this.machine.path("filed.yaml"), stringify({ FileDaemon, Snapshot: snapshots }));
  }

  /** What a shell in the machine says for `basalt snapshot WORDS`. */
  command(words: string): string {
    return `${BASALT} snapshot ${words} -c ${this.machine.path("filed.yaml")}`;
  }

  snapshot(words: string, options: { status?: number } = {}): Promise<UmlResult> {
    return this.machine.run(this.command(words), { status: options.status ?? 0 });
  }

  /** Names of all logical volumes but pools' inner ones, sorted. */
  async volumes(): Promise<string[]> {
    const { output } = await this.machine.run("lvs --noheadings -o lv_name kvm-01");
    return output.split(/\s+/).filter(Boolean).sort();
  }
}
