/** borg with a local repository, lz4, without encryption. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bytesBelow, measureCommand, programVersion } from "../measure.js";
import type { BackupStep, Cost, Peer, PeerKind, Stored } from "../peer.js";

/** 1 says that there were warnings. */
const STATUSES = [0, 1];

class Borg implements Peer {
  readonly name = "borg";
  readonly #repository: string;
  readonly #env: Record<string, string>;
  readonly #newest = new Map<string, string>();
  #count = 0;

  constructor(dir: string) {
    this.#repository = join(dir, "repository");
    this.#env = {
      BORG_REPO: this.#repository,
      BORG_BASE_DIR: join(dir, "base"),
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
      BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
    };
  }

  async prepare(): Promise<void> {
    await measureCommand(["borg", "init", "--encryption", "none"], { env: this.#env });
  }

  async backup(step: BackupStep): Promise<Cost> {
    const archive = `${step.machine}-${++this.#count}`;
    const command = ["borg", "create", "--compression", "lz4", "--numeric-ids", `::${archive}`, "."];
    const cost = await measureCommand(command, { env: this.#env, cwd: step.tree, statuses: STATUSES });
    this.#newest.set(step.machine, archive);
    return cost;
  }

  async restore(step: { machine: string; tree: string }, dest: string): Promise<Cost & { restored: string }> {
    await mkdir(dest, { recursive: true });
    const command = ["borg", "extract", "--numeric-ids", "--sparse", `::${this.#newest.get(step.machine)}`];
    const cost = await measureCommand(command, { env: this.#env, cwd: dest, statuses: STATUSES });
    return { ...cost, restored: dest };
  }

  async storedBytes(): Promise<Stored> {
    return { dataBytes: await bytesBelow(this.#repository), catalogBytes: 0 };
  }

  async close(): Promise<void> {}
}

/** See the head of this file. */
export const BORG: PeerKind = {
  name: "borg",
  async describe() {
    const version = await programVersion("borg", ["--version"]);
    return version && `${version}; local repository, lz4, no encryption`;
  },
  create: (dir) => new Borg(dir),
};
