/** What a storage daemon sends of a disk image, put together to whole cells. */
import { GarbledInput } from "../../common/format/varint.js";
import { MAX_READ_BYTES } from "../../proto/data/image-read.js";
import { CELL_BYTES, ZERO_CELL } from "./cell-cache.js";

/** Most that one read may want. */
export const MAX_CELLS = MAX_READ_BYTES / CELL_BYTES;

/** Bytes of an image that came. */
export interface Piece {
  offset: number;
  length: number;
  /** Undefined: zeros. */
  bytes: Buffer | undefined;
}

/**
 * Whole cells made of pieces, up to some behind `last`. Zeros may reach across terabytes: only cells near the others are made of them.
 * @throws GarbledInput for pieces outside the image
 */
export function cellsOf(pieces: readonly Piece[], size: number, last: number): Map<number, Buffer> {
  const parts = new Map<number, { bytes: Buffer | undefined; have: number }>();
  const most = last + MAX_CELLS;
  for (const { offset, length, bytes } of pieces) {
    if (offset + length > size) throw new GarbledInput("a block outside of its image");
    const end = Math.min(offset + length, (most + 1) * CELL_BYTES);
    const start = bytes === undefined ? Math.max(offset, (last - 2 * MAX_CELLS) * CELL_BYTES) : offset;
    for (let at = start; at < end; ) {
      const cell = Math.floor(at / CELL_BYTES);
      const until = Math.min(end, (cell + 1) * CELL_BYTES);
      const part = parts.get(cell) ?? { bytes: undefined, have: 0 };
      parts.set(cell, part);
      part.have += until - at;
      if (bytes !== undefined) {
        part.bytes ??= Buffer.alloc(CELL_BYTES);
        bytes.copy(part.bytes, at - cell * CELL_BYTES, at - offset, until - offset);
      }
      at = until;
    }
  }
  const cells = new Map<number, Buffer>();
  for (const [cell, { bytes, have }] of parts) {
    const length = Math.min(CELL_BYTES, size - cell * CELL_BYTES);
    if (have === length) cells.set(cell, (bytes ?? ZERO_CELL).subarray(0, length));
  }
  return cells;
}
