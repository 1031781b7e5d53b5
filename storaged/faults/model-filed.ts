/**
 * filed as the tests model it: walks a ModelTree, matches it with the lists that the storage daemon sends, and
 * sends rows, frames and parts for what differs and nothing else. What it trusts unread is what filed trusts: an own
 * row with equal metadata, ctime and inode; without an own row, Bases that agree.
 */

import { BackupError } from "../../common/errors.js";
import { contentDigest, MAX_WHOLE_BYTES } from "../../common/format/content.js";
import { partName } from "../../common/format/member.js";
import {
  EntryType,
  emptyRow,
  type Row,
  RowFlag,
  sameContent,
  sameMetadata,
  sameRow,
} from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import {
  BackupKind,
  decodeClaim,
  encodeClaim,
  encodeJson,
  encodeList,
  encodeParts,
  NO_TOTALS,
} from "../../proto/data/backup.js";
import { ArrayCursor, OverlayCursor } from "../catalog/overlay.js";
import type { FakeFiled } from "../session/fake-filed.js";
import {
  type Chunk,
  contentChunks,
  deletions,
  identityOf,
  inGroups,
  lyingFrame,
  type Parts,
  partsOf,
  rowOf,
} from "./model-content.js";
import type { ModelFiledOptions } from "./model-options.js";
import type { Inode, ModelTree } from "./tree.js";

const DOUBTFUL = RowFlag.unstable | RowFlag.unverified | RowFlag.damaged;
const CLAIM_DIGESTS = 256;

/** One job at filed, from its start to the commit. Rejects when storaged refuses or aborts. */
export async function sendTree(
  fake: FakeFiled,
  tree: ModelTree,
  options: ModelFiledOptions = {},
): Promise<void> {
  const { stream } = fake;
  const send = stream.send.bind(stream);
  stream.send = async (message) => {
    await options.beforeSend?.();
    await send(message);
  };
  const run = new ModelRun(fake, tree, options);
  await run.lists();
  await options.reached?.("lists");
  for (const keys of inGroups(run.keys, options.marks)) {
    await run.match(keys);
    await options.reached?.("claimed");
    await run.send();
    await options.reached?.("sent");
    await run.rows(keys);
    await options.reached?.("rows");
    if (options.marks !== undefined || options.leaves !== undefined) await run.mark(keys);
  }
  if (options.leaves === undefined) await run.end(options.reached);
  else await run.leave(options.leaves.how);
}

type Rows = Map<string, Row>;

class ModelRun {
  readonly #fake: FakeFiled;
  readonly #tree: ModelTree;
  readonly #perFrame: number;
  readonly #lies: boolean;
  /** The entries to send. */
  readonly keys: string[];
  #own: Rows | undefined;
  #bases: Rows[] = [];
  #effective: Rows = new Map();
  readonly #wanted: Row[] = [];
  readonly #chunks: Chunk[] = [];
  readonly #parts: Parts[] = [];
  /** Content of inodes that several names lead to, once it is known. */
  readonly #shared = new Map<Inode, Row>();
  #claims = 0;
  #sentParts = 0;

  constructor(fake: FakeFiled, tree: ModelTree, options: ModelFiledOptions) {
    this.#fake = fake;
    this.#tree = tree;
    this.#perFrame = options.filesPerFrame ?? 4;
    this.#lies = options.lies === true;
    this.keys = tree.keys().slice(0, options.leaves?.entries);
  }

  async #receive(): Promise<Buffer> {
    const message = await this.#fake.receive();
    if (message[0] === BackupKind.abort) throw new Error(`refused: ${message.toString("utf8", 1)}`);
    return message;
  }

  async lists(): Promise<void> {
    const { lists, ownIsParent } = this.#fake.start;
    const bases: Row[][] = [];
    for (const [index, { role }] of lists.entries()) {
      const rows = await this.#list(index);
      const byKey = new Map(rows.map((row) => [row.key, row]));
      if (role === "own") this.#own = byKey;
      if (role === "own" ? ownIsParent : role === "parent") this.#effective = byKey;
      if (role !== "base") continue;
      this.#bases.push(byKey);
      bases.push(rows);
    }
    if (bases.length === 0) return;
    const overlay = new OverlayCursor(bases.map((rows) => new ArrayCursor(rows)));
    for (; overlay.row !== undefined; overlay.advance()) this.#effective.set(overlay.row.key, overlay.row);
  }

  async #list(list: number): Promise<Row[]> {
    const rows: Row[] = [];
    for (;;) {
      await this.#fake.stream.send(encodeList(BackupKind.listCredit, list, Buffer.of(1)));
      const message = await this.#receive();
      if (message[0] === BackupKind.listEnd) return rows;
      rows.push(...decodeBlock(message.subarray(2)));
    }
  }

  async match(keys: readonly string[]): Promise<void> {
    const groups = this.#tree.groups();
    for (const key of keys) {
      const inode = this.#tree.names.get(key)!;
      const row = rowOf(key, inode, groups.get(inode));
      await this.#settle(row, inode);
      const effective = this.#effective.get(key);
      if (effective === undefined || !sameRow(effective, row)) this.#wanted.push(row);
    }
    this.#addDeletions(keys);
  }

  async #settle(row: Row, inode: Inode): Promise<void> {
    if (row.type !== EntryType.file || row.size === 0) return;
    const shared = this.#shared.get(inode);
    if (shared !== undefined) {
      row.content = shared.content;
      row.flags = shared.flags;
      return;
    }
    const voucher = this.#voucher(row, inode);
    if (voucher === undefined || !(await this.#trust(row, voucher))) await this.#read(row, inode);
    if (row.group !== undefined) this.#shared.set(inode, row);
  }

  #voucher(row: Row, inode: Inode): Row | undefined {
    const trusted = (other: Row) =>
      (other.flags & DOUBTFUL) === 0 && other.content !== undefined && sameMetadata(other, row);
    const own = this.#own?.get(row.key);
    if (own !== undefined) {
      const unchanged = own.state?.ctimeSec === inode.ctime && own.state.inode === inode.number;
      return unchanged && trusted(own) ? own : undefined;
    }
    const vouching = this.#bases
      .map((base) => base.get(row.key))
      .filter((base): base is Row => base !== undefined && trusted(base));
    const [first] = vouching;
    // Looks alike and is not: filed cannot know that. The tests are about storage, and expect the tree as it was.
    const right = first?.content?.equals(identityOf(inode.content)) === true;
    return right && vouching.every((base) => sameContent(base, first)) ? first : undefined;
  }

  /** Takes the voucher's content, if a row of this job may name it. */
  async #trust(row: Row, voucher: Row): Promise<boolean> {
    const effective = this.#effective.get(row.key);
    const inherited = effective?.content !== undefined && sameContent(effective, voucher);
    if (!inherited) {
      if (this.#fake.start.selfContained) return false;
      if (!(await this.#knows(voucher.content!))) return false;
    }
    row.content = voucher.content;
    row.flags |= voucher.flags & RowFlag.parts;
    return true;
  }

  async #read(row: Row, { content }: Inode): Promise<void> {
    if (content.length <= MAX_WHOLE_BYTES) {
      row.content = identityOf(content);
      if (!(await this.#knows(row.content)))
        this.#add({ key: row.key, bytes: content, digest: row.content, part: false });
      return;
    }
    const chunks = contentChunks(content).map((bytes) => ({
      key: row.key,
      bytes,
      digest: contentDigest(bytes),
      part: true,
    }));
    const { list, identity } = partsOf(chunks);
    row.content = identity;
    row.flags |= RowFlag.parts;
    if (await this.#knows(row.content)) return;
    const answers = await this.#claim(chunks.map(({ digest }) => digest));
    for (const [i, chunk] of chunks.entries()) if (answers[i] !== true) this.#add(chunk);
    this.#parts.push({ list, identity: row.content, size: content.length });
  }

  async #knows(content: Buffer): Promise<boolean> {
    return (await this.#claim([content]))[0] === true;
  }

  /** Content that is to be sent; once per job, except where every file is a member of its own. */
  #add(chunk: Chunk): void {
    const again = this.#chunks.some(({ digest }) => digest.equals(chunk.digest));
    if (!again || (this.#fake.start.selfContained && !chunk.part)) this.#chunks.push(chunk);
  }

  async #claim(digests: readonly Buffer[]): Promise<boolean[]> {
    if (this.#fake.start.selfContained) return digests.map(() => false);
    const answers: boolean[] = [];
    for (let from = 0; from < digests.length; from += CLAIM_DIGESTS) {
      const some = digests.slice(from, from + CLAIM_DIGESTS);
      await this.#fake.stream.send(encodeClaim(BackupKind.claim, ++this.#claims, Buffer.concat(some)));
      const { data } = decodeClaim(await this.#receive());
      answers.push(...[...data].map((known) => known === 1));
    }
    return answers;
  }

  /** Those between the entries before and the end of these; the last ones take what is behind them. */
  #addDeletions(keys: readonly string[]): void {
    const gone = [...deletions(this.#effective.keys(), this.#tree)];
    const last = keys.at(-1);
    const whole = last === this.keys.at(-1) && this.keys.length === this.#tree.names.size;
    const before = this.keys.slice(0, this.keys.indexOf(keys[0]!)).at(-1) ?? "";
    this.#wanted.push(...gone.filter(({ key }) => key > before && (whole || key <= last!)));
    this.#wanted.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async send(): Promise<void> {
    const { jobId, stream } = this.#fake;
    const chunks = this.#chunks.splice(0);
    if (this.#lies) await stream.send(lyingFrame(jobId, chunks.splice(0)));
    for (let from = 0; from < chunks.length; from += this.#perFrame) {
      const some = chunks.slice(from, from + this.#perFrame);
      await this.#fake.frame(
        some.map(({ key, bytes, digest, part }) => ({
          key: part ? partName(jobId, digest).slice(`job${jobId}/`.length) : key,
          bytes,
        })),
      );
    }
    for (const { list, identity, size } of this.#parts.splice(0)) {
      const sequence = ++this.#sentParts;
      await stream.send(encodeParts({ sequence, parts: list, last: { size, identity } }));
    }
  }

  async rows(keys: readonly string[]): Promise<void> {
    const rows = this.#wanted.splice(0);
    if (rows.length > 0) await this.#fake.rows(rows);
    const state = keys.map((key) => {
      const { ctime, number } = this.#tree.names.get(key)!;
      const seen = { ctimeSec: ctime, ctimeNsec: 0, inode: number, links: 1 };
      return { ...emptyRow(key, EntryType.deleted), state: seen };
    });
    await this.#fake.state(state);
  }

  async mark(keys: readonly string[]): Promise<void> {
    const key = Buffer.from(keys.at(-1) ?? "", "latin1");
    await this.#fake.stream.send(Buffer.concat([Buffer.of(BackupKind.mark), key]));
  }

  /** Ends early. */
  async leave(how: "stop" | "cut"): Promise<void> {
    const { stream } = this.#fake;
    if (how === "cut") return stream.destroy(new BackupError("CONNECTION_LOST", "cut by the test"));
    const end = { ok: false, incomplete: true, reason: "stopped by the test", totals: NO_TOTALS };
    await stream.send(encodeJson(BackupKind.end, end));
    while ((await this.#receive())[0] !== BackupKind.committed);
  }

  async end(reached: ModelFiledOptions["reached"]): Promise<void> {
    await reached?.("end");
    await this.#fake.stream.send(encodeJson(BackupKind.end, { ok: true, totals: NO_TOTALS }));
    while ((await this.#receive())[0] !== BackupKind.committed);
  }
}
