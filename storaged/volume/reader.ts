/**
 * Reads one volume file: single frames for restores, or everything from the start. Nothing in a file is believed
 * before it is checked: lengths against limits and the size of the file before memory is taken, records by their
 * CRC-32, frames by their own structure. What a frame holds is checked elsewhere (frame-check.ts).
 */
import { BackupError } from "../../common/errors.js";
import {
  decodeFrameIndex,
  decodeRecord,
  type FrameIndex,
  MAX_RECORD_BYTES,
  RecordKind,
  SKIPPABLE_HEADER_BYTES,
  SKIPPABLE_MAGIC,
  ZSTD_MAGIC,
} from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Store, StoreFile } from "../store/store.js";
import { decodeLabel, type VolumeLabel } from "./label.js";
import { findRecord } from "./resync.js";
import { checkZstdFrame, MAX_FRAME_BYTES } from "./zstd-frame.js";

/** A volume, or the part of it that was asked for, is not readable. */
export class DamagedVolume extends BackupError {
  /** Everything before this offset was read and found good by the call that failed. */
  readonly goodEnd: number;

  constructor(path: string, offset: number, reason: string) {
    super("VOLUME_DAMAGED", `${path}: at byte ${offset}: ${reason}`, { context: { path, offset } });
    this.goodEnd = offset;
  }
}

/** A frame with its index. */
export interface VolumeFrame {
  /** Offset of the index record. */
  offset: number;
  /** First byte behind the zstd frame. */
  end: number;
  index: FrameIndex;
  /** The zstd frame, verbatim. */
  frame: Buffer;
}

/** One thing met by a scan; `offset` and `end` are its bytes in the file. */
export type VolumeItem =
  | { type: "label"; offset: number; end: number; label: VolumeLabel }
  | ({ type: "frame" } & Omit<VolumeFrame, "frame"> & { frame: Buffer | undefined })
  | { type: "record"; offset: number; end: number; kind: RecordKind; body: Buffer }
  /**
   * Only with `recover`: bytes that could not be read; `index` when at least the frame's index could. `searched`
   * when nothing said where they end: what follows was found by its look.
   */
  | {
      type: "damage";
      offset: number;
      end: number;
      reason: string;
      index: FrameIndex | undefined;
      searched: boolean;
    };

export interface ScanOptions {
  /** Go on behind damage and yield it, instead of throwing. (Default: false) */
  recover?: boolean;
  /** Load the frames; otherwise only their indexes are read and `frame` is undefined. (Default: true) */
  frames?: boolean;
  /** Byte to begin at: the start of a record. (Default: 0, with the label) */
  from?: number;
}

interface ReadRecord {
  kind: RecordKind;
  body: Buffer;
  end: number;
  /** Bytes that happened to be read behind the record. */
  ahead: Buffer;
}

const FIRST_READ_BYTES = 64 * 1024;

export class VolumeReader {
  readonly #file: StoreFile;

  private constructor(file: StoreFile) {
    this.#file = file;
  }

  /** The caller closes it. Bytes appended later are not seen by this reader's `scan`. @throws STORE_ codes */
  static async open(store: Store, path: string): Promise<VolumeReader> {
    return new VolumeReader(await store.open(path, "read"));
  }

  get path(): string {
    return this.#file.path;
  }

  /** Bytes of the file when it was opened. */
  get size(): number {
    return this.#file.size;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** @throws DamagedVolume also when the file is no volume at all */
  async readLabel(): Promise<VolumeLabel> {
    return this.#guard(0, async () => {
      const record = await this.#record(0, 4096, this.size);
      if (record.kind !== RecordKind.label) throw new GarbledInput("not a Basalt volume: no label");
      return decodeLabel(record.body);
    });
  }

  /**
   * The frame whose index record is at `offset`; safe to call many times at once. `lengthHint` (index record and
   * frame together), when known, saves a read. `into`, if at least as long, takes what is read: the frame lies in it
   * when the hint was right.
   * @throws DamagedVolume
   */
  async readFrameAt(offset: number, lengthHint = FIRST_READ_BYTES, into?: Buffer): Promise<VolumeFrame> {
    // The volume may have grown since it was opened: the frame's own lengths bound the reads here.
    const limit = Number.MAX_SAFE_INTEGER;
    return this.#guard(offset, async () => {
      const record = await this.#record(offset, lengthHint, limit, into);
      if (record.kind !== RecordKind.frameIndex) throw new GarbledInput("no frame here");
      const index = readIndex(record.body);
      const frame = await this.#frame(index, record, limit);
      return { offset, end: record.end + index.compressedBytes, index, frame };
    });
  }

  /**
   * Everything on the volume in order, beginning with the label. Without `recover` damage throws, and the error's
   * `goodEnd` says up to where all was good.
   * @throws DamagedVolume
   */
  async *scan(options: ScanOptions = {}): AsyncGenerator<VolumeItem, void, undefined> {
    // Bounds what a hostile file can make the search for records read.
    const search = { budget: this.size * 4 + 4 * MAX_RECORD_BYTES };
    let offset = options.from ?? 0;
    while (offset < this.size || offset === 0) {
      const step: Step = { offset, recordEnd: undefined, index: undefined };
      let item: VolumeItem;
      try {
        item = await this.#item(step, options.frames ?? true);
      } catch (error) {
        if (!(error instanceof GarbledInput)) throw error;
        if (options.recover !== true) throw new DamagedVolume(this.path, offset, error.message);
        const { end, searched } = await this.#behindDamage(step, search);
        item = { type: "damage", offset, end, reason: error.message, index: step.index, searched };
      }
      yield item;
      offset = Math.max(item.end, offset + 1);
    }
  }

  /** Reads the item at step.offset, leaving in `step` how far it came. */
  async #item(step: Step, frames: boolean): Promise<VolumeItem> {
    const { offset } = step;
    const record = await this.#record(offset, FIRST_READ_BYTES, this.size);
    const { kind, body, end } = record;
    if ((kind === RecordKind.label) !== (offset === 0)) {
      throw new GarbledInput(offset === 0 ? "not a Basalt volume: no label" : "a label inside the volume");
    }
    if (kind === RecordKind.label) return { type: "label", offset, end, label: decodeLabel(body) };
    step.recordEnd = end;
    if (kind !== RecordKind.frameIndex) return { type: "record", offset, end, kind, body };
    const index = readIndex(body);
    step.index = index;
    const frameEnd = end + index.compressedBytes;
    if (frameEnd > this.size) throw new GarbledInput("the volume ends inside a frame");
    if (!frames) return { type: "frame", offset, end: frameEnd, index, frame: undefined };
    const frame = await this.#frame(index, record, this.size);
    return { type: "frame", offset, end: frameEnd, index, frame };
  }

  /** Where to go on: behind a frame whose index is good, else at the next record that is. */
  async #behindDamage(step: Step, search: { budget: number }): Promise<{ end: number; searched: boolean }> {
    const { index, recordEnd } = step;
    if (index !== undefined && recordEnd !== undefined && recordEnd + index.compressedBytes <= this.size) {
      return { end: recordEnd + index.compressedBytes, searched: false };
    }
    return { end: await findRecord(this.#file, recordEnd ?? step.offset + 1, search), searched: true };
  }

  async #record(offset: number, hint: number, limit: number, into?: Buffer): Promise<ReadRecord> {
    const bytes = Math.min(Math.max(hint, SKIPPABLE_HEADER_BYTES), MAX_FRAME_BYTES * 2);
    const first = await this.#read(offset, bytes, into);
    if (first.length === 0 && offset === 0) throw new GarbledInput("not a Basalt volume: the file is empty");
    if (first.length < SKIPPABLE_HEADER_BYTES) throw new GarbledInput("the volume ends inside a record");
    const magic = first.readUInt32LE(0);
    if (magic === ZSTD_MAGIC) throw new GarbledInput("a zstd frame without an index record");
    if (magic !== SKIPPABLE_MAGIC) throw new GarbledInput("not a record of a Basalt volume");
    const payloadBytes = first.readUInt32LE(4);
    if (payloadBytes > MAX_RECORD_BYTES)
      throw new GarbledInput(`a record of ${payloadBytes} bytes is too long`);
    const total = SKIPPABLE_HEADER_BYTES + payloadBytes;
    if (offset + total > limit) throw new GarbledInput("the volume ends inside a record");
    const whole = await this.#extend(first, offset, total, "record");
    const { kind, body } = decodeRecord(whole.subarray(SKIPPABLE_HEADER_BYTES, total));
    if (kind < RecordKind.label || kind > RecordKind.catalog)
      throw new GarbledInput(`unknown kind of record ${kind}`);
    return { kind, body, end: offset + total, ahead: whole.subarray(total) };
  }

  async #frame(index: FrameIndex, record: ReadRecord, limit: number): Promise<Buffer> {
    if (record.end + index.compressedBytes > limit) throw new GarbledInput("the volume ends inside a frame");
    const whole = await this.#extend(record.ahead, record.end, index.compressedBytes, "frame");
    const frame = whole.subarray(0, index.compressedBytes);
    checkZstdFrame(frame, index.rawBytes);
    return frame;
  }

  /** `have` (bytes at `offset`) made up to `total` bytes. */
  async #extend(have: Buffer, offset: number, total: number, what: string): Promise<Buffer> {
    if (have.length >= total) return have;
    const whole = Buffer.allocUnsafeSlow(total);
    have.copy(whole);
    const more = await this.#file.readAt(whole.subarray(have.length), offset + have.length);
    if (have.length + more < total) throw new GarbledInput(`the volume ends inside a ${what}`);
    return whole;
  }

  async #read(offset: number, bytes: number, into?: Buffer): Promise<Buffer> {
    const fits = into !== undefined && into.length >= bytes;
    const buffer = fits ? into.subarray(0, bytes) : Buffer.allocUnsafeSlow(bytes);
    return buffer.subarray(0, await this.#file.readAt(buffer, offset));
  }

  async #guard<T>(offset: number, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (error instanceof GarbledInput) throw new DamagedVolume(this.path, offset, error.message);
      throw error;
    }
  }
}

interface Step {
  offset: number;
  recordEnd: number | undefined;
  index: FrameIndex | undefined;
}

function readIndex(body: Buffer): FrameIndex {
  const index = decodeFrameIndex(body);
  if (index.compressedBytes > MAX_FRAME_BYTES) {
    throw new GarbledInput(`a frame of ${index.compressedBytes} bytes is too long`);
  }
  return index;
}
