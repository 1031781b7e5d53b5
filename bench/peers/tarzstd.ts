/**
 * Not a backup system but what the machine needs at least: GNU tar and zstd in a pipe to pack a tree (all of it, then
 * what changed), zstd alone for an image, reading alone for an image that changed, and a copy in place of a restore.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bytesBelow, measureCommand, programVersion } from "../measure.js";
import {
  type BackupStep,
  type Cost,
  IMAGE_NAME,
  type Machine,
  type Peer,
  type PeerKind,
  type Stored,
} from "../peer.js";

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

  backup(step: BackupStep): Promise<Cost> {
    return step.machine.kind === "image" ? this.#packImage(step) : this.#packTree(step);
  }

  #packImage({ machine, level }: BackupStep): Promise<Cost> {
    const image = join(machine.tree, IMAGE_NAME);
    if (level === "incremental") return measureCommand(["dd", `if=${image}`, "of=/dev/null", "bs=4M"]);
    const archive = join(this.#dir, `${machine.name}.zst`);
    return measureCommand(["zstd", "-1", "-T2", "-q", "-f", image, "-o", archive]);
  }

  async #packTree({ machine: { name, tree }, level }: BackupStep): Promise<Cost> {
    const earlier = level === "incremental" ? (this.#archives.get(name) ?? []) : [];
    const archive = join(this.#dir, `${name}-${earlier.length}.tar.zst`);
    const snapshot = join(this.#dir, `${name}.snapshot`);
    const list = `${earlier.length === 0 ? `rm -f ${snapshot}; ` : ""}`;
    const tar = `tar ${METADATA} --format=posix --listed-incremental=${snapshot} -C ${tree} -cf - .`;
    const script = `${list}${tar} | zstd -1 -T2 -q -o ${archive}`;
    const cost = await measureCommand(["bash", "-o", "pipefail", "-c", script]);
    this.#archives.set(name, [...earlier, archive]);
    return cost;
  }

  async restore({ kind, tree }: Machine, dest: string): Promise<Cost & { restored: string }> {
    if (kind === "tree") return { ...(await measureCommand(["cp", "-a", tree, dest])), restored: dest };
    await mkdir(dest, { recursive: true });
    const files = [join(tree, IMAGE_NAME), join(dest, IMAGE_NAME)];
    return { ...(await measureCommand(["cp", "--sparse=always", ...files])), restored: dest };
  }

  async storedBytes(): Promise<Stored> {
    return { dataBytes: await bytesBelow(this.#dir), catalogBytes: 0 };
  }

  async close(): Promise<void> {}
}

/** See the head of this file. */
export const TAR_ZSTD: PeerKind = {
  name: "floor",
  floor: true,
  async describe() {
    const [tar, zstd] = [
      await programVersion("tar", ["--version"]),
      await programVersion("zstd", ["--version"]),
    ];
    const trees = "a full archive of each machine, then --listed-incremental; restore: cp -a";
    const images = "images: zstd -1 -T2, a changed one read by dd, cp --sparse=always";
    return tar && zstd && `${tar}, zstd -1 -T2; ${trees}; ${images}`;
  },
  create: (dir) => new TarZstd(dir),
};
