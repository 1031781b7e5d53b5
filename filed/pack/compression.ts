/** Which zstd level a frame gets. Everything is zstd, stored bytes too, so that a volume stays one .tar.zst. */
import { Compressor, compressBound } from "../../common/format/zstd.js";
import type { Compression } from "./task.js";

/** So negative that zstd looks for nothing: bytes are stored at memory speed. */
const STORE_LEVEL = -10_000;
/** About lz4's speed and ratio. */
const FAST_LEVEL = -5;
const AUTO_LEVEL = 1;
/** Stands for `auto` among level numbers. */
const AUTO_CODE = 100;

export function levelCode(compression: Compression): number {
  if (compression === "auto") return AUTO_CODE;
  if (compression === "none") return STORE_LEVEL;
  return compression === "fast" ? FAST_LEVEL : compression;
}

const contexts = new Map<number, Compressor>();

function context(level: number): Compressor {
  let found = contexts.get(level);
  if (found === undefined) {
    found = new Compressor(level);
    contexts.set(level, found);
  }
  return found;
}

/** Compresses by a code of levelCode; `into` needs compressBound(raw.length) bytes. Returns the length. */
export function compressFrame(into: Uint8Array, raw: Uint8Array, code: number): number {
  const level = code === AUTO_CODE ? (looksIncompressible(raw) ? STORE_LEVEL : AUTO_LEVEL) : code;
  return context(level).into(into, raw);
}

const HISTOGRAM_SAMPLES = 2048;
const histogram = new Uint16Array(256);
const SAMPLE_BYTES = 8192;
const SAMPLES = 4;
const sampleOut = Buffer.allocUnsafeSlow(compressBound(SAMPLE_BYTES));

/**
 * True when compressing would save next to nothing: jpeg, video, archives, encrypted data. Two sieves: bytes picked
 * all over `raw` are as evenly distributed as random ones (a few microseconds, and nearly all text, code and
 * tables end there), then samples really do not get shorter.
 */
export function looksIncompressible(raw: Uint8Array): boolean {
  if (raw.length < SAMPLES * SAMPLE_BYTES) return false;
  histogram.fill(0);
  const step = Math.floor(raw.length / HISTOGRAM_SAMPLES);
  for (let i = 0, at = 0; i < HISTOGRAM_SAMPLES; i++, at += step) histogram[raw[at]!]!++;
  let squares = 0;
  for (let i = 0; i < 256; i++) squares += histogram[i]! * histogram[i]!;
  // Random bytes: n + n(n-1)/256 = 18,424 on average.
  if (squares > 26_000) return false;
  let packed = 0;
  const stride = Math.floor((raw.length - SAMPLE_BYTES) / (SAMPLES - 1));
  for (let i = 0; i < SAMPLES; i++) {
    packed += context(FAST_LEVEL).into(sampleOut, raw.subarray(i * stride, i * stride + SAMPLE_BYTES));
  }
  return packed > SAMPLES * SAMPLE_BYTES * 0.97;
}
