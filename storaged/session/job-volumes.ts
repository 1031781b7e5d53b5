/**
 * The volumes that one job writes to, in order: appends its frames, goes on to the next volume when one is full,
 * and knows what was written where. Appends are called one after the other.
 */

import { BackupError } from "../../common/errors.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { RecordKind } from "../../common/format/frame.js";
import { nowMs, reportTime } from "../../common/time.js";
import { formatBytes } from "../../common/units.js";
import type { Catalog } from "../catalog/catalog.js";
import type { JobExtent, LocalJob, VolumeProgress } from "../catalog/types.js";
import { uuidBytes } from "../volume/json.js";
import type { JobBeginRecord } from "../volume/records.js";
import type { Appended } from "../volume/writer.js";
import type { VolumeDesk } from "./volume-desk.js";
import type { AcquireRequest, OpenVolume } from "./volume-messages.js";

/** A frame to append; its number within the job is given here. */
export interface JobFrame {
  rawBytes: number;
  entries: readonly FrameEntry[];
  data: Uint8Array;
}

export interface PlacedFrame {
  volume: number;
  offset: number;
  bytes: number;
}

export interface JobVolumesOptions {
  desk: VolumeDesk;
  catalog: Catalog;
  job: LocalJob;
  begin: JobBeginRecord;
  acquire: Omit<AcquireRequest, "next">;
}

/** Upper bounds of an index record. */
const INDEX_FIXED_BYTES = 128;
const INDEX_ENTRY_BYTES = 42;

export class JobVolumes {
  readonly #options: JobVolumesOptions;
  readonly #uuid: Buffer;
  readonly #used: { open: OpenVolume; extent: JobExtent; frames: number; reportedFrames: number }[] = [];
  #sequence = 0;
  readonly #giveUp = new AbortController();
  #released = false;
  #starting: Promise<void> | undefined;
  #checkpoint: Promise<void> | undefined;
  /** Bytes of frames and records written so far. */
  bytesStored = 0;

  constructor(options: JobVolumesOptions) {
    this.#options = options;
    this.#uuid = uuidBytes(options.begin.jobUuid);
  }

  /** Frames appended so far: the next one's number within the job. */
  get frames(): number {
    return this.#sequence;
  }

  /** Names in order of use. */
  get names(): string[] {
    return [...new Set(this.#used.map(({ open }) => open.record.name))];
  }

  get current(): OpenVolume | undefined {
    return this.#used.at(-1)?.open;
  }

  get extents(): JobExtent[] {
    return this.#used.map(({ extent }) => ({ ...extent }));
  }

  /** Mounts the first volume; `append` would do it too, but later. */
  start(): Promise<void> {
    this.#starting ??= this.#mount(false);
    return this.#starting;
  }

  async append(frame: JobFrame): Promise<PlacedFrame> {
    const need = INDEX_FIXED_BYTES + INDEX_ENTRY_BYTES * frame.entries.length + frame.data.length;
    const at = await this.#volumeFor(need);
    const { open } = at;
    open.plannedEnd = Math.max(open.plannedEnd, open.writer.bytes) + need;
    const appended = await open.writer.appendFrame({
      ...frame,
      jobUuid: this.#uuid,
      sequence: this.#sequence++,
    });
    this.#note(appended);
    at.frames++;
    return { volume: open.record.id, offset: appended.offset, bytes: appended.end - appended.offset };
  }

  async appendRecord(kind: RecordKind, json: unknown): Promise<void> {
    await this.start();
    this.#note(await this.current!.writer.appendRecord(kind, json));
  }

  #note({ offset, end }: Appended): void {
    const { extent } = this.#used.at(-1)!;
    extent.endOffset = end;
    this.bytesStored += end - offset;
  }

  async #volumeFor(need: number) {
    await this.start();
    for (;;) {
      const at = this.#used.at(-1)!;
      const { open } = at;
      const limit = limitOf(open);
      const end = Math.max(open.plannedEnd, open.writer.bytes);
      // A volume without a frame takes one whatever its limit: otherwise none would ever take it.
      const fits =
        limit === 0 ||
        end + need <= limit ||
        (at.frames === 0 && open.record.frames === 0 && open.users.size === 1);
      if (fits && !open.writer.broken) return at;
      await this.#endOfMedium(open, limit);
      await this.#mount(true);
    }
  }

  async #mount(next: boolean): Promise<void> {
    const { desk, acquire, begin } = this.#options;
    const signal = AbortSignal.any([acquire.signal, this.#giveUp.signal]);
    const open = await desk.acquire({ ...acquire, signal, next });
    const { bytes } = open.writer;
    const extent = { volume: open.record.id, firstOffset: bytes, endOffset: bytes };
    this.#used.push({ open, extent, frames: 0, reportedFrames: 0 });
    const { offset, end } = await open.writer.appendRecord(RecordKind.jobBegin, begin);
    extent.firstOffset = offset;
    extent.endOffset = end;
    this.bytesStored += end - offset;
  }

  async #endOfMedium(open: OpenVolume, limit: number): Promise<void> {
    const { catalog, acquire } = this.#options;
    const { record, device, writer } = open;
    const place = `device "${device.name}" (${device.archiveDevice})`;
    if (limit > 0) {
      const text = `User defined maximum volume size ${limit} will be exceeded on ${place}.`;
      await acquire.reporter.message("info", `${text} Marking Volume "${record.name}" as Full.`);
    }
    await catalog.writer.setVolumeStatus(record.id, writer.broken ? "Error" : "Full");
    const blocks = record.frames + (this.#used.at(-1)?.frames ?? 0);
    const end = `End of medium on Volume "${record.name}" Bytes=${writer.bytes} Blocks=${blocks}`;
    await acquire.reporter.message(
      "info",
      `${end} at ${reportTime(nowMs())} (${formatBytes(writer.bytes)}).`,
    );
  }

  /**
   * Makes everything appended so far durable; resolves to what the catalog may then promise. Frames are counted
   * once.
   */
  async sync(): Promise<VolumeProgress[]> {
    const writtenMs = nowMs();
    const progress: VolumeProgress[] = [];
    for (const at of new Set(this.#used)) {
      const frames = at.frames - at.reportedFrames;
      at.reportedFrames = at.frames;
      const bytes = await at.open.writer.sync();
      progress.push({ volume: at.open.record.id, bytes, frames, writtenMs });
    }
    return progress;
  }

  /** Syncs and records how far; at most one at a time, a second call joins the first. */
  checkpoint(): Promise<void> {
    this.#checkpoint ??= (async () => {
      try {
        await this.#options.catalog.writer.checkpoint(await this.sync());
      } finally {
        this.#checkpoint = undefined;
      }
    })();
    return this.#checkpoint;
  }

  /** No further volume is waited for. */
  giveUp(): void {
    this.#giveUp.abort(new BackupError("JOB_FAILED", "the job has ended"));
  }

  /** Gives all volumes back. Calling it again does nothing. */
  async release(failed: boolean): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.giveUp();
    await this.#starting?.catch(() => undefined);
    await this.#checkpoint?.catch(() => undefined);
    for (const open of new Set(this.#used.map((at) => at.open))) {
      await this.#options.desk.release(open, this.#options.job, failed);
    }
  }
}

/** The least of the volume's and the device's limit; 0: none. */
function limitOf({ record, device }: OpenVolume): number {
  const limits = [record.maxBytes, device.maximumVolumeSize].filter((limit) => limit > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}
