/** Contents in parts as a client lists them, on the writing thread. */

import { PART_BYTES, PartsIdentity, ZERO_DIGEST, ZERO_MAX_BYTES } from "../../common/format/content.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";
import { unknownContent } from "./unknown-content.js";
import { asBuffer } from "./worker-rpc.js";
import type { ContentStore } from "./writer-content.js";
import {
  type Contexts,
  type JobContext,
  MAX_OPEN_CONTENTS,
  type OpenContent,
  violation,
} from "./writer-context.js";
import { addNeed, type Needs } from "./writer-needs.js";

export class PartsStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #needs: Needs;
  readonly #contents: ContentStore;
  readonly #insertContent;
  readonly #insertSegment;
  readonly #nameContent;
  readonly #dropSegments;
  readonly #dropContent;

  constructor(db: Db, contexts: Contexts, needs: Needs, contents: ContentStore) {
    this.#db = db;
    this.#contexts = contexts;
    this.#needs = needs;
    this.#contents = contents;
    this.#insertContent = db.prepare("INSERT INTO content(identity, pool, job, size) VALUES (NULL, ?, ?, 0)");
    this.#insertSegment = db.prepare("INSERT INTO content_part(content, seq, data) VALUES (?, ?, ?)");
    this.#nameContent = db.prepare("UPDATE content SET identity = ?, size = ? WHERE id = ?");
    this.#dropSegments = db.prepare("DELETE FROM content_part WHERE content = ?");
    this.#dropContent = db.prepare("DELETE FROM content WHERE id = ?");
  }

  /**
   * Adds a segment of a parts list. The identity is computed here, from parts that are there.
   * @throws BackupError PROTOCOL_VIOLATION
   */
  addParts(
    job: LocalJob,
    sequence: number,
    parts: Uint8Array,
    last?: { size: number; identity: Uint8Array },
  ): void {
    const context = this.#contexts.get(job);
    const list = asBuffer(parts);
    this.#db.transaction(() => {
      const content = context.contents.get(sequence) ?? this.#open(context, sequence);
      this.#checkParts(context, content, list);
      content.hash.add(list);
      if (list.length > 0) this.#insertSegment.run(content.id, content.segments++, list);
      if (last !== undefined) this.#finish(context, sequence, content, last.size, asBuffer(last.identity));
    })();
  }

  #open(context: JobContext, sequence: number): OpenContent {
    // A client reads a few files at a time: the oldest of so many open lists is one it gave up.
    if (context.contents.size >= MAX_OPEN_CONTENTS)
      this.#abandon(context, context.contents.keys().next().value!);
    const { lastInsertRowid } = this.#insertContent.run(context.pool, context.id);
    const content: OpenContent = {
      id: Number(lastInsertRowid),
      segments: 0,
      size: 0,
      hash: new PartsIdentity(),
      needs: new Map(),
      draws: new Map(),
    };
    context.contents.set(sequence, content);
    return content;
  }

  #checkParts(context: JobContext, content: OpenContent, list: Buffer): void {
    for (let at = 0; at < list.length; at += PART_BYTES) {
      const length = list.readUInt32LE(at);
      const digest = list.subarray(at + 4, at + PART_BYTES);
      const zero = digest.equals(ZERO_DIGEST);
      if (length === 0 || (zero && length > ZERO_MAX_BYTES))
        throw violation("a part of an impossible length");
      if (!zero) {
        const volume = this.#contents.volumeOfChunk(context, digest, length, content.draws);
        if (volume === undefined) throw unknownContent(this.#db, context.id, { digest });
        addNeed(content.needs, volume, 1, length);
      }
      content.size += length;
    }
    if (!Number.isSafeInteger(content.size)) throw violation("a file of impossible size");
  }

  #finish(context: JobContext, sequence: number, content: OpenContent, size: number, identity: Buffer): void {
    context.contents.delete(sequence);
    if (content.size !== size) throw violation(`parts of ${content.size} bytes for a file of ${size}`);
    if (!content.hash.digest().equals(identity)) throw violation("a list of parts with the wrong identity");
    if (context.deduplicate && this.#contents.storedBefore(context, identity)) {
      this.#dropSegments.run(content.id);
      this.#dropContent.run(content.id);
      return;
    }
    this.#nameContent.run(identity, size, content.id);
    this.#needs.remember(content.id, { needs: content.needs, draws: content.draws });
    context.counts.newContent++;
  }

  /** Drops lists of parts that were begun and never ended: files that could not be read to their end. */
  dropUnfinished(context: JobContext): void {
    this.#db.transaction(() => {
      for (const sequence of [...context.contents.keys()]) this.#abandon(context, sequence);
    })();
  }

  #abandon(context: JobContext, sequence: number): void {
    const content = context.contents.get(sequence)!;
    context.contents.delete(sequence);
    this.#dropSegments.run(content.id);
    this.#dropContent.run(content.id);
  }
}
