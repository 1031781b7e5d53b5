/**
 * A dropped file list out of its manifest, frame by frame: blocks to be stored again. With `compare` nothing is given;
 * instead the manifest must say what the list in the catalog says, row by row, before that may be dropped.
 */

import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { parseMemberName } from "../../common/format/member.js";
import { keyToPath } from "../../common/format/path.js";
import { type Row, RowFlag, sameRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { GarbledInput } from "../../common/format/varint.js";
import { BlockCursor, BlockQueries } from "../catalog/block-cursor.js";
import type { Db } from "../catalog/schema.js";
import type { LocalJob } from "../catalog/types.js";
import { asBuffer, detached } from "../catalog/worker-rpc.js";
import type { LoadedBlock } from "../catalog/writer-lists.js";
import { plainName, unpackFrame } from "../volume/frame-check.js";
import { type ManifestItem, ManifestParser } from "../volume/manifest-parse.js";
import { walkMember } from "../volume/tar-walk.js";

/** Which manifest is read, and what it must be. */
export interface ReloadOrder {
  job: LocalJob;
  jobId: number;
  uuid: string;
  /** In the list; the manifest must have as many. */
  rows: number;
  /** Nothing is to be stored: the list is here, and must be the same. */
  compare: boolean;
}

/** Takes the frames of one job; `close` it in the end. */
export class ListReload {
  readonly #order: ReloadOrder;
  readonly #db: Db;
  readonly #parser = new ManifestParser();
  readonly #writer = new BlockWriter({ state: false });
  readonly #raw = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  readonly #chunk;
  readonly #content;
  readonly #list: BlockCursor | undefined;
  #revision = 0;
  #pieces = 0;
  #rows = 0;
  #blocks: LoadedBlock[] = [];

  /** `db` reads the catalog, and is closed by `close`. */
  constructor(db: Db, order: ReloadOrder) {
    this.#db = db;
    this.#order = order;
    this.#chunk = db.prepare<[Buffer, number]>("SELECT 1 FROM chunk WHERE digest = ? AND length = ? LIMIT 1");
    this.#content = db.prepare<[Buffer, number]>(
      "SELECT 1 FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND c.size = ? AND j.dirty = 0 LIMIT 1",
    );
    if (order.compare) this.#list = new BlockCursor(new BlockQueries(db, "list_block"), order.job);
  }

  /** Revision of the manifest that a frame holds a piece of; 0: none. @throws GarbledInput */
  revisionOf(frame: Uint8Array, rawBytes: number): number {
    let found = 0;
    for (const { revision } of this.#manifest(frame, rawBytes)) found = Math.max(found, revision);
    return found;
  }

  /** From now on frames are pushed in order; manifests of other revisions among them are passed over. */
  begin(revision: number): void {
    this.#revision = revision;
  }

  /** The blocks that this frame completes. @throws GarbledInput */
  push(frame: Uint8Array, rawBytes: number): LoadedBlock[] {
    for (const { revision, number, data } of this.#manifest(frame, rawBytes)) {
      if (revision !== this.#revision) continue;
      if (number !== ++this.#pieces) throw new GarbledInput("a piece of its manifest is missing");
      for (const item of this.#parser.push(data)) this.#item(item);
    }
    return this.#taken();
  }

  /** The last blocks. @throws GarbledInput when the manifest is not whole */
  finish(): LoadedBlock[] {
    this.#parser.finish();
    if (this.#list?.row !== undefined) throw new GarbledInput("the manifest lacks rows of the list");
    this.#flush();
    return this.#taken();
  }

  close(): void {
    this.#db.close();
  }

  *#manifest(frame: Uint8Array, rawBytes: number) {
    const raw = unpackFrame(this.#raw, frame, rawBytes);
    for (let at = 0; at < raw.length; ) {
      const member = walkMember(raw, at);
      at = member.end;
      const name = parseMemberName(this.#order.jobId, plainName(member));
      if (name.kind !== "manifest") continue;
      yield { ...name, data: raw.subarray(member.dataAt, member.dataAt + member.size) };
    }
  }

  #taken(): LoadedBlock[] {
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks;
  }

  #item(item: ManifestItem): void {
    if (item.type === "head" && item.facts.get("uuid") !== this.#order.uuid)
      throw new GarbledInput("the manifest is another job's");
    if (item.type === "end" && item.rows !== this.#order.rows)
      throw new GarbledInput("the manifest has another number of rows than the job");
    if (item.type !== "row") return;
    if (++this.#rows > this.#order.rows) throw new GarbledInput("the manifest has more rows than the job");
    if (this.#list === undefined) this.#store(item.row);
    else this.#compare(item.row, this.#list);
  }

  #store(row: Row): void {
    if (row.content !== undefined && !this.#isKnown(row.content, row)) row.flags |= RowFlag.damaged;
    this.#writer.add(row);
    if (this.#writer.full) this.#flush();
  }

  /** What is nowhere is marked, as in a list that a scan has made: a restore names such a file. */
  #isKnown(content: Buffer, { flags, size }: Row): boolean {
    const query = (flags & RowFlag.parts) === 0 ? this.#chunk : this.#content;
    return query.get(content, size) !== undefined;
  }

  #compare(row: Row, list: BlockCursor): void {
    const { row: known } = list;
    if (known === undefined || known.key !== row.key || !sameRow(plain(known), plain(row)))
      throw new GarbledInput(`the manifest has another entry for ${keyToPath(row.key)} than the list`);
    list.advance();
  }

  #flush(): void {
    const { firstKey, lastKey, rows } = this.#writer;
    if (rows === 0) return;
    const key = (text: string) => detached(Buffer.from(text, "latin1"));
    const data = detached(this.#writer.finish());
    this.#blocks.push({ firstKey: key(firstKey), lastKey: key(lastKey), rows, data });
  }
}

/** Damage belongs to stored content; a manifest does not have it. */
function plain(row: Row): Row {
  return (row.flags & RowFlag.damaged) === 0 ? row : { ...row, flags: row.flags & ~RowFlag.damaged };
}

/** Methods of the thread; also used without one in tests. */
export function reloadMethods(reload: ListReload) {
  const take = (frame: Uint8Array): Buffer => asBuffer(frame);
  return {
    revisionOf: (frame: Uint8Array, rawBytes: number) => reload.revisionOf(take(frame), rawBytes),
    begin: (revision: number) => reload.begin(revision),
    push: (frame: Uint8Array, rawBytes: number) => reload.push(take(frame), rawBytes),
    finish: () => reload.finish(),
    close: () => reload.close(),
  };
}
export type ReloadMethods = ReturnType<typeof reloadMethods>;
