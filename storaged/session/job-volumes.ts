/**
 * The volumes that one job writes to, in order: appends its frames, goes on to the next volume when one is full,
 * and knows what was written where. Appends are called one after the other.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { type FrameEntry, maxIndexBytes, RecordKind } from "../../common/format/frame.js";
import { nowMs, reportTime } from "../../common/time.js";
import { formatBytes } from "../../common/units.js";
import type { Catalog } from "../catalog/catalog.js";
import type { JobCheckpoint } from "../catalog/checkpoint-types.js";
import type { JobExtent, LocalJob, VolumeProgress } from "../catalog/types.js";
import { uuidBytes } from "../volume/json.js";
import type { JobBeginRecord } from "../volume/records.js";
import type { Appended } from "../volume/writer.js";
import type { VolumeDesk } from "./volume-desk.js";
import { endOfVolume } from "./volume-fit.js";
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
  /** Number of the first frame. (Default: 0) */
  firstSequence?: number;
  /** What it wrote before a crash. */
  before?: { extents: readonly JobExtent[]; volumes: readonly string[]; bytesStored: number };
}

interface UsedVolume {
  open: OpenVolume;
  extent: JobExtent;
  frames: number;
  reportedFrames: number;
}

export class JobVolumes {
  readonly #options: JobVolumesOptions;
  readonly #uuid: Buffer;
  readonly #used: UsedVolume[] = [];
  /** Devices that had no room left for this job. */
  readonly #full = new Set<string>();
  #sequence: number;
  readonly #giveUp = new AbortController();
  readonly #waiting = new AbortController();
  /** What there is no room for any more goes where the last frames went, whatever the limits of that volume. */
  #overruns = false;
  #released = false;
  #starting: Promise<void> | undefined;
  #checkpoint: Promise<void> | undefined;
  /** Bytes of frames and records written so far. */
  bytesStored: number;

  constructor(options: JobVolumesOptions) {
    this.#options = options;
    this.#sequence = options.firstSequence ?? 0;
    this.bytesStored = options.before?.bytesStored ?? 0;
    this.#uuid = uuidBytes(options.begin.jobUuid);
  }

  /** Frames appended so far: the next one's number within the job. */
  get frames(): number {
    return this.#sequence;
  }

  /** Names in order of use. */
  get names(): string[] {
    const before = this.#options.before?.volumes ?? [];
    return [...new Set([...before, ...this.#used.map(({ open }) => open.record.name)])];
  }

  get current(): OpenVolume | undefined {
    return this.#used.at(-1)?.open;
  }

  get extents(): JobExtent[] {
    const before = this.#options.before?.extents ?? [];
    return [...before, ...this.#used.map(({ extent }) => extent)].map((extent) => ({ ...extent }));
  }

  /** Mounts the first volume; `append` would do it too, but later. */
  start(): Promise<void> {
    this.#starting ??= this.#mount(false).then(() => undefined);
    return this.#starting;
  }

  async append(frame: JobFrame): Promise<PlacedFrame> {
    const need = maxIndexBytes(frame.entries.length) + frame.data.length;
    return this.#whereThereIsRoom(async () => {
      const at = await this.#volumeFor(need);
      const { open } = at;
      open.plannedEnd = Math.max(open.plannedEnd, open.writer.bytes) + need;
      const sequence = this.#sequence;
      const appended = await open.writer.appendFrame({ ...frame, jobUuid: this.#uuid, sequence });
      this.#sequence++;
      this.#note(appended);
      at.frames++;
      if (open.record.firstWrittenMs === 0) open.record = { ...open.record, firstWrittenMs: nowMs() };
      return { volume: open.record.id, offset: appended.offset, bytes: appended.end - appended.offset };
    });
  }

  async appendRecord(kind: RecordKind, json: unknown): Promise<void> {
    await this.start();
    await this.#whereThereIsRoom(async () => this.#note(await this.current!.writer.appendRecord(kind, json)));
  }

  /** Does the same again on another device when the disk is full, as long as there is one. */
  async #whereThereIsRoom<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const at = this.#used.at(-1);
        if (at === undefined || codeOf(error) !== "STORE_FULL" || !(await this.#moveOn(at, error)))
          throw error;
      }
    }
  }

  /**
   * The disk below a volume is full. Goes on on another device if one has room, and marks the volume as Full.
   * Otherwise the job must fail: it would wait for ever, and its bytes may be all the room that is missing.
   */
  async #moveOn(at: UsedVolume, error: unknown): Promise<boolean> {
    const { desk, acquire } = this.#options;
    const { record, device, writer } = at.open;
    this.#full.add(device.name);
    const open = await desk.tryAcquire(this.#ask(true));
    if (open === undefined) return false;
    const place = `device "${device.name}" (${device.archiveDevice})`;
    const text = `Write error at ${writer.bytes} on ${place} Vol=${record.name}. ERR=${describeError(error)}.`;
    await acquire.reporter.message("warning", text);
    await this.#endOfMedium(at.open, "Full");
    await this.#take(open);
    return true;
  }

  #note({ offset, end }: Appended): void {
    const { extent } = this.#used.at(-1)!;
    extent.endOffset = end;
    this.bytesStored += end - offset;
  }

  async #volumeFor(need: number): Promise<UsedVolume> {
    await this.start();
    for (;;) {
      const at = this.#used.at(-1)!;
      const { open } = at;
      if (this.#stays === at && !open.writer.broken) return at;
      // What the job has there may be lost, and with it the job.
      if (open.writer.broken) await this.#broken(open);
      const end = await endOfVolume(open, at.frames, need, this.#options.acquire.reporter);
      if (end === undefined) return at;
      await this.#endOfMedium(open, end);
      if (!(await this.#mount(true))) this.#stays = at;
    }
  }
  #stays: UsedVolume | undefined;

  async #broken(open: OpenVolume): Promise<never> {
    const { desk, catalog } = this.#options;
    const { id, name } = open.record;
    await desk.mark(open, "Error");
    await catalog.writer.countVolumeError(id);
    throw new BackupError("VOLUME_BROKEN", `Volume "${name}" cannot be written any more after an error`);
  }

  /** False: there is none, and the last one is to do. @throws also the reason of `waitNoMore`, where it would have to wait */
  async #mount(next: boolean): Promise<boolean> {
    const { desk } = this.#options;
    const { signal } = this.#waiting;
    try {
      const atOnce = this.#overruns || signal.aborted;
      const open = await (atOnce ? desk.tryAcquire(this.#ask(next)) : desk.acquire(this.#ask(next, signal)));
      if (open === undefined) throw this.refusal;
      await this.#take(open);
      return true;
    } catch (error) {
      // It may be told so while it waits.
      if (!this.#overruns || this.#used.length === 0 || error !== this.refusal) throw error;
      return false;
    }
  }

  #ask(next: boolean, ...signals: AbortSignal[]): AcquireRequest {
    const { acquire } = this.#options;
    const signal = AbortSignal.any([acquire.signal, this.#giveUp.signal, ...signals]);
    return { ...acquire, signal, next, avoid: this.#full };
  }

  async #take(open: OpenVolume): Promise<void> {
    try {
      await this.#begin(open);
    } catch (error) {
      if (codeOf(error) !== "STORE_FULL" || !(await this.#moveOn(this.#used.at(-1)!, error))) throw error;
    }
  }

  /** A volume counts as used before anything is written: it is given back whatever happens. */
  async #begin(open: OpenVolume): Promise<void> {
    const { bytes } = open.writer;
    const extent = { volume: open.record.id, firstOffset: bytes, endOffset: bytes };
    this.#used.push({ open, extent, frames: 0, reportedFrames: 0 });
    const { offset, end } = await open.writer.appendRecord(RecordKind.jobBegin, this.#options.begin);
    extent.firstOffset = offset;
    extent.endOffset = end;
    this.bytesStored += end - offset;
  }

  async #endOfMedium(open: OpenVolume, status: string): Promise<void> {
    const { desk, acquire } = this.#options;
    const { record, writer } = open;
    if (record.status === "Append") await desk.mark(open, status);
    const blocks = record.frames + (this.#used.findLast((at) => at.open === open)?.frames ?? 0);
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

  /** Syncs and records how far, and that `safe` holds then; at most one at a time, a second call joins the first. */
  checkpoint(safe?: JobCheckpoint): Promise<void> {
    this.#checkpoint ??= (async () => {
      try {
        await this.#options.catalog.writer.checkpoint(await this.sync(), safe);
      } finally {
        this.#checkpoint = undefined;
      }
    })();
    return this.#checkpoint;
  }

  /** No volume is waited for any more: what would have to rejects with `reason`. Volumes that are there will do. */
  waitNoMore(reason: unknown): void {
    if (!this.#waiting.signal.aborted) this.#waiting.abort(reason);
  }

  /** The reason of `waitNoMore`. */
  get refusal(): unknown {
    return this.#waiting.signal.aborted ? this.#waiting.signal.reason : undefined;
  }

  /** What still comes goes to the last volume when there is no other one: the end of a run that is to be kept. */
  overrun(): void {
    this.#overruns = true;
  }

  /** No volume is used any more. */
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
