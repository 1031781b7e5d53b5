/**
 * Trees of real systems as raw material for the demonstration and the benchmark: a Debian made by mmdebstrap where
 * that works, else a part of the machine's own /usr; and edits that make other machines of it.
 *
 * Edits depend on nothing but the tree's names and the seed, so a tree can be made again.
 */
import { createCipheriv, createHash } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { removeTree, runProgram, unmountBelow } from "./tree-ops.js";

/** How a tree of packages is made. */
export interface RawTreeOptions {
  /** Beside the minimal system. */
  packages: string[];
  /** How much of /usr is taken when there is no mmdebstrap. */
  limitBytes: number;
}

interface AptSource {
  mirror: string;
  suite: string;
}

/** The package mirror and release that this machine itself uses; undefined when it is not a Debian. */
export function aptSource(): AptSource | undefined {
  const file = "/etc/apt/sources.list.d/debian.sources";
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  const mirror = /^URIs:\s*(\S+)/m.exec(text)?.[1];
  const suite = /^Suites:\s*(\S+)/m.exec(text)?.[1];
  return mirror && suite ? { mirror, suite } : undefined;
}

async function hasProgram(name: string): Promise<boolean> {
  return runProgram("sh", ["-c", `command -v ${name}`]).then(
    () => true,
    () => false,
  );
}

/** Installs a Debian package when its program is missing and this user may. Gives whether it is there now. */
export async function ensureProgram(program: string, packageName: string): Promise<boolean> {
  if (await hasProgram(program)) return true;
  if (process.getuid?.() !== 0 || !(await hasProgram("apt-get"))) return false;
  const install = "apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends";
  const script = `export DEBIAN_FRONTEND=noninteractive; ${install} ${packageName} || { apt-get -qq update; ${install} ${packageName}; }`;
  await runProgram("sh", ["-c", `(${script}) >/dev/null 2>&1 || true`]);
  return hasProgram(program);
}

/** Why there is no Debian tree, for people. */
class NotPossible extends Error {}

async function debianTree(dir: string, packages: string[]): Promise<string> {
  if (process.getuid?.() !== 0) throw new NotPossible("only root can run mmdebstrap");
  const source = aptSource();
  if (!source) throw new NotPossible("this is not a Debian");
  if (!(await ensureProgram("mmdebstrap", "mmdebstrap")))
    throw new NotPossible("mmdebstrap cannot be installed");
  const args = ["--quiet", "--variant=minbase", '--aptopt=APT::Install-Recommends "false"'];
  if (packages.length > 0) args.push(`--include=${packages.join(",")}`);
  try {
    await runProgram("mmdebstrap", [...args, source.suite, dir, source.mirror]);
    return `mmdebstrap ${source.suite}, minbase with ${packages.length} more packages`;
  } catch (error) {
    await unmountBelow(dir);
    await removeTree(dir);
    const lines = error instanceof Error ? error.message.split("\n") : [String(error)];
    const cause = lines.find((line) => /^E: /.test(line)) ?? lines.at(-1);
    throw new NotPossible(`mmdebstrap failed: ${cause?.trim()}`);
  }
}

async function copyOfUsr(dir: string, limitBytes: number): Promise<string> {
  mkdirSync(dir, { recursive: true });
  const folders = (await runProgram("sh", ["-c", "du -xsB1 /usr/*/* 2>/dev/null || true"])).split("\n");
  let left = limitBytes;
  for (const line of folders.sort()) {
    const [size, path] = line.split("\t");
    if (!path || Number(size) > left) continue;
    left -= Number(size);
    mkdirSync(join(dir, dirname(path)), { recursive: true });
    await runProgram("sh", [
      "-c",
      'cp -a --reflink=auto -- "$1" "$2" 2>/dev/null || true',
      "sh",
      path,
      join(dir, dirname(path)),
    ]);
  }
  return `a copy of ${Math.round((limitBytes - left) / 1e6)} MB of this machine's /usr`;
}

/** Makes a tree of a real system in `dir`, which must not exist. Gives how it was made, for people. */
export async function makeRawTree(dir: string, options: RawTreeOptions): Promise<string> {
  mkdirSync(dirname(dir), { recursive: true });
  try {
    return await debianTree(dir, options.packages);
  } catch (error) {
    if (!(error instanceof NotPossible)) throw error;
    return `${await copyOfUsr(dir, options.limitBytes)} (${error.message})`;
  }
}

/** Bytes that depend on the seed alone; every other 4 KiB of them compress well. */
export function seededBytes(seed: string, size: number): Buffer {
  const key = createHash("md5").update(seed).digest();
  const bytes = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
  for (let at = 4096; at < size; at += 8192) {
    const text = `${seed} record ${at} `.repeat(Math.ceil(4096 / (seed.length + 10)));
    bytes.write(text.slice(0, 4096), at, "latin1");
  }
  return bytes;
}

/** Regular files with their sizes, in a fixed order. Names that are not UTF-8 are left out. */
export function regularFiles(tree: string, below = ""): { path: string; size: number }[] {
  const found: { path: string; size: number }[] = [];
  const walk = (relative: string): void => {
    const entries = readdirSync(join(tree, relative), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(relative, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && !entry.name.includes("\ufffd"))
        found.push({ path, size: lstatSync(join(tree, path)).size });
    }
  };
  if (existsSync(join(tree, below))) walk(below);
  return found;
}

/** How much makeDifferent and editMachine change. */
export interface EditSize {
  files: number;
  bytes: number;
}

function addFiles(tree: string, folder: string, seed: string, size: EditSize): void {
  const large = Math.floor(size.bytes * 0.4);
  const small = Math.floor((size.bytes - large) / size.files);
  for (let number = 0; number < size.files; number++) {
    const dir = join(tree, folder, `part-${number % 37}`);
    mkdirSync(dir, { recursive: true });
    const spread = Math.floor(small * (0.5 + (number % 11) / 10));
    writeFileSync(join(dir, `item-${number}.dat`), seededBytes(`${seed} ${number}`, spread));
  }
  const database = openSync(join(tree, folder, "database.db"), "w");
  for (let at = 0; at < large; at += 1 << 20)
    writeSync(database, seededBytes(`${seed} db ${at}`, Math.min(1 << 20, large - at)), 0, undefined, at);
  closeSync(database);
}

/** Makes a copy of a reference into a machine of its own: data, configuration, logs, fewer and touched files. */
export function makeDifferent(tree: string, seed: string, size: EditSize): void {
  addFiles(tree, `srv/${seed}`, seed, size);
  mkdirSync(join(tree, "etc"), { recursive: true });
  writeFileSync(join(tree, "etc/hostname"), `${seed}\n`);
  const etc = regularFiles(tree, "etc");
  for (const [index, file] of etc.entries())
    if (index % 5 === 0) appendFileSync(join(tree, file.path), `# ${seed} ${index}\n`);
  const files = regularFiles(tree, "usr");
  for (const [index, file] of files.entries()) {
    const path = join(tree, file.path);
    if (index % 211 === 3) utimesSync(path, 1_600_000_000, 1_600_000_000 + index);
    if (index % 307 === 5) rmSync(path);
  }
}

/**
 * Gives some `files` of the `item-` files in a folder other bytes, or with `removeSome` removes one in seven of those;
 * another step takes others. Gives the bytes that they held.
 */
export function rewriteItems(
  tree: string,
  folder: string,
  tag: string,
  options: { step: number; files: number; removeSome?: boolean },
): number {
  const own = regularFiles(tree, folder).filter(({ path }) => path.includes("item-"));
  const stride = Math.max(1, Math.floor(own.length / options.files));
  let bytes = 0;
  for (const [index, { path, size }] of own.entries()) {
    if (index % stride !== options.step % stride) continue;
    bytes += size;
    if (options.removeSome === true && index % 7 === 0) rmSync(join(tree, path));
    else writeFileSync(join(tree, path), seededBytes(`${tag} again ${index}`, size));
  }
  return bytes;
}

/** Changes a page in every 500 kB. Gives the database's size: all of it is a changed file. */
export function editDatabase(file: string, tag: string, step: number): number {
  const { size } = lstatSync(file);
  const handle = openSync(file, "r+");
  for (let at = (step * 65_537) % 500_000; at + 8192 < size; at += 500_000)
    writeSync(handle, seededBytes(`${tag} page ${at}`, 8192), 0, undefined, at);
  closeSync(handle);
  return size;
}

/** A line more in every 23rd file of the configuration. */
export function appendToEtc(tree: string, tag: string, step: number): void {
  for (const [index, file] of regularFiles(tree, "etc").entries())
    if (index % 23 === step % 23) appendFileSync(join(tree, file.path), `# ${tag}\n`);
}

/**
 * What happens on a machine from one night to the next; another step changes other places. What the step before
 * brought is removed, so that a tree does not grow without end.
 */
export function editMachine(tree: string, seed: string, step: number, size: EditSize): void {
  const tag = `${seed} ${step}`;
  rmSync(join(tree, `srv/${seed}/day-${step - 1}`), { recursive: true, force: true });
  addFiles(tree, `srv/${seed}/day-${step}`, tag, {
    files: Math.ceil(size.files / 2),
    bytes: Math.floor(size.bytes * 0.7),
  });
  rewriteItems(tree, `srv/${seed}`, tag, { step, files: size.files / 2, removeSome: true });
  editDatabase(join(tree, `srv/${seed}/database.db`), tag, step);
  appendToEtc(tree, tag, step);
}
