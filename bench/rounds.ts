/** One repetition of the benchmark: tools are set up, measured step by step beside each other, and taken down. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareTrees } from "../test/helpers/compare.js";
import { removeTree, runProgram, unmountBelow } from "../test/helpers/tree-ops.js";
import type { Verdict } from "./goals.js";
import { compareImages } from "./images.js";
import { type Cost, IMAGE_NAME, type Machine, type Observed, type Peer, type PeerKind } from "./peer.js";
import type { Measurement } from "./table.js";
import type { Scale } from "./trees.js";

const DIFFERENCE_LIMIT = 10_000;

/** What a run of the benchmark is about, and what it has found so far. */
export interface Setting extends Observed {
  dir: string;
  scale: Scale;
  repetition: number;
  step: string;
  /** Tools that were chosen and can run here. */
  kinds: PeerKind[];
  /** Added to a round trip between the daemons in the phase `latency`. */
  latencyMs: number;
  /** MB/s in the phase `limit`. */
  readLimitMb: number;
  /** What the trees and images are, for people; each said once. */
  facts: Set<string>;
  measurements: Measurement[];
  /** Goals that belong to no row of the table. */
  verdicts: Verdict[];
  failures: string[];
}

const open = new Set<Peer>();
/** Removed when all tools have restored: ext4 takes inodes that are free for less than minutes only after a long search. */
const restoredTrees = new Set<string>();

/** Ends all tools; what cannot be ended is noted, and does not keep the others running. */
export async function closeAll(failures: string[]): Promise<void> {
  for (const peer of [...open]) await closeOne(failures, peer);
}

async function closeOne(failures: string[], peer: Peer): Promise<void> {
  try {
    await peer.close();
  } catch (error) {
    noteFailure(failures, peer, "its end", error);
  } finally {
    open.delete(peer);
  }
}

function noteFailure(failures: string[], peer: Peer, what: string, error: unknown): void {
  failures.push(`${peer.name}: ${what}: ${error instanceof Error ? error.message : String(error)}`);
  console.error(`  ${failures.at(-1)}`);
}

async function giveUp(setting: Setting, peer: Peer, what: string, error: unknown): Promise<void> {
  noteFailure(setting.failures, peer, what, error);
  await closeOne(setting.failures, peer);
}

/** One step of one tool; a failure is noted and takes the tool out of this repetition. */
export async function measure(
  setting: Setting,
  peer: Peer,
  step: string,
  action: () => Promise<(Cost & { differences?: number }) | undefined>,
): Promise<void> {
  if (!open.has(peer)) return;
  try {
    setting.step = step;
    const before = await peer.storedBytes();
    await runProgram("sync", []);
    const cost = await action();
    if (cost === undefined) return;
    const after = await peer.storedBytes();
    const catalogBytes = after.catalogBytes - before.catalogBytes;
    const storedBytes = after.dataBytes - before.dataBytes + catalogBytes;
    const { wallSeconds, reportedSeconds, cpuSeconds, peakRssBytes, daemons, differences } = cost;
    setting.measurements.push({
      ...{ repetition: setting.repetition, tool: peer.name, step },
      ...{ wallSeconds, cpuSeconds, peakRssBytes, storedBytes, catalogBytes },
      ...(reportedSeconds === undefined ? {} : { reportedSeconds }),
      ...(daemons === undefined ? {} : { daemons }),
      ...(differences === undefined ? {} : { differences }),
    });
    console.error(`  ${peer.name}: ${step}: ${wallSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s`);
  } catch (error) {
    await giveUp(setting, peer, step, error);
  }
}

/** Sets the tools up, in turn first and last; calls back; takes them down and removes what they stored. */
export async function withPeers(
  setting: Setting,
  kinds: readonly PeerKind[],
  machines: readonly Machine[],
  action: (peers: Peer[]) => Promise<void>,
): Promise<void> {
  const peers: Peer[] = [];
  const dirs = kinds.map((kind) => join(setting.dir, "work", kind.name.replace(/\W+/g, "-")));
  try {
    for (const [index, kind] of kinds.entries()) {
      await clear(dirs[index]!);
      mkdirSync(dirs[index]!, { recursive: true });
      const peer = kind.create(dirs[index]!, setting);
      open.add(peer);
      await peer.prepare(machines).then(
        () => peers.push(peer),
        (error: unknown) => giveUp(setting, peer, "preparation", error),
      );
    }
    const turn = setting.repetition % Math.max(1, peers.length);
    await action([...peers.slice(turn), ...peers.slice(0, turn)]);
  } finally {
    await closeAll(setting.failures);
    for (const tree of restoredTrees) await removeTree(tree);
    restoredTrees.clear();
  }
  // What failed can be looked at until the next run.
  if (setting.failures.length === 0) for (const dir of dirs) await clear(dir);
}

async function clear(dir: string): Promise<void> {
  await unmountBelow(dir);
  await removeTree(dir);
}

/** The same step of all tools, each of which finds everything in memory: borg lets what it has read go from there. */
export async function measureEach(
  setting: Setting,
  peers: readonly Peer[],
  machine: Machine,
  step: string,
  action: (peer: Peer) => ReturnType<Parameters<typeof measure>[3]>,
): Promise<void> {
  for (const peer of peers) {
    await warm(machine);
    await measure(setting, peer, step, () => action(peer));
  }
}

async function warm({ tree }: Machine): Promise<void> {
  await runProgram("sh", ["-c", 'tar -cSf - -C "$1" . | cat >/dev/null', "sh", tree]);
}

/** Restores and compares with the source. Differences are listed in `work`. */
export async function restoreAndCompare(
  setting: Setting,
  peer: Peer,
  machine: Machine,
): Promise<(Cost & { differences: number }) | undefined> {
  const dest = join(setting.dir, "work", `restored-${peer.name.replace(/\W+/g, "-")}`);
  // Of a run that was broken off.
  await removeTree(dest);
  restoredTrees.add(dest);
  const cost = await peer.restore(machine, dest);
  if (cost === undefined) return undefined;
  const found = await (machine.kind === "tree" ? differencesOfTrees : differencesOfImages)(
    machine.tree,
    cost.restored,
  );
  writeFileSync(`${dest}.differences`, found.map((line) => `${line}\n`).join(""));
  return { ...cost, differences: found.length };
}

function differencesOfTrees(source: string, restored: string): Promise<string[]> {
  return compareTrees(source, restored, { root: false, holes: "ignored", limit: DIFFERENCE_LIMIT });
}

/** Wherever a tool puts the image, there is only one. */
async function differencesOfImages(source: string, restored: string): Promise<string[]> {
  const found = await runProgram("find", [restored, "-name", IMAGE_NAME]);
  const [image] = found.split("\n");
  if (!image) return ["the image was not restored"];
  return compareImages(join(source, IMAGE_NAME), image);
}
