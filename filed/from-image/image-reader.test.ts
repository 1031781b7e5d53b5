import assert from "node:assert/strict";
import { test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { Compressor } from "../../common/format/zstd.js";
import { encodeJson } from "../../proto/data/backup.js";
import {
  decodeRead,
  encodeBlocks,
  encodeDone,
  encodeZeros,
  ImageKind,
  type ImageRead,
} from "../../proto/data/image-read.js";
import { RestoreKind } from "../../proto/data/restore.js";
import type { DataStream } from "../../proto/rpc.js";
import { noise } from "../../test/helpers/random.js";
import { CELL_BYTES, CellCache, ZERO_CELL } from "./cell-cache.js";
import { ImageReader } from "./image-reader.js";

const MIB = 1024 * 1024;
/** Blocks of this size, every third one zeros. */
const BLOCK = 16 * 1024;
const SIZE = 3 * MIB + 5000;
const disk = noise(SIZE, "disk");
for (let at = 0; at < SIZE; at += 3 * BLOCK) disk.fill(0, at, Math.min(at + BLOCK, SIZE));
const compressor = new Compressor(1);

type Answer = (read: ImageRead) => Buffer[];

/** What a storage daemon says: the blocks that overlap a read. */
function honest({ offset, length }: ImageRead, spoiled = 0): Buffer[] {
  const zeros = [];
  const blocks = [];
  const pieces: Buffer[] = [];
  for (let at = offset - (offset % BLOCK); at < offset + length; at += BLOCK) {
    const bytes = disk.subarray(at, at + BLOCK);
    if (at % (3 * BLOCK) === 0) zeros.push({ offset: at, length: bytes.length });
    else {
      const frameOffset = pieces.reduce((sum, piece) => sum + piece.length, 0);
      blocks.push({
        offset: at,
        frameOffset,
        length: bytes.length,
        digest: contentDigest(bytes.subarray(spoiled)),
      });
      pieces.push(bytes);
    }
  }
  const raw = Buffer.concat(pieces);
  const all = [
    encodeZeros(zeros),
    encodeBlocks(blocks, raw.length, compressor.compress(raw)),
    encodeDone(""),
  ];
  return all;
}

class Storage {
  reads: ImageRead[] = [];
  readonly stream: DataStream;
  #queue: (Buffer | undefined)[] = [encodeJson(ImageKind.images, [{ path: "/disk", size: SIZE }])];
  #wake: () => void = () => undefined;

  constructor(answer: Answer) {
    const controller = new AbortController();
    this.stream = {
      send: async (message) => {
        const read = decodeRead(message);
        this.reads.push(read);
        this.say(...answer(read));
      },
      incoming: this.#incoming(),
      release: () => undefined,
      end: async () => undefined,
      destroy: (error) => controller.abort(error),
      signal: controller.signal,
    };
  }

  say(...messages: (Buffer | undefined)[]): void {
    this.#queue.push(...messages);
    this.#wake();
  }

  async *#incoming(): AsyncGenerator<Buffer> {
    for (;;) {
      while (this.#queue.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      const message = this.#queue.shift();
      if (message === undefined) return;
      yield message;
    }
  }
}

async function opened(answer: Answer, more = {}): Promise<{ reader: ImageReader; storage: Storage }> {
  const storage = new Storage(answer);
  const reader = new ImageReader({ stream: storage.stream, ...more });
  await reader.open();
  return { reader, storage };
}

test("any range comes out as it went in; what was read is not asked for again", async () => {
  const { reader, storage } = await opened(honest);
  assert.deepEqual(reader.images, [{ path: "/disk", size: SIZE }]);
  const ranges = [
    [0, 1],
    [BLOCK - 1, 2],
    [100, MIB],
    [SIZE - 1, 1],
    [SIZE - 70_000, 70_000],
    [0, SIZE],
  ] as const;
  const all = ranges.map(async ([offset, length]) => {
    const got = await reader.read(0, offset, length);
    assert.ok(got.equals(disk.subarray(offset, offset + length)), `${offset}+${length}`);
  });
  await Promise.all(all);
  const asked = storage.reads.length;
  const cells = storage.reads.reduce((sum, { length }) => sum + Math.ceil(length / CELL_BYTES), 0);
  assert.equal(cells, Math.ceil(SIZE / CELL_BYTES));
  await reader.read(0, 0, SIZE);
  assert.equal(storage.reads.length, asked);
  reader.finish();
  await assert.rejects(reader.read(1, 0, 1));
});

test("with a small cache everything is read again, and right", async () => {
  const { reader, storage } = await opened(honest, { cacheBytes: 2 * CELL_BYTES });
  for (let i = 0; i < 2; i++) assert.ok((await reader.read(0, 0, SIZE)).equals(disk));
  assert.equal(storage.reads.length, 2);
  reader.finish();
});

test("damaged, missing and refused blocks are errors of the reads that need them", async () => {
  const cases: [Answer, RegExp][] = [
    [(read) => honest(read, 1), /digest differs/],
    [(read) => honest(read).slice(1), /left out blocks/],
    [() => [encodeDone("the volume is gone")], /the volume is gone/],
  ];
  for (const [answer, expected] of cases) {
    let isBad = true;
    const { reader } = await opened((read) => (isBad ? answer(read) : honest(read)));
    await assert.rejects(reader.read(0, 0, CELL_BYTES), { message: expected });
    isBad = false;
    assert.ok((await reader.read(0, 0, CELL_BYTES)).equals(disk.subarray(0, CELL_BYTES)));
    reader.finish();
  }
});

test("a stream that ends, lies or keeps silent fails every read", async () => {
  const cases: [Answer, string][] = [
    [() => [undefined as unknown as Buffer], "RESTORE_INCOMPLETE"],
    [() => [Buffer.of(99)], "PROTOCOL_ERROR"],
    [() => [Buffer.of(ImageKind.blocks, 5)], "PROTOCOL_ERROR"],
    [() => [encodeJson(RestoreKind.message, { type: "fatal", text: "no" })], "STORAGE_FAILED"],
    [() => [], "PEER_TIMEOUT"],
  ];
  for (const [answer, code] of cases) {
    const { reader } = await opened(answer, { answerLimitMs: 100 });
    const two = [reader.read(0, 0, 1), reader.read(0, MIB, 1)];
    for (const read of two) await assert.rejects(read, { code });
    await assert.rejects(reader.failed, { code });
    await assert.rejects(reader.read(0, 0, 1), { code });
  }
});

test("closing ends everything that waits", async () => {
  const { reader } = await opened(() => []);
  const read = reader.read(0, 0, 1);
  reader.close(new BackupError("JOB_CANCELED", "enough"));
  await assert.rejects(read, { code: "JOB_CANCELED" });
});

test("the cache keeps what was used last, and zeros for nearly nothing", () => {
  const cache = new CellCache(3 * CELL_BYTES);
  for (let i = 0; i < 3; i++) cache.put(0, i, Buffer.alloc(CELL_BYTES, i));
  assert.ok(cache.get(0, 0));
  cache.put(0, 3, Buffer.alloc(CELL_BYTES));
  assert.equal(cache.get(0, 1), undefined);
  assert.ok(cache.get(0, 0));
  assert.equal(cache.get(1, 0), undefined);
  for (let i = 0; i < 100; i++) cache.put(1, i, ZERO_CELL);
  assert.ok(cache.bytes <= 3 * CELL_BYTES);
  assert.ok(cache.get(1, 0));
});
