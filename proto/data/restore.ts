/**
 * Messages of the restore data stream: filed calls storaged (`/basalt.v1.StoragedData/Restore`, raw bytes both ways).
 * filed sends `request` once; storaged streams the plan, in this order:
 *
 *   make*   directories (ascending), symlinks, devices, fifos, empty files: rows without content
 *   data*   frames in volume order, each with the rows and pieces to be cut out of it
 *   finish* rows of files that were written in several pieces: their metadata can be set now
 *   links*  further members of hard link groups; `group` names the member that `data` or `make` made
 *   folders* directories in descending order: their metadata, last of all
 *   end
 *
 * Rows of one kind come in list blocks; `folders` blocks are ascending inside and sent in descending order.
 */

import { DIGEST_BYTES, MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { ByteReader, ByteWriter, GarbledInput } from "../../common/format/varint.js";

export const RestoreKind = {
  request: 1,
  make: 64,
  data: 65,
  finish: 66,
  links: 67,
  folders: 68,
  end: 69,
  /** JobMessage as JSON, for the job's report. */
  message: 70,
} as const;

export interface RestoreRequest {
  protocol: { major: number; minor: number };
  client: string;
  jobUuid: string;
  ticket: string;
}

export interface RestoreEnd {
  /** Entries planned ("Files Expected"). */
  files: number;
  bytes: number;
  /** Entries left out, each told in a `message` before. */
  failed: number;
}

/** Bytes to take out of a frame for one row of the same message. */
export interface Piece {
  /** Index of the row in the message's block. */
  row: number;
  /** Where in the file the bytes belong. */
  fileOffset: number;
  /** Where in the decompressed frame they start. */
  frameOffset: number;
  length: number;
  digest: Buffer;
}

export interface RestoreData {
  /** A row whose `parts` flag is clear is complete with its one piece; others are finished later. */
  rows: Row[];
  pieces: Piece[];
  rawBytes: number;
  /** The zstd frame, verbatim from the volume. */
  frame: Buffer;
}

/** `block` is a list block with the rows that `pieces` refer to. */
export function encodeData(
  block: Buffer,
  pieces: readonly Piece[],
  rawBytes: number,
  frame: Uint8Array,
): Buffer {
  const out = new ByteWriter(64 + block.length + pieces.length * 48 + frame.length);
  out.u8(RestoreKind.data);
  out.uint(rawBytes);
  out.blob(block);
  out.uint(pieces.length);
  for (const piece of pieces) {
    out.uint(piece.row);
    out.uint(piece.fileOffset);
    out.uint(piece.frameOffset);
    out.uint(piece.length);
    out.raw(piece.digest);
  }
  out.raw(frame);
  return out.bytes();
}

/** @throws GarbledInput when a piece points outside the frame or the rows. */
export function decodeData(message: Buffer): RestoreData {
  const reader = new ByteReader(message, 1);
  const rawBytes = reader.uint();
  if (rawBytes > MAX_FRAME_RAW_BYTES) throw new GarbledInput("frame too large");
  const rows = decodeBlock(reader.blob());
  const count = reader.uint();
  const pieces: Piece[] = [];
  for (let i = 0; i < count; i++) {
    const piece: Piece = {
      row: reader.uint(),
      fileOffset: reader.uint(),
      frameOffset: reader.uint(),
      length: reader.uint(),
      digest: reader.raw(DIGEST_BYTES),
    };
    const row = rows[piece.row];
    if (row === undefined || piece.frameOffset + piece.length > rawBytes)
      throw new GarbledInput("piece out of range");
    if (piece.fileOffset + piece.length > row.size)
      throw new GarbledInput("piece beyond the end of its file");
    if ((row.flags & RowFlag.parts) === 0 && piece.length !== row.size)
      throw new GarbledInput("incomplete file");
    pieces.push(piece);
  }
  return { rows, pieces, rawBytes, frame: reader.rest() };
}
