/**
 * The volumes that a vacuum moves frames to. Frames are appended, synced, read back and compared; only then the
 * catalog learns of their new places, a batch in one transaction. A batch lies on one volume, and carries the
 * records that a scan needs to know its frames as content in use, whatever becomes of their jobs.
 */

import { BackupError } from "../../common/errors.js";
import { maxIndexBytes, RecordKind } from "../../common/format/frame.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob } from "../catalog/types.js";
import type { MovedFrame } from "../catalog/writer-vacuum.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import type { AcquireRequest, OpenVolume } from "../session/volume-messages.js";
import type { Store } from "../store/store.js";
import { uuidBytes } from "../volume/json.js";
import { VolumeReader } from "../volume/reader.js";
import type { ChangeRecord, JobBeginRecord, JobEndRecord } from "../volume/records.js";
import type { Appended } from "../volume/writer.js";
import type { LiveFrame } from "./live-found.js";
import { encodeEntries, type PackedFrame } from "./repack.js";

export interface TargetOptions {
  catalog: Catalog;
  desk: VolumeDesk;
  store: Store;
  acquire: Omit<AcquireRequest, "next">;
  /** Hears of every volume that is taken, before anything is written to it. */
  onVolume: (volume: number) => Promise<void>;
}

interface Pending {
  moved: MovedFrame;
  data: Buffer;
}

const BATCH_FRAMES = 64;
const BATCH_BYTES = 16 * 1024 * 1024;
/** Chunks of repacked frames: other jobs wait for one such call. */
const BATCH_CHUNKS = 256;
/** Upper bound of what stands around a JSON record. */
const RECORD_FIXED_BYTES = 128;

export class VacuumTarget {
  readonly #options: TargetOptions;
  readonly #from: number;
  #open: OpenVolume | undefined;
  #taken = 0;
  /** Owners whose records stand on the open volume. */
  readonly #begun = new Set<LocalJob>();
  #batch: Pending[] = [];
  #batchBytes = 0;
  #batchChunks = 0;
  /** Of what was appended to the open volume; 0: nothing. */
  #end = 0;
  /** Frames that the catalog has at their new place. */
  movedFrames = 0;
  movedBytes = 0;
  /** Frames that had gone or moved by the time they were to be noted. */
  lateFrames = 0;

  constructor(options: TargetOptions, from: number) {
    this.#options = options;
    this.#from = from;
  }

  /** Appends a frame and notes it sooner or later; `whole`: verbatim. @throws STORE_ codes, VOLUME_ codes */
  async add(
    frame: LiveFrame,
    packed: PackedFrame,
    owner: JobBeginRecord,
    sequence: number,
    whole: boolean,
  ): Promise<void> {
    const length = maxIndexBytes(packed.entries.length) + packed.data.length;
    const open = await this.#volumeFor(length + 2 * (RECORD_FIXED_BYTES + JSON.stringify(owner).length * 2));
    if (!this.#begun.has(frame.owner)) {
      await this.#record(open, RecordKind.jobBegin, owner);
      const inUse: ChangeRecord = { op: "content", timeMs: nowMs(), job: owner };
      await this.#record(open, RecordKind.catalog, inUse);
      this.#begun.add(frame.owner);
    }
    const { rawBytes, entries, data } = packed;
    const jobUuid = uuidBytes(owner.jobUuid);
    const placed = this.#note(await open.writer.appendFrame({ jobUuid, sequence, rawBytes, entries, data }));
    const moved: MovedFrame = {
      ...{ frame: frame.frame, fromOffset: frame.offset, offset: placed.offset, rawBytes },
      bytes: placed.end - placed.offset,
      ...(whole ? {} : { entries: encodeEntries(entries) }),
    };
    this.#batch.push({ moved, data });
    this.#batchBytes += moved.bytes;
    // Of a frame that moves as a whole only one row changes.
    if (!whole) this.#batchChunks += entries.length;
    const full = this.#batch.length >= BATCH_FRAMES || this.#batchBytes >= BATCH_BYTES;
    if (full || this.#batchChunks >= BATCH_CHUNKS) await this.flush();
  }

  /** The volume that a record of at most so many bytes goes to, taken if need be. */
  async current(bytes: number): Promise<{ volume: number; name: string }> {
    const { record } = await this.#volumeFor(RECORD_FIXED_BYTES + bytes);
    return { volume: record.id, name: record.name };
  }

  /** Appends an end record to the volume that `current` named; durable after `sync`. */
  async addEnd(record: JobEndRecord): Promise<{ volume: number } & Appended> {
    const open = this.#open!;
    const placed = await this.#record(open, RecordKind.jobEnd, record);
    return { ...placed, volume: open.record.id };
  }

  async #record(open: OpenVolume, kind: RecordKind, json: unknown): Promise<Appended> {
    return this.#note(await open.writer.appendRecord(kind, json));
  }

  #note(placed: Appended): Appended {
    this.#end = placed.end;
    return placed;
  }

  async #volumeFor(need: number): Promise<OpenVolume> {
    const { desk, acquire } = this.#options;
    for (;;) {
      const open = this.#open;
      if (open === undefined) {
        const taken = await desk.acquire({ ...acquire, next: this.#taken++ > 0 });
        this.#open = taken;
        await this.#options.onVolume(taken.record.id);
        continue;
      }
      if (open.writer.broken) throw broken(open);
      const end = Math.max(open.plannedEnd, open.writer.bytes);
      const limit = limitOf(open);
      const fits = limit === 0 || end + need <= limit || (open.record.frames === 0 && this.#begun.size === 0);
      if (fits && open.record.status === "Append") {
        open.plannedEnd = end + need;
        return open;
      }
      await this.sync();
      if (open.record.status === "Append") await desk.mark(open, "Full");
      await this.#give(false);
    }
  }

  /** Everything that was appended is durable, read back, and noted in the catalog. */
  async flush(): Promise<void> {
    const open = this.#open;
    if (open === undefined || this.#batch.length === 0) return;
    await open.writer.sync();
    const batch = this.#batch;
    await this.#readBack(open, batch);
    const frames = batch.map(({ moved }) => moved);
    const { id } = open.record;
    const request = { from: this.#from, to: id, frames, end: this.#end, writtenMs: nowMs() };
    const moved = new Set(await this.#options.catalog.writer.moveFrames(request));
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchChunks = 0;
    for (const { frame, bytes } of frames) {
      if (!moved.has(frame)) this.lateFrames++;
      else {
        this.movedFrames++;
        this.movedBytes += bytes;
      }
    }
    open.record = { ...open.record, frames: open.record.frames + moved.size };
  }

  /** @throws BackupError VOLUME_DAMAGED */
  async #readBack(open: OpenVolume, batch: readonly Pending[]): Promise<void> {
    const reader = await VolumeReader.open(this.#options.store, open.writer.path);
    try {
      for (const { moved, data } of batch) {
        const { frame } = await reader.readFrameAt(moved.offset, moved.bytes);
        if (frame.equals(data)) continue;
        const text = `Volume "${open.record.name}" does not give back what was written to it at ${moved.offset}`;
        throw new BackupError("VOLUME_DAMAGED", text);
      }
    } finally {
      await reader.close();
    }
  }

  /** Flushes, and makes records behind the last frame durable; gives the end of what was appended to the volume. */
  async sync(): Promise<{ volume: number; end: number } | undefined> {
    await this.flush();
    const open = this.#open;
    if (open === undefined || this.#end === 0) return undefined;
    await open.writer.sync();
    return { volume: open.record.id, end: this.#end };
  }

  async #give(failed: boolean): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    this.#end = 0;
    this.#begun.clear();
    if (open !== undefined) await this.#options.desk.release(open, this.#options.acquire.job, failed);
  }

  /** Gives the volume back; what was appended but not noted is cut off. */
  release(failed: boolean): Promise<void> {
    return this.#give(failed);
  }
}

function limitOf({ record, device }: OpenVolume): number {
  const limits = [record.maxBytes, device.maximumVolumeSize].filter((limit) => limit > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

function broken({ record }: OpenVolume): BackupError {
  return new BackupError(
    "VOLUME_BROKEN",
    `Volume "${record.name}" cannot be written any more after an error`,
  );
}
