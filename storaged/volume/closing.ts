/**
 * The end of a job on its volume: closing members and manifest (closing-builder.ts), built from the job's list
 * blocks before the job's end record is written.
 */
import { Worker } from "node:worker_threads";
import { BackupError } from "../../common/errors.js";
import { DIGEST_BYTES } from "../../common/format/content.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import {
  buildFrames,
  type ClosingCounts,
  type ClosingOptions,
  type ClosingSource,
  type ContentQuery,
  type RawFrame,
} from "./closing-builder.js";
import type { ClosingAnswer, ClosingQuestion, ClosingReply, ClosingRequest } from "./closing-worker.js";

export type { ClosingCounts, ContentQuery } from "./closing-builder.js";
export { type ContentPlace, formatWhere } from "./manifest.js";

/** A frame made by storaged itself, to be appended like any other; it holds no chunks. */
export interface ClosingFrame {
  rawBytes: number;
  entries: FrameEntry[];
  data: Buffer;
}

export interface Closing extends ClosingOptions {
  /** The job's own list blocks in path order, as filed sent them. */
  blocks: AsyncIterable<Buffer>;
  /** Of the list: a long one is built by a thread. */
  rows: number;
  /**
   * Text of the where column (formatWhere) for each query, in order; "-" when unknown. Called once per block, for a few
   * blocks at a time. For content in parts: all places that hold any of them.
   */
  locate: (queries: readonly ContentQuery[]) => Promise<readonly string[]>;
  /** Encoded parts (PART_BYTES each) of a content in order, in pieces of whole parts. */
  partsOf: (content: Buffer) => AsyncIterable<Buffer>;
  signal?: AbortSignal;
}

/**
 * Builds all closing frames and hands them to `emit` one by one, in order; the next is built while `emit` runs. A long
 * list is built in a worker thread.
 * @throws LIST_GARBLED when the job's list is not well-formed; whatever the callbacks throw
 */
export async function buildClosing(
  closing: Closing,
  emit: (frame: ClosingFrame) => Promise<void>,
): Promise<ClosingCounts> {
  const blocks = closing.blocks[Symbol.asyncIterator]();
  const source = new MainSource(closing, blocks, emit);
  try {
    const inPlace = closing.rows <= MAX_ROWS_IN_PLACE;
    const counts = await (inPlace ? buildFrames(optionsOf(closing), source) : buildInWorker(closing, source));
    await source.emitted();
    return counts;
  } catch (error) {
    if (!(error instanceof GarbledInput)) throw error;
    throw new BackupError(
      "LIST_GARBLED",
      `The file list of job ${closing.jobId} is not well-formed: ${error.message}`,
    );
  } finally {
    await source.end();
  }
}

function optionsOf(closing: Closing): ClosingOptions {
  const { jobId, selfContained, head, timeMs, level, revision, listOnly } = closing;
  return {
    jobId,
    selfContained,
    head,
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(level === undefined ? {} : { level }),
    ...(revision === undefined ? {} : { revision }),
    ...(listOnly === undefined ? {} : { listOnly }),
  };
}

/**
 * A new thread has to load and compile everything before it is as fast: 1,500 and 8,000 rows take five times the processor time
 * there, 98,000 twice. In place other jobs get their turn after each block, some milliseconds.
 */
const MAX_ROWS_IN_PLACE = 131_072;

/** The callbacks of a Closing as the builder wants them. */
class MainSource implements ClosingSource {
  readonly locate: Closing["locate"];
  readonly #closing: Closing;
  readonly #blocks: AsyncIterator<Buffer>;
  readonly #emit: (frame: ClosingFrame) => Promise<void>;
  #parts: AsyncIterator<Buffer> | undefined;
  #emitting: Promise<void> = Promise.resolve();

  constructor(closing: Closing, blocks: AsyncIterator<Buffer>, emit: (frame: ClosingFrame) => Promise<void>) {
    this.#closing = closing;
    this.#blocks = blocks;
    this.#emit = emit;
    this.locate = closing.locate;
  }

  async nextBlock(): Promise<Buffer | undefined> {
    this.#closing.signal?.throwIfAborted();
    const { done, value } = await this.#blocks.next();
    return done === true ? undefined : value;
  }

  partsOf(content: Buffer): AsyncIterable<Buffer> {
    return this.#closing.partsOf(content);
  }

  /** Parts of the content that was asked for last, piece by piece. */
  async nextParts(content: Buffer): Promise<Buffer | undefined> {
    this.#parts ??= this.#closing.partsOf(content)[Symbol.asyncIterator]();
    const { done, value } = await this.#parts.next();
    if (done !== true) return value;
    this.#parts = undefined;
    return undefined;
  }

  /** Resolves when the frame before it is emitted. */
  async emit({ rawBytes, data }: RawFrame): Promise<void> {
    await this.#emitting;
    this.#closing.signal?.throwIfAborted();
    this.#emitting = this.#emit({ rawBytes, entries: [], data });
    // Whoever waits for it next hears of a failure.
    this.#emitting.catch(() => undefined);
  }

  /** Resolves when all frames are. */
  emitted(): Promise<void> {
    return this.#emitting;
  }

  async end(): Promise<void> {
    // Nothing is appended any more when this ends, however it ends.
    await this.#emitting.catch(() => undefined);
    await this.#parts?.return?.();
    await this.#blocks.return?.();
  }
}

async function buildInWorker(closing: Closing, source: MainSource): Promise<ClosingCounts> {
  const worker = new Worker(new URL("./closing-worker.js", import.meta.url), {
    workerData: optionsOf(closing),
  });
  const open = new Set<Promise<void>>();
  try {
    return await new Promise<ClosingCounts>((resolve, reject) => {
      const reply = async (question: ClosingQuestion): Promise<void> => {
        const found = await answer(question, source);
        worker.postMessage({ number: question.number, ...found } satisfies ClosingReply);
      };
      worker.on("message", (request: ClosingRequest) => {
        if (request.ask === "done") resolve(request.counts);
        else if (request.ask === "garbled") reject(new GarbledInput(request.reason));
        else {
          const replied = reply(request).catch(reject);
          open.add(replied);
          void replied.then(() => open.delete(replied));
        }
      });
      worker.on("error", reject);
      worker.on("exit", () =>
        reject(new BackupError("CLOSING_FAILED", "The thread that ends a job's volume died")),
      );
    });
  } finally {
    await worker.terminate();
    await Promise.all(open);
  }
}

async function answer(request: ClosingQuestion, source: MainSource): Promise<ClosingAnswer> {
  switch (request.ask) {
    case "block":
      return { bytes: await source.nextBlock() };
    case "parts":
      return { bytes: await source.nextParts(view(request.content)) };
    case "locate":
      return { places: await source.locate(queriesOf(view(request.contents), request.parts)) };
    case "emit":
      await source.emit({ rawBytes: request.rawBytes, data: view(request.data) });
      return { bytes: undefined };
  }
}

function queriesOf(contents: Buffer, parts: Uint8Array): ContentQuery[] {
  return Array.from(parts, (flag, i) => ({
    content: contents.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES),
    parts: flag === 1,
  }));
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
