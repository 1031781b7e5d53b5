/**
 * A tree with every kind of entry that a backup must keep, and edits of it for the runs that follow.
 *
 * The same seed gives the same bytes, names and times. As an ordinary user some kinds cannot be made (foreign
 * owners, devices, trusted attributes): makeOddTree leaves them out and says which.
 */
import { mkdir } from "node:fs/promises";
import { doomed, type OddTreeOptions, oddTreeOps } from "./odd-tree.js";
import { aclValue, dirOp, fileOp, runTreeOps, type TreeOp } from "./tree-ops.js";

/** Makes the tree in `dir` (created; must not hold any of it yet). Gives what had to be left out, one line each. */
export async function makeOddTree(dir: string, options: OddTreeOptions = {}): Promise<string[]> {
  await mkdir(dir, { recursive: true });
  return runTreeOps(dir, oddTreeOps(options));
}

function contentEdits(step: number): TreeOp[] {
  return [
    { op: "rewrite", path: "edit/rewritten-quietly", seed: `quiet ${step}` },
    { op: "rewrite", path: "edit/rewritten-large", seed: `large ${step}` },
    {
      op: "insert",
      path: "edit/growing",
      at: -1,
      content: { kind: "random", size: 300_000, seed: `grow ${step}` },
    },
    {
      op: "insert",
      path: "edit/inserted",
      at: 1_500_001,
      content: { kind: "random", size: 1001, seed: `ins ${step}` },
    },
    { op: "touch", path: "edit/touched" },
    { op: "insert", path: "links/base", at: 100, content: { kind: "text", size: 77, seed: `base ${step}` } },
    fileOp(`edit/new-${step}`, { kind: "random", size: 20_000, seed: `new ${step}` }, { mode: 0o604 }),
  ];
}

function metadataEdits(step: number): TreeOp[] {
  const odd = step % 2 === 1;
  const acl = aclValue([
    [1, 6],
    [2, odd ? 4 : 6, 1000 + step],
    [4, 4],
    [16, 6],
    [32, 0],
  ]);
  const note = Buffer.from(`step ${step}`).toString("hex");
  return [
    { op: "change", path: "edit/metadata", mode: odd ? 0o4711 : 0o600, uid: 2000 + step, gid: 3000 + step },
    {
      op: "change",
      path: "edit/metadata-dir",
      mode: odd ? 0o2770 : 0o705,
      mtimeNs: `16500000${10 + step}000000007`,
    },
    { op: "change", path: "edit/attributes", xattrs: { "user.step": note, "system.posix_acl_access": acl } },
    ...(odd ? [] : [{ op: "change" as const, path: "edit/attributes", removeXattrs: ["user.step"] }]),
    { op: "change", path: "contents/random-5242880", mtimeNs: `16500000${10 + step}000000005` },
    { op: "change", path: "special/fifo", mode: odd ? 0o666 : 0o600 },
    { op: "change", path: "owners/link", uid: 4000 + step, gid: 5 },
  ];
}

function structureEdits(step: number, seed: string): TreeOp[] {
  const odd = step % 2 === 1;
  const before = step - 1;
  const ops: TreeOp[] = [
    { op: "rename", path: `edit/renamed-${before}`, to: `edit/renamed-${step}` },
    { op: "rename", path: `edit/moved-${before}`, to: `edit/moved-${step}` },
    { op: "remove", path: `edit/doomed-${step}` },
    { op: "remove", path: `edit/doomed-tree-${step}` },
    ...doomed(seed, step + 1),
    { op: "remove", path: "edit/flip" },
    { op: "remove", path: "edit/flop" },
    { op: "entry", type: "link", path: `links/sub/linked-${step}`, target: "edit/linked" },
    { op: "remove", path: "edit/loosened-too" },
  ];
  if (odd) {
    ops.push(dirOp("edit/flip"), fileOp("edit/flip/inside", { kind: "text", size: 60, seed }));
    ops.push(fileOp("edit/flop", { kind: "text", size: 80, seed }));
    ops.push(fileOp("edit/loosened-too", { kind: "random", size: 900, seed: `loose ${step}` }));
  } else {
    ops.push(fileOp("edit/flip", { kind: "text", size: 50 + step, seed }));
    ops.push({ op: "entry", type: "symlink", path: "edit/flop", target: `inside-${step}` });
    ops.push({ op: "entry", type: "link", path: "edit/loosened-too", target: "edit/loosened" });
  }
  return ops;
}

/**
 * Edits a tree of makeOddTree between two runs. Steps are numbered from 1 and must be made in order, each once:
 * content changed with size and mtime kept, metadata alone changed, renames, deletions, changed types, new and
 * broken hard links, attributes and ACLs, a grown file, bytes inserted into the middle of one, a touched one.
 * Gives what had to be left out, as makeOddTree does.
 */
export async function editOddTree(dir: string, step: number, seed = "odd"): Promise<string[]> {
  return runTreeOps(dir, [...contentEdits(step), ...metadataEdits(step), ...structureEdits(step, seed)]);
}
