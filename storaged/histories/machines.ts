/** The machines of a random history, their jobs and pools, and what happens to their files between backups. */

import { EntryType } from "../../common/format/row.js";
import type { Random } from "../../test/helpers/random.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { at, largeContent, ModelTree, noise } from "../faults/tree.js";
import { POOL } from "../session/testing.js";

export interface JobDefinition {
  jobName: string;
  machine: number;
  pool: string;
  base: string[];
  levels: readonly string[];
}

const LEVELS = ["Full", "Incremental", "Incremental", "Differential"] as const;
const pool = (name: string, more: Partial<PoolDefinition>): PoolDefinition => ({
  ...POOL,
  recycle: true,
  name,
  labelFormat: `${name}-`,
  ...more,
});

export const POOLS: readonly PoolDefinition[] = [
  pool("Bases", { maximumVolumeJobs: 2 }),
  pool("Shared", { maximumVolumeBytes: 30_000 }),
  pool("Plain", { deduplicate: false, maximumVolumeJobs: 1 }),
  pool("Narrow", { dedupScope: "client", maximumVolumeJobs: 3 }),
  pool("Copies", { maximumVolumeJobs: 4 }),
];

/** Machine 0 is the reference that the others were made from. */
export const MACHINES = 5;

export const JOBS: readonly JobDefinition[] = [
  { jobName: "reference", machine: 0, pool: "Bases", base: [], levels: ["Base"] },
  { jobName: "one", machine: 1, pool: "Shared", base: ["reference"], levels: LEVELS },
  { jobName: "two", machine: 2, pool: "Shared", base: ["two", "reference"], levels: [...LEVELS, "Base"] },
  { jobName: "three", machine: 3, pool: "Shared", base: [], levels: LEVELS },
  { jobName: "plain", machine: 4, pool: "Plain", base: [], levels: LEVELS },
  { jobName: "plain-on-base", machine: 1, pool: "Plain", base: ["reference"], levels: LEVELS },
  { jobName: "narrow", machine: 2, pool: "Narrow", base: ["reference"], levels: LEVELS },
];

export function firstMachines(): ModelTree[] {
  const reference = new ModelTree()
    .file(at("etc/passwd"), "root")
    .file(at("etc/group"), "groups of the reference")
    .file(at("usr/a"), "a")
    .file(at("usr/a-b"), "between")
    .file(at("usr/lib/long"), noise(1, 3000))
    .link(at("usr/lib/other"), at("usr/lib/long"))
    .symlink(at("usr/link"), "lib/long")
    .file(at("var/empty"), "");
  return Array.from({ length: MACHINES }, (_none, i) => (i === 0 ? reference : reference.clone()));
}

const TOPS = ["etc", "usr", "usr/lib", "var", "a", "a-b", "a.b", ""] as const;
const NAMES = ["a", "b", "a-b", "a.b", "c", "long"] as const;

function anyPath(random: Random): string {
  const top = random.pick(TOPS);
  const name = random.pick(NAMES);
  return at(top === "" ? name : `${top}/${name}`);
}

function anyContent(random: Random): Buffer {
  switch (random.below(12)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
    case 2:
      return noise(random.below(1000), random.below(2500) + 1);
    // Few contents, so that machines and paths share them.
    default:
      return Buffer.from(`content ${random.below(12)}`);
  }
}

/** One change to a machine's files. Gives words for it. */
export function edit(tree: ModelTree, random: Random, seconds: number): string {
  const path = anyPath(random);
  const known = tree.keys().filter((key) => key !== "");
  const key = known.length === 0 ? path : random.pick(known);
  const inode = tree.names.get(key);
  const file = inode?.type === EntryType.file;
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
      tree.file(path, anyContent(random), seconds);
      return `write ${path}`;
    case 3:
    case 4:
      if (file) tree.change(key, { content: anyContent(random), mtimeSec: seconds });
      return `change ${key}`;
    case 5:
      // Size and time stay: only the ctime tells.
      if (file && inode.content.length > 0)
        tree.change(key, { content: noise(random.below(500), inode.content.length) });
      return `change ${key} in secret`;
    case 6:
      tree.change(key, { mode: random.pick([0o600, 0o644, 0o755, 0o4755]) });
      return `chmod ${key}`;
    case 7:
      tree.change(key, { mtimeSec: seconds, uid: random.below(3) });
      return `touch ${key}`;
    case 8:
      if (known.length > 4) tree.remove(key);
      return `remove ${key}`;
    case 9:
      tree.rename(key, path);
      return `rename ${key} to ${path}`;
    case 10:
      if (file) tree.link(path, key);
      return `link ${path} to ${key}`;
    case 11:
      tree.symlink(path, random.pick(["target", "../up", "/etc"]));
      return `symlink ${path}`;
    case 12:
      if (random.below(12) === 0) tree.file(path, largeContent(random.below(6)), seconds);
      else tree.directory(path);
      return `large file or directory ${path}`;
    default:
      // Another machine's version of a file of the reference: what Bases must not be trusted about.
      tree.file(at("etc/passwd"), anyContent(random));
      return "write etc/passwd with the old time";
  }
}
