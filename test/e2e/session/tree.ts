/** What the session backs up: a small tree with one of each kind of thing that a restore has to bring back. */
import { mkdir } from "node:fs/promises";
import { aclValue, dirOp, fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const MTIME = { mtimeNs: "1600000000123456789" };

const OPS: readonly TreeOp[] = [
  dirOp("etc", MTIME),
  dirOp("etc/sub", { mode: 0o2750, uid: 33, gid: 33, ...MTIME }),
  dirOp("data", MTIME),
  dirOp("data/empty", { mode: 0o1777, ...MTIME }),
  fileOp("etc/conf", { kind: "text", size: 1500, seed: "conf" }, { mode: 0o640, uid: 33, gid: 33, ...MTIME }),
  fileOp("etc/nothing", { kind: "text", size: 0 }, MTIME),
  fileOp("etc/sub/deep", { kind: "text", size: 20, seed: "deep" }, { mode: 0o4755, ...MTIME }),
  fileOp("data/with blank", { kind: "text", size: 7, seed: "blank" }, MTIME),
  fileOp("data/plain", { kind: "random", size: 100_000, seed: "plain" }, MTIME),
  fileOp("data/doomed", { kind: "text", size: 33, seed: "doomed" }, MTIME),
  fileOp(
    "data/marked",
    { kind: "text", size: 50, seed: "marked" },
    { xattrs: { "user.origin": "68657265", "system.posix_acl_access": acl() }, ...MTIME },
  ),
  {
    op: "entry",
    type: "file",
    path: "data/holes",
    size: 4_000_000,
    parts: [{ kind: "random", size: 5000, seed: "holes", at: 2_000_000 }],
    ...MTIME,
  },
  { op: "entry", type: "link", path: "data/second name", target: "data/plain" },
  { op: "entry", type: "symlink", path: "data/soft", target: "../etc/conf", ...MTIME },
  { op: "entry", type: "fifo", path: "data/pipe", mode: 0o620, ...MTIME },
];

function acl(): string {
  const entries: [number, number, number?][] = [
    [1, 6],
    [2, 4, 33],
    [4, 4],
    [16, 4],
    [32, 0],
  ];
  return aclValue(entries);
}

/** Makes the tree in a directory, which is created if need be. */
export async function makeSessionTree(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await runTreeOps(dir, [...OPS]);
}
