/**
 * Compares two real trees entry by entry, everything a backup must keep; list-tree.py reads them.
 *
 * Both trees are streamed in path order and merged, so large ones need little memory.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { helperProgram } from "./root.js";
import { runProgram } from "./tree-ops.js";

/** One entry of a tree. Names and targets are latin1 strings that stand for bytes. */
export interface TreeRecord {
  /** Relative to the tree's root; empty for the root itself. */
  name: string;
  type: "dir" | "file" | "symlink" | "fifo" | "char" | "block" | "socket";
  /** Permission, set-id and sticky bits. */
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: string;
  /** Of files and symbolic links; else 0. */
  size: number;
  target: string;
  /** "major:minor" of devices; else empty. */
  rdev: string;
  /** Of a file's bytes; else empty; "unreadable" when this user may not read it. */
  sha256: string;
  /** Whether the file has holes. */
  sparse: boolean;
  /** For a hard link: the name in this tree that comes first in path order; empty for that name itself. */
  linkedTo: string;
  /** All extended attributes with ACLs and capabilities as the kernel gives them, in hexadecimal digits. */
  xattrs: Record<string, string>;
}

/** What listTree and compareTrees look at. */
export interface CompareOptions {
  /** Also sockets, which a backup skips. (Default: false) */
  sockets?: boolean;
  /** Read and digest files. (Default: true) */
  content?: boolean;
  /** Include the root's own metadata. (Default: true) */
  root?: boolean;
  /** "kept": a file with holes must still have some; "exact": new holes are a difference too. (Default: "kept") */
  holes?: "kept" | "exact" | "ignored";
  /** Differences after which compareTrees stops. (Default: 100) */
  limit?: number;
}

async function* readTree(dir: string, options: CompareOptions): AsyncGenerator<TreeRecord> {
  const args = [helperProgram("list-tree.py"), dir];
  if (options.sockets) args.push("sockets");
  if (options.content === false) args.push("nocontent");
  const child = spawn("python3", args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data: Buffer) => {
    errors += data.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const record = JSON.parse(line) as TreeRecord;
      if (record.name !== "" || options.root !== false) yield record;
    }
    const code = await ended;
    if (code !== 0) throw new Error(`cannot read the tree ${dir}: ${errors.trim()}`);
  } finally {
    child.kill();
  }
}

/** All entries of a tree in path order. Rejects when it cannot be read. */
export async function listTree(dir: string, options: CompareOptions = {}): Promise<TreeRecord[]> {
  const records: TreeRecord[] = [];
  for await (const record of readTree(dir, options)) records.push(record);
  return records;
}

/** Path order: `/` below every other byte. */
function comparePaths(a: string, b: string): number {
  const left = a.replaceAll("/", "\0");
  const right = b.replaceAll("/", "\0");
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A name for a message: bytes outside of printable ASCII as \xNN, long ones cut in the middle. */
export function showName(name: string): string {
  const text = name.replace(/[^ -~]|\\/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return text.length > 300 ? `${text.slice(0, 140)}...(${text.length})...${text.slice(-140)}` : text || ".";
}

const FIELDS = [
  "type",
  "mode",
  "uid",
  "gid",
  "size",
  "mtimeNs",
  "target",
  "rdev",
  "sha256",
  "linkedTo",
] as const;

function showValue(field: string, value: string | number): string {
  return field === "mode" ? `0${value.toString(8)}` : showName(String(value));
}

function recordDifferences(a: TreeRecord, b: TreeRecord, options: CompareOptions): string[] {
  const name = showName(a.name);
  if (a.type !== b.type) return [`${name}: type ${a.type} became ${b.type}`];
  const found: string[] = [];
  for (const field of FIELDS) {
    if (a[field] === b[field]) continue;
    found.push(`${name}: ${field} ${showValue(field, a[field])} became ${showValue(field, b[field])}`);
  }
  const holes = options.holes ?? "kept";
  if (holes !== "ignored" && a.sparse && !b.sparse) found.push(`${name}: lost its holes`);
  if (holes === "exact" && !a.sparse && b.sparse) found.push(`${name}: got holes`);
  for (const key of new Set([...Object.keys(a.xattrs), ...Object.keys(b.xattrs)])) {
    const [before, after] = [a.xattrs[key], b.xattrs[key]];
    if (before !== after)
      found.push(`${name}: ${showName(key)} ${before ?? "absent"} became ${after ?? "absent"}`);
  }
  return found;
}

/** What differs in tree `b` from tree `a`, one line each; empty when they are equal. */
export async function compareTrees(a: string, b: string, options: CompareOptions = {}): Promise<string[]> {
  const limit = options.limit ?? 100;
  const found: string[] = [];
  const left = readTree(a, options);
  const right = readTree(b, options);
  try {
    let x = (await left.next()).value as TreeRecord | undefined;
    let y = (await right.next()).value as TreeRecord | undefined;
    while ((x || y) && found.length < limit) {
      const order = x && y ? comparePaths(x.name, y.name) : x ? -1 : 1;
      if (order < 0) found.push(`${showName(x?.name ?? "")}: is missing`);
      else if (order > 0) found.push(`${showName(y?.name ?? "")}: is too much`);
      else if (x && y) found.push(...recordDifferences(x, y, options));
      if (order <= 0) x = (await left.next()).value as TreeRecord | undefined;
      if (order >= 0) y = (await right.next()).value as TreeRecord | undefined;
    }
  } finally {
    await Promise.all([left.return(undefined), right.return(undefined)]);
  }
  if (found.length > limit) found.splice(limit, found.length, "and more");
  return found;
}

/**
 * What rsync would do to make tree `b` equal to tree `a`: its itemized lines, none when they are equal.
 * It cannot walk paths beyond PATH_MAX: give their top directory in `exclude`, as in "/deep". Sockets, which a backup
 * skips, are left out.
 */
export async function rsyncDifferences(a: string, b: string, exclude: string[] = []): Promise<string[]> {
  const args = [
    "-aHAXS",
    "--no-specials",
    "--checksum",
    "--dry-run",
    "--itemize-changes",
    "--delete",
    ...exclude.map((pattern) => `--exclude=${pattern}`),
    `${a}/`,
    `${b}/`,
  ];
  const output = await runProgram("rsync", args);
  return output.split("\n").filter((line) => line !== "" && !line.startsWith("skipping non-regular file"));
}
