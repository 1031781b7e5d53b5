/** restic with a repository on the local disk and its default compression. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bytesBelow, measureCommand, programVersion } from "../measure.js";
import type { BackupStep, Cost, Machine, Peer, PeerKind, Stored } from "../peer.js";

class Restic implements Peer {
  readonly name = "restic";
  readonly #repository: string;
  readonly #env: Record<string, string>;

  constructor(dir: string) {
    this.#repository = join(dir, "repository");
    this.#env = {
      RESTIC_REPOSITORY: this.#repository,
      RESTIC_PASSWORD: "benchmark",
      RESTIC_CACHE_DIR: join(dir, "cache"),
      RESTIC_COMPRESSION: "auto",
    };
  }

  async prepare(): Promise<void> {
    await measureCommand(["restic", "init"], { env: this.#env });
  }

  backup(step: BackupStep): Promise<Cost> {
    const command = ["restic", "backup", "--quiet", "--host", step.machine.name, "."];
    return measureCommand(command, { env: this.#env, cwd: step.machine.tree });
  }

  async restore(machine: Machine, dest: string): Promise<Cost & { restored: string }> {
    await mkdir(dest, { recursive: true });
    const command = ["restic", "restore", "--quiet", "latest", "--host", machine.name, "--target", dest];
    const cost = await measureCommand(command, { env: this.#env });
    return { ...cost, restored: dest };
  }

  async storedBytes(): Promise<Stored> {
    return { dataBytes: await bytesBelow(this.#repository), catalogBytes: 0 };
  }

  async close(): Promise<void> {}
}

/** See the head of this file. */
export const RESTIC: PeerKind = {
  name: "restic",
  async describe() {
    const version = await programVersion("restic", ["version"]);
    return version && `${version}; local repository, encrypted as always, compression auto`;
  },
  create: (dir) => new Restic(dir),
};
