/**
 * The outside of a zstd frame (RFC 8878, section 3.1.1), read without decompressing: where it ends and what it
 * asks of a reader. zstd's own one-shot call takes any number of frames, skippable ones included, so a frame
 * from a peer must be shown to be exactly one.
 */
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { ZSTD_MAGIC } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import { compressBound } from "../../common/format/zstd.js";

/** Most compressed bytes of one frame that a reader accepts. */
export const MAX_FRAME_BYTES = compressBound(MAX_FRAME_RAW_BYTES);

const MAX_BLOCK_BYTES = 128 * 1024;

export interface ZstdFrameInfo {
  /** Bytes of the whole frame. */
  length: number;
  /** Raw bytes as its header says. */
  contentBytes: number;
}

/** @throws GarbledInput unless `bytes` is exactly one frame of format 1 with `rawBytes` of content. */
export function checkZstdFrame(bytes: Uint8Array, rawBytes: number): void {
  const info = zstdFrameInfo(bytes);
  if (info.length !== bytes.length)
    throw new GarbledInput(`${bytes.length - info.length} bytes behind the zstd frame`);
  if (info.contentBytes !== rawBytes) {
    throw new GarbledInput(`zstd frame holds ${info.contentBytes} bytes, not ${rawBytes}`);
  }
}

/** Size of the frame at the start of `bytes`. @throws GarbledInput */
export function zstdFrameInfo(bytes: Uint8Array): ZstdFrameInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 9 || view.getUint32(0, true) !== ZSTD_MAGIC) throw new GarbledInput("no zstd frame");
  const { contentBytes, headerBytes } = readHeader(view);
  let at = headerBytes;
  for (;;) {
    if (at + 3 > bytes.length) throw new GarbledInput("zstd frame ends early");
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3 || size > MAX_BLOCK_BYTES) throw new GarbledInput("zstd frame with a bad block");
    // A run-length block has one byte, whatever its size says.
    at += 3 + (type === 1 ? 1 : size);
    if ((header & 1) !== 0) break;
  }
  at += 4;
  if (at > bytes.length) throw new GarbledInput("zstd frame ends early");
  return { length: at, contentBytes };
}

function readHeader(view: DataView): { contentBytes: number; headerBytes: number } {
  const descriptor = view.getUint8(4);
  const sizeFlag = descriptor >> 6;
  const singleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x18) !== 0) throw new GarbledInput("zstd frame with reserved bits");
  if ((descriptor & 3) !== 0) throw new GarbledInput("zstd frame needs a dictionary");
  if ((descriptor & 4) === 0) throw new GarbledInput("zstd frame without checksum");
  if (!singleSegment && sizeFlag === 0) throw new GarbledInput("zstd frame without content size");
  if (!singleSegment) {
    const window = view.getUint8(5);
    const base = 2 ** (10 + (window >> 3));
    // `zstd -d` and tar refuse large windows; nobody needs one larger than a frame.
    if (base + (base / 8) * (window & 7) > MAX_FRAME_RAW_BYTES)
      throw new GarbledInput("zstd window too large");
  }
  const at = singleSegment ? 5 : 6;
  const sizeBytes = [1, 2, 4, 8][sizeFlag]!;
  if (at + sizeBytes > view.byteLength) throw new GarbledInput("zstd frame ends early");
  let contentBytes: number;
  if (sizeFlag === 0) contentBytes = view.getUint8(at);
  else if (sizeFlag === 1) contentBytes = view.getUint16(at, true) + 256;
  else if (sizeFlag === 2) contentBytes = view.getUint32(at, true);
  else contentBytes = Number(view.getBigUint64(at, true));
  if (contentBytes > MAX_FRAME_RAW_BYTES) throw new GarbledInput("frame too large");
  return { contentBytes, headerBytes: at + sizeBytes };
}
