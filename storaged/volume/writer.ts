/**
 * Appends records and frames to one volume. Appends are carried out in the order in which they were made; several
 * jobs may call at the same time. `bytes` is the end of the last complete append: nothing beyond it is ever
 * counted. A sync runs beside appends that were called after it, which it does not promise anything about. A failed
 * append is cut off again; when that fails too, or a sync fails (what the disk then holds is unknown), the writer is
 * broken and refuses everything but `close`.
 */
import { dirname } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import { encodeFrameIndex, encodeRecord, type FrameEntry, RecordKind } from "../../common/format/frame.js";
import type { Store, StoreFile } from "../store/store.js";
import { encodeLabel, type VolumeLabel } from "./label.js";
import { VolumeReader } from "./reader.js";

/** A frame as received and verified, with what its index record says. */
export interface FrameToAppend {
  /** 16 bytes. */
  jobUuid: Buffer;
  /** Number of the frame within its job, from 0. */
  sequence: number;
  rawBytes: number;
  entries: readonly FrameEntry[];
  /** Exactly one zstd frame. Must not change until the call has resolved. */
  data: Uint8Array;
}

/** Where an append went: offset of its (index) record, and the first byte behind it. */
export interface Appended {
  offset: number;
  end: number;
}

export class VolumeWriter {
  readonly label: VolumeLabel;
  readonly #file: StoreFile;
  #end: number;
  #queue: Promise<unknown> = Promise.resolve();
  /** The sync that runs, and the one that follows it: whoever asks while one runs shares the next. */
  #syncing: Promise<unknown> = Promise.resolve();
  #nextSync: Promise<number> | undefined;
  #broken: unknown;
  #closed = false;

  private constructor(file: StoreFile, label: VolumeLabel, end: number) {
    this.#file = file;
    this.label = label;
    this.#end = end;
  }

  /**
   * Makes the volume's file and writes its label; both are durable when this resolves. On failure no file is left.
   * @throws STORE_EXISTS and other STORE_ codes
   */
  static async create(store: Store, path: string, label: VolumeLabel): Promise<VolumeWriter> {
    const record = encodeLabel(label);
    const file = await store.create(path);
    try {
      await file.append([record]);
      await file.sync();
      await store.syncDirectory(dirname(path));
    } catch (error) {
      // The first error is the one to tell; what is left over has no valid label or is not known to anyone.
      await file.close().catch(() => undefined);
      await store.unlink(path).catch(() => undefined);
      throw error;
    }
    return new VolumeWriter(file, label, record.length);
  }

  /**
   * Makes an empty volume out of whatever lies at `path`: everything in the file is lost. The new label is durable
   * when this resolves; until then the file may be anything from what it was to a piece of the label.
   * @throws STORE_ codes
   */
  static async recycle(store: Store, path: string, label: VolumeLabel): Promise<VolumeWriter> {
    if ((await store.stat(path)) === undefined) return VolumeWriter.create(store, path, label);
    const record = encodeLabel(label);
    const file = await store.open(path, "append");
    try {
      await file.truncate(0);
      await file.append([record]);
      await file.sync();
      // The name may be that of a file which a crash kept from being made durable.
      await store.syncDirectory(dirname(path));
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    return new VolumeWriter(file, label, record.length);
  }

  /**
   * Opens a volume for appending at `committedBytes`: what lies beyond was never committed and is cut off, durably.
   * Nothing is cut off when `expect` refuses the label by throwing.
   * @throws VOLUME_SHORT when the file is shorter than that, VOLUME_DAMAGED when the label is unreadable
   */
  static async open(
    store: Store,
    path: string,
    committedBytes: number,
    expect: (label: VolumeLabel) => void = () => undefined,
  ): Promise<VolumeWriter> {
    const label = await readLabelOf(store, path);
    expect(label);
    const file = await store.open(path, "append");
    try {
      if (file.size < committedBytes) {
        throw new BackupError(
          "VOLUME_SHORT",
          `Volume ${label.volume} (${path}) has ${file.size} bytes, but ${committedBytes} were committed to it`,
        );
      }
      if (file.size > committedBytes) {
        await file.truncate(committedBytes);
        await file.sync();
      }
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    return new VolumeWriter(file, label, committedBytes);
  }

  get path(): string {
    return this.#file.path;
  }

  /** End of the last complete append. */
  get bytes(): number {
    return this.#end;
  }

  /** True when nothing can be written any more. */
  get broken(): boolean {
    return this.#broken !== undefined;
  }

  /** Writes the index record and the frame behind it as one append. Not durable before `sync`. */
  async appendFrame(frame: FrameToAppend): Promise<Appended> {
    const record = encodeRecord(
      RecordKind.frameIndex,
      encodeFrameIndex({
        jobUuid: frame.jobUuid,
        sequence: frame.sequence,
        compressedBytes: frame.data.length,
        rawBytes: frame.rawBytes,
        entries: [...frame.entries],
      }),
    );
    return this.#append([record, frame.data]);
  }

  /** Writes a record with `json` as its body. Not durable before `sync`. */
  async appendRecord(kind: RecordKind, json: unknown): Promise<Appended> {
    return this.#append([encodeRecord(kind, Buffer.from(JSON.stringify(json), "utf8"))]);
  }

  /**
   * Makes every append that was called before this durable; resolves to the bytes of the volume that now are.
   * Appends go on meanwhile; calls that wait for the same moment share one sync.
   */
  async sync(): Promise<number> {
    // Not `#enqueue`: what is appended from now on does not wait for the disk.
    if (this.#closed) throw this.#unusable("is closed");
    await this.#queue;
    this.#nextSync ??= this.#syncAfter(this.#syncing);
    return this.#nextSync;
  }

  #syncAfter(before: Promise<unknown>): Promise<number> {
    const done = before.then(async () => {
      this.#nextSync = undefined;
      if (this.#broken !== undefined) throw this.#unusable("cannot be written any more", this.#broken);
      const end = this.#end;
      try {
        await this.#file.sync();
      } catch (error) {
        this.#broken = error;
        throw error;
      }
      return end;
    });
    this.#syncing = done.catch(() => undefined);
    return done;
  }

  /** Waits for what was called before, then closes the file without syncing it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#queue.catch(() => undefined);
    // A sync that waited for the queue has begun by now.
    await Promise.resolve();
    await this.#syncing;
    await this.#file.close();
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(this.#unusable("is closed"));
    const result = this.#queue.then(() => {
      if (this.#broken !== undefined) throw this.#unusable("cannot be written any more", this.#broken);
      return task();
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  #append(buffers: readonly Uint8Array[]): Promise<Appended> {
    return this.#enqueue(async () => {
      const offset = this.#end;
      try {
        await this.#file.append(buffers);
      } catch (error) {
        await this.#cutBack(offset, error);
        throw error;
      }
      this.#end = this.#file.size;
      return { offset, end: this.#end };
    });
  }

  async #cutBack(size: number, why: unknown): Promise<void> {
    try {
      await this.#file.truncate(size);
    } catch (error) {
      this.#broken = new AggregateError([error, why], describeError(error));
    }
  }

  #unusable(what: string, cause?: unknown): BackupError {
    const message = `Volume ${this.label.volume} (${this.path}) ${what}`;
    return new BackupError("VOLUME_BROKEN", message, cause === undefined ? {} : { cause });
  }
}

async function readLabelOf(store: Store, path: string): Promise<VolumeLabel> {
  const reader = await VolumeReader.open(store, path);
  try {
    return await reader.readLabel();
  } finally {
    await reader.close();
  }
}
