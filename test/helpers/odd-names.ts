/** The names in the tree of test/helpers/tree.ts. */
import { dirOp, type EntryOp, fileOp, type TreeOp } from "./tree-ops.js";

/** Long enough that twenty of them exceed PATH_MAX. */
const LONG_NAME = "n".repeat(255);

/** Every byte that a name may hold, awkward names, and siblings that a wrong order would mix up. */
export function names(): TreeOp[] {
  const small = (path: string): EntryOp => fileOp(path, { kind: "text", size: 12, seed: "name" });
  const ops: TreeOp[] = [dirOp("names"), dirOp("names/bytes"), dirOp("names/pairs")];
  for (let byte = 1; byte < 256; byte++) {
    const char = String.fromCharCode(byte);
    if (char === "/") continue;
    if (char !== ".") ops.push(small(`names/bytes/${char}`));
    ops.push(fileOp(`names/pairs/x${char}y`, { kind: "zero", size: 0 }));
  }
  const odd = [
    "-rf",
    "--",
    "new\nline",
    "tail ",
    " head",
    "tab\t",
    "...",
    "..x",
    "\\",
    "'\"`$(x)",
    "*?[a]",
    "caf\xe9",
    "\xff\xfe\xc3",
  ];
  ops.push(
    ...odd.map((name) => small(`names/${name}`)),
    small(`names/${LONG_NAME}`),
    dirOp(`names/${"d".repeat(255)}`),
  );
  ops.push(
    dirOp("siblings"),
    dirOp("siblings/a"),
    small("siblings/a/b"),
    dirOp("siblings/a-b"),
    small("siblings/a-b/c"),
  );
  ops.push(
    small("siblings/a.b"),
    small("siblings/a b"),
    dirOp("siblings/a\xe9"),
    small("siblings/a\xe9/b"),
    small("siblings/a0"),
  );
  return ops;
}

/** Directories whose path exceeds PATH_MAX, with entries at the end. */
export function deepPath(): TreeOp[] {
  const ops: TreeOp[] = [];
  let path = "deep";
  ops.push(dirOp(path));
  for (let level = 0; level < 20; level++) {
    path += `/${LONG_NAME}`;
    ops.push(dirOp(path, { mtimeNs: `${1_300_000_000 + level}000000001` }));
  }
  ops.push(
    fileOp(
      `${path}/file`,
      { kind: "random", size: 3000, seed: "deep" },
      { mode: 0o640, xattrs: { "user.deep": "44" } },
    ),
    { op: "entry", type: "symlink", path: `${path}/link`, target: "file" },
    { op: "entry", type: "link", path: `${path}/hard`, target: `${path}/file` },
    dirOp(`${path}/empty`, { mode: 0o711 }),
  );
  return ops;
}
