/**
 * Random histories of two machines: after each run its effective list is compared with a first run into an empty
 * pool. The real clock is used, so that files which change twice within a tick are among the cases.
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assertComplete, FakeStorage, type Run, scratchTree, treeFileSet } from "./testing.js";

/** Names around the slash in byte order, so that path order is put to the test. */
const NAMES = ["a", "a-b", "a.b", "a b", "ab", "b", "\u00e9", "z"];

class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** All paths below, directories before what they hold. */
function list(root: string): string[] {
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    const path = join(root, entry.name);
    return entry.isDirectory() ? [path, ...list(path)] : [path];
  });
}

function edit(root: string, random: Random): void {
  const all = list(root);
  const directories = [root, ...all.filter((path) => lstatSync(path).isDirectory())];
  const files = all.filter((path) => lstatSync(path).isFile());
  const place = join(random.pick(directories), random.pick(NAMES));
  const existing = all.length > 0 ? random.pick(all) : undefined;
  const isFree = !all.includes(place);
  switch (random.below(8)) {
    case 0:
    case 1:
      if (isFree) mkdirSync(place);
      break;
    case 2:
    case 3:
      if (isFree) writeFileSync(place, "x".repeat(random.below(4)));
      break;
    case 4:
      if (files.length > 0) writeFileSync(random.pick(files), String(random.below(100)));
      break;
    case 5:
      if (isFree && files.length > 0) linkSync(random.pick(files), place);
      else if (isFree) symlinkSync("a", place);
      break;
    case 6:
      if (existing !== undefined) rmSync(existing, { recursive: true });
      break;
    default:
      if (existing !== undefined && isFree && !place.startsWith(`${existing}/`)) renameSync(existing, place);
      else if (existing !== undefined && !lstatSync(existing).isSymbolicLink()) chmodSync(existing, 0o700);
  }
}

interface Machine {
  root: string;
  full?: Run;
  newest?: Run;
}

async function backup(machine: Machine, storage: FakeStorage, random: Random, bases: Run[]): Promise<void> {
  const { root, full, newest } = machine;
  const fileSet = treeFileSet(root);
  const level = random.below(4);
  if (full === undefined || newest === undefined || level === 0) {
    const own = newest === undefined || random.below(3) === 0 ? {} : { own: newest };
    machine.full = await storage.run({ fileSet, bases, ...own });
    machine.newest = machine.full;
  } else if (level === 1 && newest !== full) {
    machine.newest = await storage.run({ fileSet, level: "Differential", own: newest, parent: full });
  } else {
    machine.newest = await storage.run({ fileSet, level: "Incremental", own: newest });
  }
  await assertComplete(machine.newest, root);
}

for (let seed = 1; seed <= 12; seed++) {
  test(`random history ${seed}`, async () => {
    const random = new Random(seed);
    const storage = new FakeStorage();
    const references = [scratchTree(), scratchTree()];
    for (const root of references) for (let i = 0; i < 30; i++) edit(root, random);
    const bases: Run[] = [];
    for (const root of references) {
      bases.push(await storage.run({ fileSet: treeFileSet(root), level: "Base" }));
    }
    const machine: Machine = { root: scratchTree() };
    for (let step = 0; step < 12; step++) {
      for (let i = random.below(12); i >= 0; i--) edit(machine.root, random);
      if (list(machine.root).length === 0) writeFileSync(join(machine.root, "kept"), "");
      await backup(machine, storage, random, bases.slice(0, random.below(3)));
    }
    assert.ok(machine.newest);
  });
}
