/** What looking at every entry costs: one lstat each, by find. Nothing is read or stored. */
import { measureCommand, programVersion } from "../measure.js";
import type { BackupStep, Cost, Peer, PeerKind, Stored } from "../peer.js";

class Walk implements Peer {
  readonly name = "walk";

  async prepare(): Promise<void> {}

  async backup({ level, machine }: BackupStep): Promise<Cost | undefined> {
    if (level === "base") return undefined;
    return measureCommand([
      "sh",
      "-c",
      'find "$1" -printf "%m%U%G%s%T@%C@%i%n" | cat >/dev/null',
      "sh",
      machine.tree,
    ]);
  }

  async restore(): Promise<undefined> {
    return undefined;
  }

  async storedBytes(): Promise<Stored> {
    return { dataBytes: 0, catalogBytes: 0 };
  }

  async close(): Promise<void> {}
}

/** See the head of this file. */
export const WALK: PeerKind = {
  name: "walk",
  floor: true,
  only: "tree",
  async describe() {
    const version = await programVersion("find", ["--version"]);
    return version && `${version}; -printf of all metadata`;
  },
  create: () => new Walk(),
};
