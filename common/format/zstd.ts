/**
 * zstd through zstd-napi's low-level binding: one-shot calls into caller-owned buffers with reused contexts.
 * A context belongs to the thread that made it.
 */
import { createRequire } from "node:module";
import { GarbledInput } from "./varint.js";

interface NativeCompressor {
  setParameter(parameter: number, value: number): void;
  compress2(dst: Uint8Array, src: Uint8Array): number;
}
interface NativeDecompressor {
  setParameter(parameter: number, value: number): void;
  decompress(dst: Uint8Array, src: Uint8Array): number;
}
interface Binding {
  CCtx: new () => NativeCompressor;
  DCtx: new () => NativeDecompressor;
  CParameter: Record<string, number>;
  compressBound(bytes: number): number;
}
const binding = createRequire(import.meta.url)("zstd-napi/binding.js") as Binding;

/** Bytes that compressing `bytes` may need at worst. */
export function compressBound(bytes: number): number {
  return binding.compressBound(bytes);
}

/** A compression context of one level with zstd's content checksum on. */
export class Compressor {
  readonly #context = new binding.CCtx();

  constructor(level: number) {
    this.#context.setParameter(binding.CParameter.compressionLevel!, level);
    this.#context.setParameter(binding.CParameter.checksumFlag!, 1);
  }

  /** Compresses `src` into `dst` as one frame; returns its length. `dst` needs compressBound(src.length) bytes. */
  into(dst: Uint8Array, src: Uint8Array): number {
    return this.#context.compress2(dst, src);
  }

  compress(src: Uint8Array): Buffer {
    const dst = Buffer.allocUnsafeSlow(compressBound(src.length));
    const length = this.into(dst, src);
    return length * 2 < dst.length ? Buffer.from(dst.subarray(0, length)) : dst.subarray(0, length);
  }
}

/** ZSTD_d_forceIgnoreChecksum of zstd.h ("advanced decompression API"), which the binding has no name for. */
const FORCE_IGNORE_CHECKSUM = 1002;
const decompressor = new binding.DCtx();
let quick: NativeDecompressor | undefined;

/**
 * Decompresses one frame into `dst`, whose length must be the exact raw length.
 * @throws GarbledInput when the frame is damaged or has another length.
 */
export function decompressInto(dst: Uint8Array, frame: Uint8Array): void {
  decompress(decompressor, dst, frame);
}

/**
 * The same without a look at the frame's own checksum, a tenth faster: for callers that compare the digest of everything
 * they take out of it.
 * @throws GarbledInput
 */
export function decompressUnchecked(dst: Uint8Array, frame: Uint8Array): void {
  quick ??= new binding.DCtx();
  // Set each time: a context is set back by an error.
  quick.setParameter(FORCE_IGNORE_CHECKSUM, 1);
  decompress(quick, dst, frame);
}

function decompress(context: NativeDecompressor, dst: Uint8Array, frame: Uint8Array): void {
  let length: number;
  try {
    length = context.decompress(dst, frame);
  } catch (cause) {
    throw new GarbledInput(`zstd frame does not decompress: ${(cause as Error).message}`);
  }
  if (length !== dst.length) throw new GarbledInput(`zstd frame holds ${length} bytes, not ${dst.length}`);
}
