/**
 * filed's end of reading in disk images that lie at a storage daemon: any bytes of any of them, every block compared with its
 * digest, the ones used last kept.
 */
import { BackupError, describeError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decompressUnchecked } from "../../common/format/zstd.js";
import { decodeJson, type JobMessage } from "../../proto/data/backup.js";
import {
  decodeBlocks,
  decodeDone,
  decodeZeros,
  encodeRead,
  ImageKind,
  type ReadableImage,
} from "../../proto/data/image-read.js";
import { RestoreKind } from "../../proto/data/restore.js";
import type { DataStream } from "../../proto/rpc.js";
import { CELL_BYTES, CellCache } from "./cell-cache.js";
import { cellsOf, MAX_CELLS, type Piece } from "./cells.js";

export interface ImageReaderOptions {
  /** The request was sent. */
  stream: DataStream;
  /** (Default: 64 MiB) */
  cacheBytes?: number;
  /** How long one answer may take: a changer may have to fetch a volume. (Default: 5 minutes) */
  answerLimitMs?: number;
}

interface Asked {
  image: number;
  first: number;
  last: number;
  pieces: Piece[];
  trouble: string;
  resolve: (cells: Map<number, Buffer>) => void;
  reject: (error: Error) => void;
}

const MAX_IMAGES = 256;
const CACHE_BYTES = 64 * 1024 * 1024;
const ANSWER_LIMIT_MS = 300_000;
/** After so many cells in a row, so many are asked for before they are wanted. */
const RUN_CELLS = 8;
const AHEAD_CELLS = 64;
/** A storage daemon sends neighbours along within so many cells. */
const STRETCH_CELLS = 16;

export class ImageReader {
  images: readonly ReadableImage[] = [];
  /** Bytes of the images that came from storage, before compression. */
  fetchedBytes = 0;
  readonly #stream: DataStream;
  readonly #limitMs: number;
  readonly #cache: CellCache;
  readonly #asked: Asked[] = [];
  /** Cells that are on their way, by image and number. */
  readonly #coming = new Map<string, Promise<Map<number, Buffer>>>();
  /** By image: what follows on the last read, and how many cells were read one behind the other. */
  readonly #runs = new Map<number, { next: number; cells: number }>();
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  /** Rejects when the stream breaks, with the reason. Never resolves. */
  readonly failed: Promise<never>;
  #fail: (error: Error) => void = () => undefined;

  constructor({ stream, cacheBytes, answerLimitMs }: ImageReaderOptions) {
    this.#stream = stream;
    this.#limitMs = answerLimitMs ?? ANSWER_LIMIT_MS;
    this.#cache = new CellCache(cacheBytes ?? CACHE_BYTES);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  /** Waits for the list of images; from then on they can be read. @throws BackupError what the storage daemon says */
  async open(): Promise<void> {
    const incoming = this.#stream.incoming[Symbol.asyncIterator]();
    this.#watch();
    const { value, done } = await Promise.race([incoming.next(), this.failed]);
    clearTimeout(this.#timer);
    if (done === true) throw ended();
    if (value[0] === RestoreKind.message)
      throw new BackupError("STORAGE_FAILED", decodeJson<JobMessage>(value).text);
    if (value[0] !== ImageKind.images) throw garbled("it sent no list of disk images");
    this.images = imagesOf(value);
    void this.#take(incoming).catch((error: Error) =>
      this.close(error instanceof GarbledInput ? garbled(error.message) : error),
    );
  }

  /**
   * Everything that waits, and every later read, fails with this. The first reason counts. The stream is left to the caller: were
   * it broken now, the other end would tell of that before this one has told why.
   */
  close(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    for (const { reject } of this.#asked.splice(0)) reject(error);
    this.#fail(error);
  }

  /** Nothing more is read; the caller ends the stream. */
  finish(): void {
    this.#failure ??= new BackupError("IMAGE_CLOSED", "the disk images are not read any more");
    clearTimeout(this.#timer);
  }

  /** Bytes within the image. @throws BackupError */
  async read(image: number, offset: number, length: number): Promise<Buffer> {
    const first = Math.floor(offset / CELL_BYTES);
    const last = Math.floor((offset + length - 1) / CELL_BYTES);
    const found = new Map<number, Buffer>();
    const waits = new Set<Promise<Map<number, Buffer>>>();
    for (let cell = first; cell <= last; cell++) {
      const kept = this.#cache.get(image, cell);
      if (kept !== undefined) found.set(cell, kept);
      else waits.add(this.#coming.get(`${image}:${cell}`) ?? this.#ask(image, cell, last));
    }
    for (const cells of await Promise.all(waits)) for (const [cell, bytes] of cells) found.set(cell, bytes);
    this.#readAhead(image, first, last);
    const out = Buffer.allocUnsafe(length);
    for (let cell = first; cell <= last; cell++) {
      const bytes = found.get(cell);
      if (bytes === undefined) throw garbled("it left out blocks");
      const at = cell * CELL_BYTES - offset;
      bytes.copy(out, Math.max(0, at), Math.max(0, -at), Math.min(bytes.length, length - at));
    }
    return out;
  }

  /** Who reads on and on will want what comes next. */
  #readAhead(image: number, first: number, last: number): void {
    const run = this.#runs.get(image) ?? { next: -1, cells: 0 };
    this.#runs.set(image, run);
    run.cells = first <= run.next && last >= run.next ? run.cells + last - run.next + 1 : 0;
    run.next = last + 1;
    if (run.cells < RUN_CELLS || this.#failure !== undefined) return;
    const end = Math.min(last + AHEAD_CELLS, this.#lastCell(image));
    for (let cell = last + 1; cell <= end; cell++) {
      if (!this.#isMissing(image, cell)) continue;
      // The rest of its stretch comes along anyway: asked for, it is not asked for once more while it is on its way.
      void this.#ask(image, cell, cell - (cell % STRETCH_CELLS) + STRETCH_CELLS - 1);
    }
  }

  /** Asks for a cell and those behind it that are missing too. */
  #ask(image: number, first: number, most: number): Promise<Map<number, Buffer>> {
    let last = first;
    const end = Math.min(most, this.#lastCell(image));
    while (last < end && last - first + 1 < MAX_CELLS && this.#isMissing(image, last + 1)) last++;
    const answer = this.#request(image, first, last).finally(() => {
      for (let cell = first; cell <= last; cell++) this.#coming.delete(`${image}:${cell}`);
    });
    answer.catch(() => undefined);
    for (let cell = first; cell <= last; cell++) this.#coming.set(`${image}:${cell}`, answer);
    return answer;
  }

  #lastCell(image: number): number {
    return Math.ceil(this.images[image]!.size / CELL_BYTES) - 1;
  }

  #isMissing(image: number, cell: number): boolean {
    return this.#cache.get(image, cell) === undefined && !this.#coming.has(`${image}:${cell}`);
  }

  #request(image: number, first: number, last: number): Promise<Map<number, Buffer>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const offset = first * CELL_BYTES;
    const length = Math.min((last + 1) * CELL_BYTES, this.images[image]!.size) - offset;
    return new Promise((resolve, reject) => {
      this.#asked.push({ image, first, last, pieces: [], trouble: "", resolve, reject });
      if (this.#asked.length === 1) this.#watch();
      this.#stream.send(encodeRead({ image, offset, length })).catch((error: Error) => this.close(error));
    });
  }

  /** The next answer has its time from now on. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const seconds = Math.round(this.#limitMs / 1000);
      this.close(new BackupError("PEER_TIMEOUT", `the storage daemon gave no answer for ${seconds} seconds`));
    }, this.#limitMs);
  }

  async #take(incoming: AsyncIterator<Buffer>): Promise<void> {
    for (;;) {
      const { value, done } = await incoming.next();
      if (done === true) throw ended();
      if (value[0] === RestoreKind.message)
        throw new BackupError("STORAGE_FAILED", decodeJson<JobMessage>(value).text);
      const asked = this.#asked[0];
      if (asked === undefined) throw garbled("it answers what was not asked");
      this.#add(asked, value);
    }
  }

  #add(asked: Asked, message: Buffer): void {
    switch (message[0]) {
      case ImageKind.zeros:
        for (const zeros of decodeZeros(message)) asked.pieces.push({ ...zeros, bytes: undefined });
        break;
      case ImageKind.blocks:
        this.#addBlocks(asked, message);
        break;
      case ImageKind.done:
        this.#finish(asked, decodeDone(message));
        break;
      default:
        throw garbled(`message ${message[0]} has no place there`);
    }
  }

  #addBlocks(asked: Asked, message: Buffer): void {
    const { blocks, rawBytes, frame } = decodeBlocks(message);
    const raw = Buffer.allocUnsafeSlow(rawBytes);
    try {
      decompressUnchecked(raw, frame);
    } catch (error) {
      asked.trouble = describeError(error);
      return;
    }
    for (const { offset, frameOffset, length, digest } of blocks) {
      const bytes = raw.subarray(frameOffset, frameOffset + length);
      // A block that is not what was backed up counts as missing.
      if (!contentDigest(bytes).equals(digest)) {
        asked.trouble = "data on a volume is damaged (digest differs)";
        continue;
      }
      this.fetchedBytes += length;
      asked.pieces.push({ offset, length, bytes });
    }
  }

  #finish(asked: Asked, trouble: string): void {
    this.#asked.shift();
    if (this.#asked.length === 0) clearTimeout(this.#timer);
    else this.#watch();
    const { size } = this.images[asked.image]!;
    const cells = cellsOf(asked.pieces, size, asked.last);
    for (const [cell, bytes] of cells) this.#cache.put(asked.image, cell, bytes);
    let isWhole = true;
    for (let cell = asked.first; cell <= asked.last; cell++) isWhole &&= cells.has(cell);
    const why = trouble || asked.trouble || "the storage daemon left out blocks";
    if (isWhole) asked.resolve(cells);
    else asked.reject(new BackupError("IMAGE_READ", why));
  }
}

function garbled(what: string): BackupError {
  return new BackupError("PROTOCOL_ERROR", `the storage daemon's answer is garbled: ${what}`);
}

function ended(): BackupError {
  return new BackupError("RESTORE_INCOMPLETE", "the storage daemon ended the restore before its end");
}

function imagesOf(message: Buffer): ReadableImage[] {
  const images = decodeJson<ReadableImage[]>(message);
  const isRight = ({ path, size }: Partial<ReadableImage>): boolean =>
    typeof path === "string" && Number.isSafeInteger(size) && (size ?? 0) > 0;
  if (Array.isArray(images) && images.length > 0 && images.length <= MAX_IMAGES && images.every(isRight))
    return images;
  throw garbled("a list of disk images that is none");
}
