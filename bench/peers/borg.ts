/** borg with a local repository, lz4, without encryption; for images also with fixed blocks of 64 KiB. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bytesBelow, measureCommand, programVersion } from "../measure.js";
import type { BackupStep, Cost, Machine, Peer, PeerKind, Stored } from "../peer.js";

/** 1 says that there were warnings. */
const STATUSES = [0, 1];

class Borg implements Peer {
  readonly name: string;
  readonly #chunks: string[];
  readonly #repository: string;
  readonly #env: Record<string, string>;
  readonly #newest = new Map<string, string>();
  #count = 0;

  constructor(name: string, dir: string, chunks: string[]) {
    this.name = name;
    this.#chunks = chunks;
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
    const archive = `${step.machine.name}-${++this.#count}`;
    const options = ["--compression", "lz4", "--numeric-ids", ...this.#chunks];
    const command = ["borg", "create", ...options, `::${archive}`, "."];
    const cost = await measureCommand(command, {
      env: this.#env,
      cwd: step.machine.tree,
      statuses: STATUSES,
    });
    this.#newest.set(step.machine.name, archive);
    return cost;
  }

  async restore(machine: Machine, dest: string): Promise<Cost & { restored: string }> {
    await mkdir(dest, { recursive: true });
    const command = ["borg", "extract", "--numeric-ids", "--sparse", `::${this.#newest.get(machine.name)}`];
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
  create: (dir) => new Borg("borg", dir, []),
};

/** Blocks that lie still, as those of a disk do, found again at any size of image. */
export const BORG_FIXED: PeerKind = {
  name: "borg 64 KiB",
  only: "image",
  async describe() {
    const what = await BORG.describe();
    return what && `${what}, --chunker-params fixed,65536 --sparse`;
  },
  create: (dir) => new Borg("borg 64 KiB", dir, ["--chunker-params", "fixed,65536", "--sparse"]),
};
