/** Worker side: content that came for an entry, checked before it is written. */
import { EntryType, type Row } from "../../common/format/row.js";
import type { Piece } from "../../proto/data/restore.js";
import { EntryError } from "./target.js";
import { checkPiece, type Stretch } from "./write.js";

/**
 * What is to be written: pieces that lie side by side in the frame and in the file are one stretch, for a large write
 * costs the kernel a fraction of many small ones.
 * @throws EntryError when they are not what was backed up
 */
export function verified(row: Row, pieces: readonly Piece[], raw: Buffer | string): Stretch[] {
  if (row.type !== EntryType.file || row.key === "") throw new EntryError("content for what is no file");
  if (typeof raw === "string") throw new EntryError(`its data on the volume is damaged (${raw})`);
  const stretches: Stretch[] = [];
  let from = 0;
  pieces.forEach((piece, index) => {
    const end = piece.frameOffset + piece.length;
    checkPiece(raw.subarray(piece.frameOffset, end), piece);
    const next = pieces[index + 1];
    if (next?.frameOffset === end && next.fileOffset === piece.fileOffset + piece.length) return;
    const first = pieces[from]!;
    stretches.push({ fileOffset: first.fileOffset, bytes: raw.subarray(first.frameOffset, end) });
    from = index + 1;
  });
  return stretches;
}
