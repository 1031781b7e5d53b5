/**
 * Not a backup system but what the machine needs at least: GNU tar and zstd in a pipe to pack a tree (all of it, then
 * what changed), and in place of a restore a plain copy.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bytesBelow, measureCommand, programVersion } from "../measure.js";
import type { BackupStep, Cost, Peer, PeerKind, Stored } from "../peer.js";

const METADATA = "--xattrs --xattrs-include='*' --acls --numeric-owner";

class TarZstd implements Peer {
  readonly name = "floor";
  readonly #dir: string;
  readonly #archives = new Map<string, string[]>();

  constructor(dir: string) {
    this.#dir = join(dir, "archives");
  }

  async prepare(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
  }

  async backup(step: BackupStep): Promise<Cost> {
    const earlier = step.level === "incremental" ? (this.#archives.get(step.machine) ?? []) : [];
    const archive = join(this.#dir, `${step.machine}-${earlier.length}.tar.zst`);
    const snapshot = join(this.#dir, `${step.machine}.snapshot`);
    const list = `${earlier.length === 0 ? `rm -f ${snapshot}; ` : ""}`;
    const tar = `tar ${METADATA} --format=posix --listed-incremental=${snapshot} -C ${step.tree} -cf - .`;
    const cost = await measureCommand([
      "bash",
      "-o",
      "pipefail",
      "-c",
      `${list}${tar} | zstd -1 -T2 -q -o ${archive}`,
    ]);
    this.#archives.set(step.machine, [...earlier, archive]);
    return cost;
  }

  async restore(step: { machine: string; tree: string }, dest: string): Promise<Cost & { restored: string }> {
    const cost = await measureCommand(["cp", "-a", step.tree, dest]);
    return { ...cost, restored: dest };
  }

  async storedBytes(): Promise<Stored> {
    return { dataBytes: await bytesBelow(this.#dir), catalogBytes: 0 };
  }

  async close(): Promise<void> {}
}

/** See the head of this file. */
export const TAR_ZSTD: PeerKind = {
  name: "floor",
  async describe() {
    const [tar, zstd] = [
      await programVersion("tar", ["--version"]),
      await programVersion("zstd", ["--version"]),
    ];
    return (
      tar &&
      zstd &&
      `${tar}, zstd -1 -T2; a full archive of each machine, then --listed-incremental; restore: cp -a`
    );
  },
  create: (dir) => new TarZstd(dir),
};
