/**
 * Hostile input for every reader of volumes: samples that are good, changed at random in ways that reach deep. A reader
 * may refuse what it gets with GarbledInput or a BackupError; anything else, a hang or memory without bound is a defect.
 */
import { crc32 } from "node:zlib";
import { BackupError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { Random } from "../../test/helpers/random.js";
import type { Store, StoreFile } from "../store/store.js";

/** A reader with good samples of what it reads. */
export interface FuzzTarget {
  name: string;
  samples: Buffer[];
  read: FuzzedReader;
  /** Makes checksums right after a change, so that more than them is tried. */
  seal?: (bytes: Buffer) => Buffer;
  /** A whole volume: some hundred times slower than the others. */
  slow: boolean;
}

/** Beyond what the process has already: a reader that believes a length takes gigabytes. */
const MOST_MEMORY = 600 * 1024 * 1024;

/** The seed in BASALT_SEED, to run a failure again, or a new one. */
export function seedOf(env: NodeJS.ProcessEnv): number {
  return Number(env.BASALT_SEED ?? Date.now() % 1_000_000_000);
}

/** Feeds a reader changed samples. @throws Error naming seed and round of the first broken promise */
export async function fuzz(target: FuzzTarget, seed: number, rounds: number): Promise<void> {
  const { name, samples, read, seal } = target;
  const before = process.memoryUsage().rss;
  const random = new Random(seed);
  for (let round = 0; round < rounds; round++) {
    const changed = mutate(random, samples);
    const bytes = seal !== undefined && random.below(4) > 0 ? seal(changed) : changed;
    await feed(read, bytes, `${name}, seed ${seed}, round ${round}`);
    if (process.memoryUsage.rss() - before > MOST_MEMORY)
      throw new Error(`${name}, seed ${seed}, round ${round}: memory grows without bound`);
  }
}

/** A reader under test: gets bytes, and resolves or throws. */
export type FuzzedReader = (bytes: Buffer) => unknown;

/** Runs a reader once. @throws Error naming `what` and the input when the reader breaks its promise */
export async function feed(read: FuzzedReader, bytes: Buffer, what: string): Promise<"read" | "refused"> {
  try {
    await read(bytes);
    return "read";
  } catch (error) {
    if (error instanceof GarbledInput || error instanceof BackupError) return "refused";
    const input = bytes.length <= 4096 ? bytes.toString("hex") : `${bytes.length} bytes`;
    throw new Error(`${what}: ${String(error)} for ${input}`, { cause: error });
  }
}

/** Integers at the edges of what fits somewhere. */
const HOSTILE = [
  "00",
  "01",
  "7f",
  "80",
  "ff",
  "ffff",
  "ffffff7f",
  "ffffffff",
  "00000080",
  "ffffffffffffff0f",
  "ffffffffffffff7f",
  "ffffffffffffffffff01",
  "5b2a4d18",
  "28b52ffd",
].map((hex) => Buffer.from(hex, "hex"));

/** Text that means something to a reader. */
const WORDS = [
  "-1",
  "1e999",
  "9007199254740993",
  "9007199254740991",
  "null",
  "[]",
  "{}",
  '"',
  "\\",
  "..",
  "/",
  "\n",
  "\t",
  "job",
  "\\0",
];

/** A changed copy of one of the samples: one to four changes. */
export function mutate(random: Random, samples: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(samples[random.below(samples.length)]!);
  for (let left = 1 + random.below(4); left > 0; left--) bytes = change(random, bytes, samples);
  return bytes;
}

function change(random: Random, bytes: Buffer, samples: readonly Buffer[]): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const length = random.below(Math.min(64, bytes.length - at) + 1);
  const put = (piece: Uint8Array, over: number): Buffer<ArrayBuffer> =>
    Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(Math.min(bytes.length, at + over))]);
  switch (random.below(8)) {
    case 0:
    case 1: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at]! ^= 1 << random.below(8);
      return flipped;
    }
    case 2:
      return Buffer.from(bytes.subarray(0, at));
    case 3:
      return put(new Uint8Array(0), length);
    case 4:
      return put(bytes.subarray(at, at + length), 0);
    case 5: {
      const other = samples[random.below(samples.length)]!;
      const from = random.below(other.length + 1);
      return put(other.subarray(from, from + random.below(256)), random.below(2) * length);
    }
    case 6: {
      const value = HOSTILE[random.below(HOSTILE.length)]!;
      return put(value, value.length);
    }
    default: {
      const word = Buffer.from(WORDS[random.below(WORDS.length)]!);
      return put(word, random.below(2) * word.length);
    }
  }
}

/** Makes the checksums of all records right again, so that what is behind them is reached. */
export function sealRecords(volume: Buffer): Buffer {
  const bytes = Buffer.from(volume);
  const magic = Buffer.from("5b2a4d18", "hex");
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 4)) {
    if (at + 8 > bytes.length) break;
    const end = at + 8 + bytes.readUInt32LE(at + 4);
    if (end > bytes.length || end < at + 12) continue;
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, end - 4)), end - 4);
  }
  return bytes;
}

/** Makes the checksums of all tar headers right again. */
export function sealHeaders(raw: Buffer): Buffer {
  const bytes = Buffer.from(raw);
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.latin1Slice(at + 257, at + 262) !== "ustar") continue;
    bytes.latin1Write("        ", at + 148);
    let sum = 0;
    for (let i = at; i < at + 512; i++) sum += bytes[i]!;
    bytes.latin1Write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148);
  }
  return bytes;
}

/** Bytes as a store with files under any name; counts what is read of them. Nothing can be written. */
export class BytesStore implements Store {
  readonly #files: ReadonlyMap<string, Buffer>;
  bytesRead = 0;

  constructor(files: ReadonlyMap<string, Buffer>) {
    this.#files = files;
  }

  async open(path: string): Promise<StoreFile> {
    const bytes = this.#files.get(path);
    if (bytes === undefined) throw new BackupError("STORE_NOT_FOUND", `no ${path}`);
    const refuse = () => Promise.reject(new BackupError("STORE_DENIED", "read only"));
    return {
      path,
      size: bytes.length,
      append: refuse,
      sync: refuse,
      truncate: refuse,
      close: async () => undefined,
      readAt: async (into, position) => {
        const count = bytes.copy(into, 0, Math.min(position, bytes.length));
        this.bytesRead += count;
        return count;
      },
    };
  }

  create = (): Promise<StoreFile> => this.#refuse();
  rename = (): Promise<void> => this.#refuse();
  unlink = (): Promise<void> => this.#refuse();
  syncDirectory = (): Promise<void> => this.#refuse();

  async stat(path: string): Promise<{ sizeBytes: number; mtimeMs: number } | undefined> {
    const bytes = this.#files.get(path);
    return bytes === undefined ? undefined : { sizeBytes: bytes.length, mtimeMs: 0 };
  }

  async list(): Promise<string[]> {
    return [...this.#files.keys()];
  }

  #refuse(): Promise<never> {
    return Promise.reject(new BackupError("STORE_DENIED", "read only"));
  }
}
