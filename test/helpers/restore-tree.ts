/** What restores are tried with: directories, links of both kinds, a file in parts. */
import { dirOp, fileOp, type TreeOp } from "./tree-ops.js";

/** Operations that make the tree; `metadata` is that of every plain file. */
export function restoreTree(metadata?: { mtimeNs: string }): TreeOp[] {
  const file = (path: string, size = 2000): TreeOp =>
    fileOp(path, { kind: "random", size, seed: path }, metadata);
  return [
    dirOp("etc", { mode: 0o750 }),
    file("etc/conf"),
    file("etc/other"),
    dirOp("etc/sub"),
    file("etc/sub/deep"),
    dirOp("links"),
    file("links/one", 5000),
    { op: "entry", type: "link", path: "links/two", target: "links/one" },
    { op: "entry", type: "link", path: "three", target: "links/one" },
    { op: "entry", type: "symlink", path: "etc/soft", target: "../three" },
    file("large", 3_000_000),
    file("plain"),
  ];
}
