/** Contents of files of a mounted tree, as the data messages of a restore: small files together, large ones in pieces. */
import { readSync } from "node:fs";
import { contentDigest, MAX_WHOLE_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { type Row, RowFlag } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { Compressor } from "../../common/format/zstd.js";
import { closeFd, nextData, nextHole } from "../../common/sys/files.js";
import { O_NOFOLLOW } from "../../common/sys/native.js";
import { encodeData, type Piece } from "../../proto/data/restore.js";
import { O_NONBLOCK, openQuietly } from "../sys/stat.js";
import type { WalkEntry } from "../walk/event.js";

/** Of a large file in one message. */
const PIECE_BYTES = MAX_WHOLE_BYTES;

export class ContentMessages {
  readonly #compressor = new Compressor(1);
  readonly #writer = new BlockWriter({ state: false });
  readonly #buffer = Buffer.allocUnsafeSlow(MAX_WHOLE_BYTES);
  #pieces: Piece[] = [];
  #used = 0;

  /**
   * Messages that are due with one more file. `row` gets what its content makes of it (parts or not); rows must come in path
   * order. When reading fails, nothing of a small file was given out; a large one's last message then is one that makes the
   * restore drop it.
   * @throws SysError, the system's error
   */
  *add(entry: WalkEntry, row: Row): Generator<Buffer> {
    if (row.size > PIECE_BYTES) {
      yield* this.flush();
      yield* this.#large(entry, row);
      return;
    }
    if (this.#used + row.size > this.#buffer.length || this.#writer.full) yield* this.flush();
    const bytes = this.#buffer.subarray(this.#used, this.#used + row.size);
    const fd = openFile(entry);
    try {
      readFully(fd, bytes, 0);
    } finally {
      closeFd(fd);
    }
    row.content = contentDigest(bytes);
    const piece = { row: this.#writer.rows, fileOffset: 0, frameOffset: this.#used };
    this.#pieces.push({ ...piece, length: row.size, digest: row.content });
    this.#writer.add(row);
    this.#used += row.size;
  }

  /** What waits for more to go with it. */
  *flush(): Generator<Buffer> {
    if (this.#pieces.length === 0) return;
    yield this.#message(this.#pieces, this.#used);
    this.#pieces = [];
    this.#used = 0;
  }

  *#large(entry: WalkEntry, row: Row): Generator<Buffer> {
    row.flags |= RowFlag.parts;
    // Its pieces are what is compared; nobody asks for the identity of the whole.
    row.content = ZERO_DIGEST;
    let fd = -1;
    try {
      fd = openFile(entry);
      for (const { offset, length } of stretches(fd, row)) {
        const bytes = this.#buffer.subarray(0, length);
        readFully(fd, bytes, offset);
        yield this.#one(row, {
          row: 0,
          fileOffset: offset,
          frameOffset: 0,
          length,
          digest: contentDigest(bytes),
        });
      }
    } catch (error) {
      yield this.#one(row, { row: 0, fileOffset: 0, frameOffset: 0, length: 0, digest: ZERO_DIGEST });
      throw error;
    } finally {
      if (fd >= 0) closeFd(fd);
    }
  }

  #one(row: Row, piece: Piece): Buffer {
    this.#writer.add(row);
    return this.#message([piece], piece.length);
  }

  #message(pieces: readonly Piece[], bytes: number): Buffer {
    const frame = this.#compressor.compress(this.#buffer.subarray(0, bytes));
    return encodeData(this.#writer.finish(), pieces, bytes, frame);
  }
}

function openFile({ dir, name }: WalkEntry): number {
  return openQuietly(dir.fd, name, O_NOFOLLOW | O_NONBLOCK);
}

function readFully(fd: number, into: Buffer, offset: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, offset + done);
    if (count === 0) throw new Error("it ends before its length: its file system is damaged");
    done += count;
  }
}

/** What is to be read, in aligned pieces; the holes of a file that has some are left out. */
function* stretches(fd: number, { size, flags }: Row): Generator<{ offset: number; length: number }> {
  const sparse = (flags & RowFlag.sparse) !== 0;
  for (let at = 0; at < size; ) {
    const start = sparse ? nextData(fd, at) : at;
    if (start < 0 || start >= size) return;
    const hole = sparse ? nextHole(fd, start) : size;
    const end = hole < 0 ? size : Math.min(hole, size);
    for (at = start; at < end; ) {
      const length = Math.min(end, at - (at % PIECE_BYTES) + PIECE_BYTES) - at;
      yield { offset: at, length };
      at += length;
    }
  }
}
