/**
 * A machine's files as a test models them: names that lead to inodes, as on a disk. A name is a path key; several
 * names may lead to one inode (hard links). Every change of an inode moves its ctime, as the kernel does.
 */

import { contentDigest } from "../../common/format/content.js";
import { childKey, isBelow, isWithin, parentKey } from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";

export interface Inode {
  number: number;
  type: EntryType;
  mode: number;
  uid: number;
  mtimeSec: number;
  /** Counts all changes on all machines: never twice the same. */
  ctime: number;
  content: Buffer;
  target: string;
}

/** Path of an entry and everything about it that a restore must bring back, as one text. */
export type Snapshot = ReadonlyMap<string, string>;

let changes = 1;

export class ModelTree {
  readonly names = new Map<string, Inode>();
  #nextInode = 2;

  constructor() {
    this.#add("", EntryType.directory);
  }

  #add(key: string, type: EntryType): Inode {
    const inode: Inode = {
      number: this.#nextInode++,
      type,
      mode: type === EntryType.directory ? 0o755 : 0o644,
      uid: 0,
      mtimeSec: 1000,
      ctime: ++changes,
      content: Buffer.alloc(0),
      target: "",
    };
    this.names.set(key, inode);
    return inode;
  }

  /** Keys in path order. */
  keys(): string[] {
    return [...this.names.keys()].sort();
  }

  file(key: string, content: Buffer | string, mtimeSec = 1000): this {
    this.#parents(key);
    this.remove(key);
    const inode = this.#add(key, EntryType.file);
    inode.content = Buffer.from(content);
    inode.mtimeSec = mtimeSec;
    return this;
  }

  directory(key: string): this {
    this.#parents(key);
    if (this.names.get(key)?.type === EntryType.directory) return this;
    this.remove(key);
    this.#add(key, EntryType.directory);
    return this;
  }

  symlink(key: string, target: string): this {
    this.#parents(key);
    this.remove(key);
    this.#add(key, EntryType.symlink).target = target;
    return this;
  }

  /** Another name of the file `of`. */
  link(key: string, of: string): this {
    const inode = this.names.get(of);
    if (inode === undefined || inode.type === EntryType.directory || isWithin(key, of)) return this;
    this.#parents(key);
    this.remove(key);
    this.names.set(key, inode);
    inode.ctime = ++changes;
    return this;
  }

  /** Removes the name and everything below it; the root only loses what lies below. */
  remove(key: string): this {
    for (const name of [...this.names.keys()]) {
      if (!(key === "" ? isBelow(key, name) : isWithin(key, name))) continue;
      const inode = this.names.get(name)!;
      this.names.delete(name);
      inode.ctime = ++changes;
    }
    return this;
  }

  /** Changes an entry in place. */
  change(key: string, change: Partial<Omit<Inode, "number" | "ctime" | "type">>): this {
    const inode = this.names.get(key);
    if (inode !== undefined) Object.assign(inode, change, { ctime: ++changes });
    return this;
  }

  rename(from: string, to: string): this {
    if (from === "" || to === "" || isWithin(from, to) || isWithin(to, from) || !this.names.has(from))
      return this;
    this.#parents(to);
    if (!this.names.has(from)) return this;
    this.remove(to);
    for (const name of [...this.names.keys()].filter((key) => isWithin(from, key))) {
      const inode = this.names.get(name)!;
      this.names.delete(name);
      this.names.set(`${to}${name.slice(from.length)}`, inode);
      inode.ctime = ++changes;
    }
    return this;
  }

  /** Makes the directories above `key`; what stands in their way goes. */
  #parents(key: string): void {
    const parent = parentKey(key);
    if (parent === undefined || this.names.get(parent)?.type === EntryType.directory) return;
    this.directory(parent);
  }

  /** A copy with the same inode numbers and times: a machine made from an image. */
  clone(): ModelTree {
    const copy = new ModelTree();
    copy.names.clear();
    const inodes = new Map<Inode, Inode>();
    for (const [key, inode] of this.names) {
      let other = inodes.get(inode);
      if (other === undefined) {
        other = { ...inode, ctime: ++changes };
        inodes.set(inode, other);
      }
      copy.names.set(key, other);
    }
    copy.#nextInode = this.#nextInode;
    return copy;
  }

  /** First name of every inode that has several. */
  groups(): Map<Inode, string> {
    const counts = new Map<Inode, number>();
    const first = new Map<Inode, string>();
    for (const key of this.keys()) {
      const inode = this.names.get(key)!;
      counts.set(inode, (counts.get(inode) ?? 0) + 1);
      if (!first.has(inode)) first.set(inode, key);
    }
    for (const [inode, count] of counts) if (count < 2) first.delete(inode);
    return first;
  }

  snapshot(): Snapshot {
    const groups = this.groups();
    const out = new Map<string, string>();
    for (const key of this.keys()) {
      const inode = this.names.get(key)!;
      const { type, mode, uid, mtimeSec, content, target } = inode;
      out.set(key, describe({ type, mode, uid, mtimeSec, content, target, group: groups.get(inode) }));
    }
    return out;
  }
}

interface Described {
  type: EntryType;
  mode: number;
  uid: number;
  mtimeSec: number;
  content: Buffer;
  target: string;
  group: string | undefined;
}

/** One entry as text: equal for equal entries, and readable in a failure. */
export function describe({ type, mode, uid, mtimeSec, content, target, group }: Described): string {
  const link = group === undefined ? "" : ` =${group.replaceAll("\0", "/")}`;
  const digest = content.length === 0 ? "-" : digestOf(content);
  return `${type} ${mode.toString(8)} ${uid} ${mtimeSec} ${content.length} ${digest} ${target}${link}`;
}

const digests = new WeakMap<Buffer, string>();

function digestOf(content: Buffer): string {
  let digest = digests.get(content);
  if (digest === undefined) {
    digest = contentDigest(content).toString("hex", 0, 8);
    digests.set(content, digest);
  }
  return digest;
}

/** What differs between two snapshots, a line each; empty when they are equal. */
export function differences(expected: Snapshot, found: Snapshot): string[] {
  const out: string[] = [];
  const show = (key: string) => `/${key.replaceAll("\0", "/")}`;
  for (const [key, text] of expected) {
    const other = found.get(key);
    if (other === undefined) out.push(`missing ${show(key)} (${text})`);
    else if (other !== text) out.push(`${show(key)} is ${other}, not ${text}`);
  }
  for (const [key, text] of found) if (!expected.has(key)) out.push(`extra ${show(key)} (${text})`);
  return out;
}

/** `a/b` as a path key. */
export function at(path: string): string {
  return path.split("/").reduce(childKey, "");
}

/** Bytes that do not compress, the same ones for the same seed. */
export function noise(seed: number, length: number): Buffer {
  const out = Buffer.alloc(length);
  for (let i = 0, state = seed * 7919 + 17; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    out[i] = state >>> 16;
  }
  return out;
}

/** Content above 1 MiB that compresses well and is cut into several chunks. */
export function largeContent(seed: number, length = 1_200_000): Buffer {
  const out = Buffer.alloc(length);
  for (let at = 0, block = 0; at < length; at += 64, block++) {
    out.writeUInt32LE((seed * 2_654_435_761 + Math.floor(block / 512)) >>> 0, Math.min(at, length - 4));
  }
  return out;
}
