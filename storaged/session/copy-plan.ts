/**
 * What a copy sends, worked out step by step: the rows that make the original's list out of what it is laid over,
 * and in front of them the content that the target does not have, read from volumes and packed anew. A generator
 * that asks its driver for whatever it cannot do itself, so that it runs in a thread of its own, or in place.
 * Memory: a block of rows, two decompressed frames and the one that is being made.
 */

import Database from "better-sqlite3";
import { BackupError } from "../../common/errors.js";
import { contentDigest, DIGEST_BYTES, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { decompressInto } from "../../common/format/zstd.js";
import { BackupKind, encodeBlock, encodeParts } from "../../proto/data/backup.js";
import { CopyQueries } from "../catalog/copy-queries.js";
import { DifferenceBlocks } from "../catalog/list-difference.js";
import { type BlockSource, Lists, VerbatimBlocks } from "../catalog/lists.js";
import { type Db, openForReading } from "../catalog/schema.js";
import { type ChunkPlace, ContentPlaces } from "./content-places.js";
import { CopyPacker } from "./copy-pack.js";
import type { CopyPlanOptions, CopyReply, CopyStep, CopyTotals } from "./copy-steps.js";

type Script<T = void> = Generator<CopyStep, T, CopyReply>;

/** A chunk that the target needs, and the file it is whole content of. */
interface Wanted {
  digest: Buffer;
  length: number;
  /** Whose member it becomes; undefined: a part. */
  row: Row | undefined;
  /** Key of the file that is lost without it. */
  key: string;
}

interface Unpacked {
  volume: number;
  pos: number;
  raw: Buffer;
}

const FRAMES_KEPT = 2;

export class CopyPlan {
  readonly #options: CopyPlanOptions;
  readonly #db: Db;
  /** A database without a name: SQLite keeps it on disk and removes it. */
  readonly #scratch: Db = new Database("");
  readonly #places: ContentPlaces;
  readonly #packer: CopyPacker;
  readonly #unpacked: Unpacked[] = [];
  readonly #totals: CopyTotals = { files: 0, deleted: 0, bytes: 0, bytesRead: 0, bytesSent: 0 };
  #sequence = 0;
  #path = "";

  constructor(options: CopyPlanOptions) {
    this.#options = options;
    this.#db = openForReading(options.catalogFile);
    this.#places = new ContentPlaces(this.#db);
    this.#packer = new CopyPacker(options.copy);
    // Nobody needs it after a crash.
    this.#scratch.pragma("journal_mode = OFF");
    this.#scratch.pragma("cache_size = -4000");
    this.#scratch.exec("CREATE TABLE block (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, data BLOB NOT NULL)");
  }

  close(): void {
    this.#scratch.close();
    this.#db.close();
  }

  /** @throws BackupError NOT_FOUND when the original is not there (any more), JOB_IN_USE when it was rebased */
  *script(): Script {
    // One snapshot: the list may be rewritten, or go, while its content is sent.
    this.#db.transaction(() => this.#spool())();
    for (const block of this.#spooled("row")) {
      yield* this.#content(decodeBlock(block));
      yield* this.#flush(encodeBlock(BackupKind.rows, block));
    }
    for (const block of this.#spooled("state")) yield this.#send([encodeBlock(BackupKind.state, block)]);
    yield { ask: "end", totals: { ...this.#totals } };
  }

  /** Works the rows out and puts them aside on disk. */
  #spool(): void {
    const { original, originalUuid, parents, withState } = this.#options;
    const queries = new CopyQueries(this.#db);
    const lists = new Lists(this.#db);
    queries.check(original, originalUuid);
    if (parents !== undefined && String(parents) !== String(queries.parentsOf(original))) {
      const text = `what JobId ${original} lies over has changed meanwhile; run the job again`;
      throw new BackupError("JOB_IN_USE", text);
    }
    const { jobs } = queries.effective(original);
    const lower = parents === undefined ? [] : queries.below(original);
    const insert = this.#scratch.prepare("INSERT INTO block(kind, data) VALUES (?, ?)");
    const put = (kind: string, blocks: BlockSource): void => {
      for (let block = blocks.next(); block !== undefined; block = blocks.next())
        if (block.length > 0) insert.run(kind, block);
    };
    put("row", new DifferenceBlocks(lists.overlay(jobs), lists.overlay(lower)));
    if (withState) put("state", new VerbatimBlocks(lists.states, jobs[0]!));
  }

  *#spooled(kind: string): Generator<Buffer> {
    const next = this.#scratch
      .prepare<[string, number], [number, Buffer]>(
        "SELECT id, data FROM block WHERE kind = ? AND id > ? ORDER BY id LIMIT 1",
      )
      .raw();
    for (let row = next.get(kind, 0); row !== undefined; row = next.get(kind, row[0])) yield row[1];
  }

  /** Sends what the target does not have of these rows' content. */
  *#content(rows: readonly Row[]): Script {
    const whole = new Map<string, Row>();
    const parts = new Map<string, Row>();
    for (const row of rows) {
      this.#count(row);
      if (row.content === undefined) continue;
      const into = (row.flags & RowFlag.parts) === 0 ? whole : parts;
      const digest = row.content.latin1Slice();
      if (!into.has(digest) || (leads(row) && !leads(into.get(digest)!))) into.set(digest, row);
    }
    const unknown = yield* this.#unknown([...whole.values(), ...parts.values()]);
    const wanted: Wanted[] = [];
    for (const row of rows) {
      if (row.content === undefined || (row.flags & RowFlag.parts) !== 0) continue;
      const digest = row.content.latin1Slice();
      const chosen = this.#options.everyFile ? leads(row) : whole.get(digest) === row;
      if (chosen && unknown.has(digest))
        wanted.push({ digest: row.content, length: row.size, row, key: row.key });
    }
    yield* this.#fetch(wanted);
    for (const [digest, row] of parts) if (unknown.has(digest)) yield* this.#parts(row);
  }

  #count(row: Row): void {
    if (row.type === EntryType.deleted) this.#totals.deleted++;
    else this.#totals.files++;
    this.#totals.bytes += row.size;
    this.#path = row.key;
  }

  /** Digests that the target does not know, as latin1. */
  *#unknown(rows: readonly Row[]): Script<Set<string>> {
    const unknown = new Set<string>();
    if (rows.length === 0) return unknown;
    const digests = Buffer.concat(rows.map(({ content }) => content!));
    const answer = yield* this.#claim(digests);
    rows.forEach(({ content }, i) => void (answer[i] !== 1 && unknown.add(content!.latin1Slice())));
    return unknown;
  }

  *#claim(digests: Buffer): Script<Uint8Array> {
    const reply = yield { ask: "claim", digests: new Uint8Array(digests) };
    if (!(reply instanceof Uint8Array)) throw new RangeError("a claim was not answered");
    return reply;
  }

  /** A content in parts: the parts that the target does not have, then their list. */
  *#parts(row: Row): Script {
    const content = this.#places.listOf(row.content!, row.size);
    if (content === undefined) {
      yield lost(row.key, NOWHERE);
      return;
    }
    const sequence = this.#sequence++;
    let held: Buffer | undefined;
    for (const list of this.#places.parts(content)) {
      if (held !== undefined) yield* this.#flush(encodeParts({ sequence, parts: held }));
      yield* this.#fetch(yield* this.#missing(list, row.key));
      held = list;
    }
    const last = { size: row.size, identity: row.content! };
    yield* this.#flush(encodeParts({ sequence, parts: held ?? Buffer.alloc(0), last }));
  }

  *#missing(list: Buffer, key: string): Script<Wanted[]> {
    const chunks = new Map<string, Wanted>();
    for (let at = 0; at < list.length; at += PART_BYTES) {
      const digest = list.subarray(at + PART_BYTES - DIGEST_BYTES, at + PART_BYTES);
      if (digest.equals(ZERO_DIGEST)) continue;
      chunks.set(digest.latin1Slice(), { digest, length: list.readUInt32LE(at), row: undefined, key });
    }
    const all = [...chunks.values()];
    if (all.length === 0) return all;
    const answer = yield* this.#claim(Buffer.concat(all.map(({ digest }) => digest)));
    return all.filter((_chunk, i) => answer[i] !== 1);
  }

  /** Reads chunks in the order in which they lie and packs them. */
  *#fetch(wanted: readonly Wanted[]): Script {
    const found = wanted.map((chunk) => ({ chunk, places: this.#places.chunks(chunk.digest, chunk.length) }));
    const at = ({ places: [place] }: (typeof found)[number]) => place ?? { volume: 0, pos: 0, offset: 0 };
    found.sort((a, b) => {
      const [x, y] = [at(a), at(b)];
      return x.volume - y.volume || x.pos - y.pos || x.offset - y.offset;
    });
    for (const { chunk, places } of found) {
      const data = yield* this.#read(chunk, places);
      if (data === undefined) continue;
      this.#totals.bytesRead += data.length;
      const frame = this.#packer.add(Buffer.from(chunk.digest), data, chunk.row);
      if (frame !== undefined) yield this.#send([frame]);
    }
  }

  /** The chunk from the first of its places that holds it whole. */
  *#read({ digest, length, key }: Wanted, places: readonly ChunkPlace[]): Script<Buffer | undefined> {
    let why = NOWHERE;
    let volume: string | undefined;
    for (const place of places) {
      volume = this.#places.volumeName(place.volume);
      const raw = yield* this.#unpack(place);
      if (typeof raw === "string") {
        why = raw;
        continue;
      }
      const data = raw.subarray(place.offset, place.offset + length);
      if (contentDigest(data).equals(digest)) return data;
      why = `its content on Volume "${volume}" is damaged`;
    }
    yield lost(key, why, volume);
    return undefined;
  }

  /** A frame decompressed; a text says why it cannot be. */
  *#unpack({ volume, pos, bytes, rawBytes }: ChunkPlace): Script<Buffer | string> {
    const known = this.#unpacked.find((frame) => frame.volume === volume && frame.pos === pos);
    if (known !== undefined) return known.raw;
    const reply = yield { ask: "read", volume, offset: pos, bytes };
    if (reply === undefined) throw new RangeError("a read was not answered");
    if (!(reply instanceof Uint8Array)) return reply.error;
    const raw = Buffer.allocUnsafeSlow(rawBytes);
    try {
      decompressInto(raw, reply);
    } catch (error) {
      return `a frame on Volume "${this.#places.volumeName(volume)}" is damaged: ${(error as Error).message}`;
    }
    this.#unpacked.push({ volume, pos, raw });
    if (this.#unpacked.length > FRAMES_KEPT) this.#unpacked.shift();
    return raw;
  }

  /** Everything that was packed, then `message`, which builds on it. */
  *#flush(message: Buffer): Script {
    const frame = this.#packer.flush();
    yield this.#send(frame === undefined ? [message] : [frame, message]);
  }

  #send(messages: readonly Buffer[]): CopyStep {
    this.#totals.bytesSent = this.#packer.sentBytes;
    const own = messages.map((message) => new Uint8Array(message));
    return { ask: "send", messages: own, totals: { ...this.#totals }, path: keyToPath(this.#path) };
  }
}

/** The first name of a hard link group bears its content. */
const leads = (row: Row): boolean => row.group === undefined || row.group === row.key;

const NOWHERE = "its content is not on any volume of this storage";

const lost = (key: string, why: string, volume?: string): CopyStep => ({
  ...{ ask: "lost", path: displayPath(keyToPath(key)) },
  ...{ why, volume },
});
