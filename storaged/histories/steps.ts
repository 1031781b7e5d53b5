/** The steps of a random history. A step is a word and a number: what it does follows from these and the world. */

import { Random } from "../../test/helpers/random.js";
import { backUp, backUpInParts, edits, restoreOne } from "./backups.js";
import { checkAll, copySome, damage, makeVirtualFull, rescan, vacuumSome } from "./making.js";
import {
  deleteOne,
  deleteSome,
  dropLists,
  pruneSome,
  purgeOneVolume,
  rebaseAlone,
  rebaseAndDelete,
} from "./retention.js";
import type { World } from "./world.js";

type Action = (world: World, random: Random) => Promise<string>;

/** How often each comes, and what it does. */
const ACTIONS: Readonly<Record<string, { weight: number; act: Action }>> = {
  edit: { weight: 104, act: edits },
  backup: { weight: 40, act: backUp },
  backupInParts: { weight: 6, act: backUpInParts },
  restore: { weight: 16, act: restoreOne },
  delete: { weight: 6, act: deleteOne },
  deleteSome: { weight: 6, act: deleteSome },
  rebaseAndDelete: { weight: 3, act: rebaseAndDelete },
  rebaseAlone: { weight: 1, act: rebaseAlone },
  prune: { weight: 3, act: pruneSome },
  dropLists: { weight: 4, act: dropLists },
  purgeVolume: { weight: 3, act: purgeOneVolume },
  virtualFull: { weight: 3, act: makeVirtualFull },
  copy: { weight: 4, act: copySome },
  vacuum: { weight: 2, act: vacuumSome },
  check: { weight: 1, act: checkAll },
  scan: { weight: 1, act: rescan },
  damage: { weight: 1, act: damage },
  restart: { weight: 1, act: (world) => world.restart() },
  crash: { weight: 6, act: crash },
};

/** What may be cut off by a crash. */
const CRASHING = [
  ...["backup", "backup", "backup", "deleteSome", "deleteSome", "rebaseAndDelete", "prune", "purgeVolume"],
  ...["virtualFull", "copy", "vacuum", "vacuum", "dropLists"],
];

async function crash(world: World, random: Random): Promise<string> {
  const kind = random.pick(CRASHING);
  const fuse = 1 + random.below(24);
  return world.crashing(random, fuse, () => ACTIONS[kind]!.act(world, random));
}

export interface Step {
  kind: string;
  seed: number;
}

export function* randomSteps(seed: number, count: number): Generator<Step> {
  const random = new Random(seed);
  const kinds = Object.entries(ACTIONS).flatMap(([kind, { weight }]) => Array<string>(weight).fill(kind));
  for (let i = 0; i < count; i++) yield { kind: random.pick(kinds), seed: random.below(2 ** 31) };
}

/** Gives words for what was done. */
export async function carryOut(world: World, step: Step): Promise<string> {
  world.tick();
  return ACTIONS[step.kind]!.act(world, new Random(step.seed));
}
