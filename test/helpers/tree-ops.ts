/**
 * Operations on real trees that Node has no calls for: byte names, times in nanoseconds, devices, extended
 * attributes, holes, paths beyond PATH_MAX. Described here, carried out by tree-ops.py.
 *
 * Names are latin1 strings that stand for bytes, relative to the tree's root, parts joined by `/`.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { helperProgram } from "./root.js";

/** Bytes that depend on nothing but these fields. */
export interface ContentSpec {
  kind: "random" | "zero" | "text";
  size: number;
  seed?: string;
}

/** Metadata of an entry; what is absent is left as the system makes it. */
export interface MetadataSpec {
  mode?: number;
  uid?: number;
  gid?: number;
  /** Nanoseconds since 1970, decimal, may be negative. */
  mtimeNs?: string;
  /** Values as hexadecimal digits. */
  xattrs?: Record<string, string>;
  removeXattrs?: string[];
}

/** A new entry; metadata of directories is set after everything else. */
export interface EntryOp extends MetadataSpec {
  op: "entry";
  path: string;
  type: "dir" | "file" | "symlink" | "link" | "fifo" | "char" | "block" | "socket";
  /** Files: the size; bytes outside of `parts` are holes. */
  size?: number;
  parts?: (ContentSpec & { at: number })[];
  /** Symbolic links: the text; hard links: the path of the other name. */
  target?: string;
  /** Devices: major and minor. */
  rdev?: [number, number];
}

/** One operation on a tree. */
export type TreeOp =
  | EntryOp
  | { op: "rewrite"; path: string; seed: string }
  | { op: "insert"; path: string; at: number; content: ContentSpec }
  | { op: "remove"; path: string }
  | { op: "rename"; path: string; to: string }
  | ({ op: "change"; path: string } & MetadataSpec)
  | { op: "touch"; path: string }
  | { op: "many"; path: string; count: number };

/**
 * Runs a program to its end with `input` on standard input and gives its standard output.
 * Rejects with its error output when it fails, or else with the end of what it printed.
 */
export function runProgram(command: string, args: string[], input = ""): Promise<string> {
  return new Promise((done, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (data: Buffer) => out.push(data));
    child.stderr.on("data", (data: Buffer) => err.push(data));
    child.on("error", reject);
    child.stdin.on("error", () => undefined);
    child.on("close", (code, signal) => {
      if (code === 0) return done(Buffer.concat(out).toString("latin1"));
      const said = (output: Buffer[]): string => Buffer.concat(output).toString("utf8").trim();
      const text = said(err) || said(out).slice(-4096);
      reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}: ${text}`));
    });
    child.stdin.end(input);
  });
}

/** Carries out operations below `root`, in order. Gives what this user or file system could not do. */
export async function runTreeOps(root: string, ops: TreeOp[]): Promise<string[]> {
  const answer = await runProgram("python3", [helperProgram("tree-ops.py")], JSON.stringify({ root, ops }));
  return (JSON.parse(answer) as { leftOut: string[] }).leftOut;
}

/** Mount points below a directory, deepest first. */
export function mountsBelow(dir: string): string[] {
  const prefix = `${resolve(dir)}/`;
  const plain = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const points = lines.map((line) => plain(line.split(" ")[4] ?? ""));
  return points.filter((point) => point.startsWith(prefix)).reverse();
}

/** Unmounts everything below a directory that an earlier run may have left there. */
export async function unmountBelow(dir: string): Promise<void> {
  for (const point of mountsBelow(dir)) await runProgram("umount", ["--", point]);
}

/**
 * Removes a tree, also one whose paths are longer than Node can name. No error when it is not there. Rejects,
 * with nothing removed, when something is mounted below it: that would be removed with it.
 */
export async function removeTree(dir: string): Promise<void> {
  const [mounted] = mountsBelow(dir);
  if (mounted) throw new Error(`${mounted} is a mount point, so ${dir} is not removed`);
  if (process.getuid?.() !== 0) {
    await runProgram("sh", ["-c", 'chmod -R u+rwX -- "$1" 2>/dev/null || true', "sh", dir]);
  }
  await runProgram("rm", ["-rf", "--one-file-system", "--", dir]);
}

/** A new file with the given content. */
export function fileOp(path: string, content: ContentSpec, metadata: MetadataSpec = {}): EntryOp {
  return { op: "entry", type: "file", path, size: content.size, parts: [{ at: 0, ...content }], ...metadata };
}

/** New files `file-0`, `file-1`, … of random bytes, no two alike, and the same for the same seed. */
export function randomFiles(count: number, size: number, seed: string): EntryOp[] {
  return Array.from({ length: count }, (_, index) =>
    fileOp(`file-${index}`, { kind: "random", size, seed: `${seed} ${index}` }),
  );
}

/** A new directory. */
export function dirOp(path: string, metadata: MetadataSpec = {}): EntryOp {
  return { op: "entry", type: "dir", path, ...metadata };
}

/** One entry of a POSIX ACL: tag (1 owner, 2 user, 4 group, 8 named group, 16 mask, 32 other). */
export type AclEntry = [tag: number, permissions: number, id?: number];

/** The raw value of `system.posix_acl_access` or `system.posix_acl_default`, as hexadecimal digits; entries sorted as tools do. */
export function aclValue(entries: AclEntry[]): string {
  const raw = Buffer.alloc(4 + 8 * entries.length);
  raw.writeUInt32LE(2, 0);
  const ordered = entries.toSorted((a, b) => a[0] - b[0] || (a[2] ?? 0) - (b[2] ?? 0));
  ordered.forEach(([tag, permissions, id = 0xffffffff], index) => {
    raw.writeUInt16LE(tag, 4 + index * 8);
    raw.writeUInt16LE(permissions, 6 + index * 8);
    raw.writeUInt32LE(id, 8 + index * 8);
  });
  return raw.toString("hex");
}

/** The raw value of `security.capability` for one permitted and effective capability number. */
export function capabilityValue(capability: number): string {
  const raw = Buffer.alloc(20);
  raw.writeUInt32LE(0x02000001, 0);
  raw.writeUInt32LE((1 << capability) >>> 0, 4);
  return raw.toString("hex");
}
