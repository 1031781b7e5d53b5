/** Hands a built plan out of its scratch file: blocks, frames in volume order, and what is lost on the way. */

import { keyToPath } from "../../common/format/path.js";
import { BlockWriter, decodeBlock, readRow } from "../../common/format/row-block.js";
import { ByteReader } from "../../common/format/varint.js";
import { encodeData, type Piece } from "../../proto/data/restore.js";
import type { Db } from "../catalog/schema.js";

export type BlockKind = "make" | "finish" | "links" | "folders";
/** Their numbers in the scratch file. */
export const KINDS: readonly BlockKind[] = ["make", "finish", "links", "folders"];

/** A frame to read and the head of the message it goes into. */
export interface PlannedFrame {
  volume: number;
  offset: number;
  bytes: number;
  head: Buffer;
}

/** Pieces in one message at most; a frame that is wanted more often is sent again. */
const MESSAGE_PIECES = 4096;

/** Frames handed out at once, and bytes of their heads after which there are no more. */
const BATCH_FRAMES = 16;
const BATCH_BYTES = 512 * 1024;

/** The query for the data of a block, by the number of its kind and its own. */
export function findBlock(scratch: Db) {
  return scratch
    .prepare<[number, number], Buffer>("SELECT data FROM block WHERE kind = ? AND seq = ?")
    .pluck();
}

export function bytesOf(key: string): Buffer {
  return Buffer.from(key, "latin1");
}

interface FrameRow {
  volume: number;
  pos: number;
  bytes: number;
  raw_bytes: number;
}

interface PieceRow {
  row: number;
  file_offset: number;
  frame_offset: number;
  length: number;
  digest: Buffer;
  data: Buffer;
}

export class PlanReading {
  readonly #scratch: Db;
  readonly #blockCounts: Readonly<Record<BlockKind, number>>;
  readonly #findFrame;
  readonly #findPieces;
  readonly #findBlock;
  readonly #isLost;
  /** Of the rows of a message; empty between messages. */
  readonly #writer = new BlockWriter({ state: false });
  #frameAt = { volume: -1, pos: -1 };
  #pieceAt = { row: -1, fileOffset: -1 };
  #frame: FrameRow | undefined;
  #anyLost = false;

  constructor(scratch: Db, blockCounts: Readonly<Record<BlockKind, number>>) {
    this.#scratch = scratch;
    this.#blockCounts = blockCounts;
    this.#findFrame = scratch.prepare<[number, number], FrameRow>(
      "SELECT * FROM frame WHERE (volume, pos) > (?, ?) ORDER BY volume, pos LIMIT 1",
    );
    this.#findPieces = scratch.prepare<[number, number, number, number], PieceRow>(
      `SELECT p.row, p.file_offset, p.frame_offset, p.length, p.digest,
         coalesce(p.data, r.data) AS data
       FROM piece p LEFT JOIN row r ON p.data IS NULL AND r.id = p.row
       WHERE p.volume = ? AND p.pos = ? AND (p.row, p.file_offset) > (?, ?) AND coalesce(p.data, r.data) IS NOT NULL
       ORDER BY p.row, p.file_offset LIMIT ${MESSAGE_PIECES}`,
    );
    this.#findBlock = findBlock(scratch);
    this.#isLost = scratch.prepare<[Buffer], number>("SELECT 1 FROM lost WHERE key = ?").pluck();
  }

  /** Paths of entries whose content is nowhere, from number `after` on. */
  unplaced(after: number): { id: number; path: string }[] {
    const query = "SELECT id, path FROM unplaced WHERE id > ? ORDER BY id LIMIT 500";
    return this.#scratch.prepare<[number], { id: number; path: string }>(query).all(after);
  }

  blockCount(kind: BlockKind): number {
    return this.#blockCounts[kind];
  }

  /** A block as it is to be sent, without what was lost on the way; undefined when nothing of it is left. */
  block(kind: BlockKind, seq: number): Buffer | undefined {
    const data = this.#findBlock.get(KINDS.indexOf(kind), seq);
    return data === undefined || !this.#anyLost || kind === "make" || kind === "folders"
      ? data
      : this.#without(data);
  }

  /** The next few frames, so that the threads need not talk about each; none at the end. */
  nextFrames(): PlannedFrame[] {
    const frames: PlannedFrame[] = [];
    for (let bytes = 0; frames.length < BATCH_FRAMES && bytes < BATCH_BYTES; ) {
      const frame = this.nextFrame();
      if (frame === undefined) break;
      bytes += frame.head.length;
      frames.push(frame);
    }
    return frames;
  }

  /** The next frame in volume order; the same one again when more wants it than fits in a message. */
  nextFrame(): PlannedFrame | undefined {
    for (;;) {
      this.#frame ??= this.#followingFrame();
      const frame = this.#frame;
      if (frame === undefined) return undefined;
      const head = this.#message(frame);
      if (head !== undefined) return { volume: frame.volume, offset: frame.pos, bytes: frame.bytes, head };
      this.#frame = undefined;
      this.#pieceAt = { row: -1, fileOffset: -1 };
    }
  }

  #followingFrame(): FrameRow | undefined {
    const { volume, pos } = this.#frameAt;
    const found = this.#findFrame.get(volume, pos);
    if (found !== undefined) this.#frameAt = { volume: found.volume, pos: found.pos };
    return found;
  }

  #message(frame: FrameRow): Buffer | undefined {
    const { row: after, fileOffset: afterOffset } = this.#pieceAt;
    const found = this.#findPieces.all(frame.volume, frame.pos, after, afterOffset);
    const last = found.at(-1);
    if (last === undefined) return undefined;
    this.#pieceAt = { row: last.row, fileOffset: last.file_offset };
    const writer = this.#writer;
    const pieces: Piece[] = [];
    let row = -1;
    for (const piece of found) {
      if (piece.row !== row) writer.addWritten(piece.data);
      row = piece.row;
      const { file_offset: fileOffset, frame_offset: frameOffset, length, digest } = piece;
      pieces.push({ row: writer.rows - 1, fileOffset, frameOffset, length, digest });
    }
    return encodeData(writer.finishInPlace(), pieces, frame.raw_bytes, Buffer.alloc(0));
  }

  /** A frame cannot be read: what it holds is lost for this restore. Returns the paths not named before. */
  lose(volume: number, pos: number): string[] {
    this.#anyLost = true;
    const paths: string[] = [];
    const insert = this.#scratch.prepare("INSERT OR IGNORE INTO lost VALUES (?)");
    for (let at = { row: -1, file_offset: -1 }; ; ) {
      const found = this.#findPieces.all(volume, pos, at.row, at.file_offset);
      for (const { data } of found) {
        const { key } = readRow(new ByteReader(data), "", false);
        if (insert.run(bytesOf(key)).changes > 0) paths.push(keyToPath(key));
      }
      if (found.length < MESSAGE_PIECES) return paths;
      at = found.at(-1)!;
    }
  }

  #without(block: Buffer): Buffer | undefined {
    const writer = new BlockWriter({ state: false });
    for (const row of decodeBlock(block)) {
      const leader = row.group ?? row.key;
      const lost = [row.key, leader].some((key) => this.#isLost.get(bytesOf(key)) !== undefined);
      if (!lost) writer.add(row);
    }
    return writer.rows === 0 ? undefined : writer.finish();
  }

  /** Links that cannot be made because the file they belong to was lost. */
  lostLinks(seq: number): string[] {
    const data = this.#findBlock.get(KINDS.indexOf("links"), seq);
    if (!this.#anyLost || data === undefined) return [];
    const gone = decodeBlock(data).filter((row) => this.#isLost.get(bytesOf(row.group ?? "")) !== undefined);
    return gone.map((row) => keyToPath(row.key));
  }
}
