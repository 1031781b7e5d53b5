/** The content of single files, read out of volumes as a restore would, piece by piece. */

import { contentDigest, MAX_FRAME_RAW_BYTES, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { type Row, RowFlag } from "../../common/format/row.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decompressInto } from "../../common/format/zstd.js";
import type { Db } from "../catalog/schema.js";
import { type ChunkPlace, ContentPlaces } from "../session/content-places.js";
import type { Script } from "./steps.js";

/** Frames kept decompressed: files of one directory lie in few. */
const FRAMES_KEPT = 4;
const ZEROS = Buffer.alloc(65_536);
const NOWHERE = "its content is on no volume of this storage";

export class SmallFiles {
  readonly #places: ContentPlaces;
  readonly #frames: { volume: number; pos: number; raw: Buffer }[] = [];

  constructor(db: Db) {
    this.#places = new ContentPlaces(db);
  }

  /**
   * `onPiece` hears the content of a file in order; a piece counts until the call returns. Gives the reason why the
   * rest cannot be read.
   */
  *read(row: Row, onPiece: (piece: Buffer) => void): Script<string | undefined> {
    if (row.content === undefined) return undefined;
    if ((row.flags & RowFlag.parts) === 0) return yield* this.#chunk(row.content, row.size, onPiece);
    const list = this.#places.listOf(row.content, row.size);
    if (list === undefined) return NOWHERE;
    for (const segment of this.#places.parts(list)) {
      for (let at = 0; at + PART_BYTES <= segment.length; at += PART_BYTES) {
        const length = segment.readUInt32LE(at);
        const digest = segment.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST)) {
          const why = yield* this.#chunk(digest, length, onPiece);
          if (why !== undefined) return why;
          continue;
        }
        for (let left = length; left > 0; left -= ZEROS.length) onPiece(ZEROS.subarray(0, left));
      }
    }
    return undefined;
  }

  *#chunk(digest: Buffer, length: number, onPiece: (piece: Buffer) => void): Script<string | undefined> {
    let why = NOWHERE;
    for (const place of this.#places.chunks(digest, length)) {
      const raw = yield* this.#frame(place);
      if (typeof raw === "string") {
        why = raw;
        continue;
      }
      const piece = raw.subarray(place.offset, place.offset + length);
      if (contentDigest(piece).equals(digest)) {
        onPiece(piece);
        return undefined;
      }
      why = `its content on Volume "${this.#places.volumeName(place.volume)}" is damaged`;
    }
    return why;
  }

  /** A frame decompressed; a text says why it cannot be. */
  *#frame({ volume, pos, bytes, rawBytes }: ChunkPlace): Script<Buffer | string> {
    const known = this.#frames.find((frame) => frame.volume === volume && frame.pos === pos);
    if (known !== undefined) return known.raw;
    const reply = yield { ask: "read", volume, offset: pos, bytes };
    if (reply === undefined) throw new RangeError("a read was not answered");
    if (!(reply instanceof Uint8Array)) return reply.error;
    const raw = Buffer.allocUnsafeSlow(Math.min(rawBytes, MAX_FRAME_RAW_BYTES));
    try {
      decompressInto(raw, reply);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      return `a frame on Volume "${this.#places.volumeName(volume)}" is damaged: ${error.message}`;
    }
    this.#frames.push({ volume, pos, raw });
    if (this.#frames.length > FRAMES_KEPT) this.#frames.shift();
    return raw;
  }
}
