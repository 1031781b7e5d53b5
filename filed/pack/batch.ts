/** A batch of small files on the main thread: collected, read by a worker, asked about, told to the tasks' owners. */
import { DIGEST_BYTES } from "../../common/format/content.js";
import { ByteWriter } from "../../common/format/varint.js";
import { BATCH_BYTES, BATCH_FILES, ReadStatus, readResult } from "./protocol.js";
import { type PackResult, type PackTask, writeTask } from "./task.js";

/** A task that is not done: who wants to know, and its encoded form. */
export interface Pending {
  encoded: Uint8Array;
  onDone: (result: PackResult) => void;
  /** Lets go of the directory; the file is open or will never be. */
  release: () => void;
  compression: PackTask["compression"];
  size: number;
  image: PackTask["image"];
  isFifo: boolean;
  onNote: PackTask["onNote"];
}

const encoder = new ByteWriter(4096);

/** Copies what is needed from the task and retains its directory. */
export function pendingOf(task: PackTask): Pending {
  encoder.clear();
  writeTask(encoder, task);
  const { dir, onDone, compression, identity, image, isFifo = false, onNote } = task;
  if (!("path" in dir)) dir.retain();
  const release = "path" in dir ? (): void => undefined : (): void => dir.close();
  // Buffers from Node's small-object pool: an allocation per task of its own would cost more than the copy.
  const { size } = identity;
  return { encoded: Buffer.from(encoder.bytes()), onDone, release, compression, size, image, isFifo, onNote };
}

export class Batch {
  readonly tasks: Pending[] = [];
  bytes = 0;
  ticks = 0;
  results: Buffer = Buffer.alloc(0);
  errors: readonly string[] = [];
  readonly #maxBytes: number;

  /** `maxBytes`: at most BATCH_BYTES; a last file may exceed it. */
  constructor(maxBytes = BATCH_BYTES) {
    this.#maxBytes = maxBytes;
  }

  add(task: Pending): void {
    this.tasks.push(task);
    this.bytes += task.size + 1;
  }

  get full(): boolean {
    return this.bytes >= this.#maxBytes || this.tasks.length >= BATCH_FILES;
  }

  /** All tasks in one piece of memory of its own, so that posting copies no more than that. */
  encode(): Uint8Array {
    const out = new Uint8Array(this.tasks.reduce((sum, task) => sum + task.encoded.length, 0));
    let at = 0;
    for (const { encoded } of this.tasks) {
      out.set(encoded, at);
      at += encoded.length;
    }
    return out;
  }

  /** The worker's answer. Returns the tasks that have to go another way: large by now, or no room left. */
  read(
    results: Uint8Array,
    errors: readonly string[],
  ): { large: Pending[]; again: Pending[]; bytesRead: number } {
    this.results = Buffer.from(results.buffer, results.byteOffset, results.length);
    this.errors = errors;
    const large: Pending[] = [];
    const again: Pending[] = [];
    let bytesRead = 0;
    for (let i = 0; i < this.tasks.length; i++) {
      const task = this.tasks[i]!;
      const { status, size } = readResult(this.results, i);
      if (status === ReadStatus.large) large.push(task);
      else if (status === ReadStatus.again) again.push(task);
      else {
        task.release();
        bytesRead += size;
      }
    }
    return { large, again, bytesRead };
  }

  /** Files with bytes, one byte per task: 1 for the first file of each content (or for all when not `unique`). */
  candidates(unique: boolean): { wanted: Uint8Array; digests: Buffer; indexes: number[] } {
    const wanted = new Uint8Array(this.tasks.length);
    const indexes: number[] = [];
    const seen = new Set<string>();
    for (let i = 0; i < this.tasks.length; i++) {
      const { status, size, digest } = readResult(this.results, i);
      if (status !== ReadStatus.ok || size === 0) continue;
      if (unique) {
        const text = digest.latin1Slice();
        if (seen.has(text)) continue;
        seen.add(text);
      }
      wanted[i] = 1;
      indexes.push(i);
    }
    const digests = Buffer.allocUnsafe(indexes.length * DIGEST_BYTES);
    indexes.forEach(
      (index, at) => void readResult(this.results, index).digest.copy(digests, at * DIGEST_BYTES),
    );
    return { wanted, digests, indexes };
  }

  /** Tells every owner; returns how many tasks are done. Tasks that went another way are not among them. */
  deliver(): number {
    let done = 0;
    for (let i = 0; i < this.tasks.length; i++) {
      const { status, unstable, size, digest, error } = readResult(this.results, i);
      if (status === ReadStatus.large || status === ReadStatus.again) continue;
      done++;
      // One form for all: objects that are put together of others are slow to make and to read.
      this.tasks[i]!.onDone({
        kind: KINDS[status],
        content: status === ReadStatus.ok && size > 0 ? Buffer.from(digest) : undefined,
        parts: false,
        size,
        unstable,
        bytesRead: size,
        error: status === ReadStatus.ok ? undefined : (this.errors[error] ?? "cannot be read"),
      });
    }
    return done;
  }
}

const KINDS = {
  [ReadStatus.ok]: "ok",
  [ReadStatus.vanished]: "vanished",
  [ReadStatus.failed]: "failed",
} as const satisfies Partial<Record<ReadStatus, PackResult["kind"]>>;
