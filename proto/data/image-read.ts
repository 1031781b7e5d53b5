/**
 * Messages of a restore of files that lie in disk images: filed reads in the images of the job, anywhere, and storaged answers
 * with blocks. The stream is that of a restore (`/basalt.v1.StoragedData/Restore`), begun with its `request`:
 *
 *   images  storaged, once: the images that may be read, and no other
 *   read    filed: bytes of one of them; answered in the order of asking
 *   blocks  storaged: blocks of that image in a frame of their own, also such that lie near the wanted ones
 *   zeros   storaged: ranges of the image that are zeros
 *   done    storaged: all of a read was sent, or why not
 *
 * filed ends the stream when it needs no more.
 */
import { DIGEST_BYTES, MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { ByteReader, ByteWriter, GarbledInput } from "../../common/format/varint.js";

export const ImageKind = {
  read: 2,
  images: 71,
  blocks: 72,
  zeros: 73,
  done: 74,
} as const;

export interface ReadableImage {
  /** As latin1 carrier. */
  path: string;
  /** Bytes. */
  size: number;
}

/** Most that one `read` may want. */
export const MAX_READ_BYTES = 4 * 1024 * 1024;

export interface ImageRead {
  /** Place in `images`. */
  image: number;
  offset: number;
  length: number;
}

export interface ImageBlock {
  /** In the image. */
  offset: number;
  /** In the decompressed frame. */
  frameOffset: number;
  length: number;
  digest: Buffer;
}

export interface ImageRange {
  offset: number;
  length: number;
}

export interface ImageBlocks {
  blocks: ImageBlock[];
  rawBytes: number;
  /** zstd; the blocks, one behind the other. */
  frame: Buffer;
}

export function encodeRead({ image, offset, length }: ImageRead): Buffer {
  const out = new ByteWriter(32);
  out.u8(ImageKind.read);
  out.uint(image);
  out.uint(offset);
  out.uint(length);
  return Buffer.from(out.bytes());
}

/** @throws GarbledInput */
export function decodeRead(message: Buffer): ImageRead {
  if (message[0] !== ImageKind.read) throw new GarbledInput("no read");
  const reader = new ByteReader(message, 1);
  const read = { image: reader.uint(), offset: reader.uint(), length: reader.uint() };
  if (!reader.done) throw new GarbledInput("bytes after a read");
  if (read.length === 0 || read.length > MAX_READ_BYTES)
    throw new GarbledInput("a read of impossible length");
  return read;
}

export function encodeBlocks(blocks: readonly ImageBlock[], rawBytes: number, frame: Uint8Array): Buffer {
  const out = new ByteWriter(32 + blocks.length * 48 + frame.length);
  out.u8(ImageKind.blocks);
  out.uint(rawBytes);
  out.uint(blocks.length);
  for (const { offset, frameOffset, length, digest } of blocks) {
    out.uint(offset);
    out.uint(frameOffset);
    out.uint(length);
    out.raw(digest);
  }
  out.raw(frame);
  return Buffer.from(out.bytes());
}

/** @throws GarbledInput also when a block lies outside its frame */
export function decodeBlocks(message: Buffer): ImageBlocks {
  const reader = new ByteReader(message, 1);
  const rawBytes = reader.uint();
  if (rawBytes > MAX_FRAME_RAW_BYTES) throw new GarbledInput("frame too large");
  const count = reader.uint();
  const blocks: ImageBlock[] = [];
  for (let i = 0; i < count; i++) {
    const [offset, frameOffset, length] = [reader.uint(), reader.uint(), reader.uint()];
    if (length === 0 || frameOffset + length > rawBytes) throw new GarbledInput("block outside its frame");
    blocks.push({ offset, frameOffset, length, digest: reader.raw(DIGEST_BYTES) });
  }
  return { blocks, rawBytes, frame: reader.rest() };
}

export function encodeZeros(ranges: readonly ImageRange[]): Buffer {
  const out = new ByteWriter(16 + ranges.length * 12);
  out.u8(ImageKind.zeros);
  out.uint(ranges.length);
  for (const { offset, length } of ranges) {
    out.uint(offset);
    out.uint(length);
  }
  return Buffer.from(out.bytes());
}

/** @throws GarbledInput */
export function decodeZeros(message: Buffer): ImageRange[] {
  const reader = new ByteReader(message, 1);
  const count = reader.uint();
  const ranges: ImageRange[] = [];
  for (let i = 0; i < count; i++) ranges.push({ offset: reader.uint(), length: reader.uint() });
  return ranges;
}

/** `trouble`: why the read failed; "" when it did not. */
export function encodeDone(trouble: string): Buffer {
  return Buffer.concat([Buffer.of(ImageKind.done), Buffer.from(trouble, "utf8")]);
}

export function decodeDone(message: Buffer): string {
  return message.toString("utf8", 1);
}
