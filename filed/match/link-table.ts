/**
 * Hard links met during one walk. A record exists from the first member of an inode until all its links were seen,
 * so memory grows with the inodes whose further links are still to come or lie outside the FileSet, about 200 bytes
 * each. Beyond MAX_RECORDS further ones are stored as separate files.
 */
import type { StatRecord } from "../sys/stat.js";

/** Content that one member of the group has brought. */
export interface LinkContent {
  content: Buffer | undefined;
  size: number;
  /** Row flags that go with it: parts, sparse, unstable. */
  flags: number;
}

/** A member that waits for another one's content. */
export interface LinkMember {
  key: string;
  /** The content is known. */
  settle(group: LinkGroup, content: LinkContent): void;
  /** The member that was to bring it could not be read: this one is the first now. */
  lead(group: LinkGroup): void;
}

export class LinkGroup {
  /** Key of the first member in path order that has a row; undefined after that member failed. */
  first: string | undefined;
  /** Links not met yet. */
  remaining: number;
  /** A string holds 32 bytes in a third of a Buffer's memory and pins no list block; "" stands for no content. */
  #content: string | undefined;
  #size = 0;
  #flags = 0;
  #waiting: LinkMember[] | undefined;

  constructor(first: string, remaining: number) {
    this.first = first;
    this.remaining = remaining;
  }

  /** Undefined while no member has brought it. */
  get content(): LinkContent | undefined {
    if (this.#content === undefined) return undefined;
    const content = this.#content === "" ? undefined : Buffer.from(this.#content, "latin1");
    return { content, size: this.#size, flags: this.#flags };
  }

  get isKnown(): boolean {
    return this.#content !== undefined;
  }

  wait(member: LinkMember): void {
    this.#waiting ??= [];
    this.#waiting.push(member);
  }

  succeed({ content, size, flags }: LinkContent): void {
    this.#content = content?.toString("latin1") ?? "";
    this.#size = size;
    this.#flags = flags;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const member of waiting ?? []) member.settle(this, this.content!);
  }

  /** The reading member has no row after all: the next one takes its place. */
  giveUp(): void {
    const next = this.#waiting?.shift();
    this.first = next?.key;
    next?.lead(this);
  }
}

/** Records kept at most. */
export const MAX_RECORDS = 2_000_000;

export class LinkTable {
  readonly #devices = new Map<number, Map<number, LinkGroup>>();
  #records = 0;
  /** True once a group was not kept for lack of room. */
  overflowed = false;

  get records(): number {
    return this.#records;
  }

  /** Group of an entry with several links; undefined when the table is full. A new group has `first` = `key`. */
  see(key: string, stat: StatRecord): LinkGroup | undefined {
    const device = stat.devMajor * 0x10_0000 + stat.devMinor;
    let inodes = this.#devices.get(device);
    if (inodes === undefined) {
      inodes = new Map();
      this.#devices.set(device, inodes);
    }
    const seen = inodes.get(stat.inode);
    if (seen !== undefined) {
      if (--seen.remaining === 0) {
        inodes.delete(stat.inode);
        this.#records--;
      }
      seen.first ??= key;
      return seen;
    }
    if (this.#records >= MAX_RECORDS) {
      this.overflowed = true;
      return undefined;
    }
    const group = new LinkGroup(key, stat.links - 1);
    this.#records++;
    inodes.set(stat.inode, group);
    return group;
  }
}
