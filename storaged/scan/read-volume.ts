/**
 * First pass: one volume into the scratch database. Every frame is decompressed and its digests checked before its
 * chunks can count.
 *
 * Which records are believed behind damage: where a length says where the next record stands, everything goes on as
 * before. Where it had to be searched for, what was found may be the content of a file that is itself a volume. Such
 * a piece ends with the frame that it lies in, so the records of a run that was found by searching count only when
 * the run goes on for longer than a frame can be, or to the very end of the volume. Frames found that way count
 * whenever their digests are right.
 */
import { codeOf } from "../../common/errors.js";
import { type FrameIndex, RecordKind } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import { uuidText } from "../volume/json.js";
import { type VolumeItem, VolumeReader } from "../volume/reader.js";
import { decodeChange, decodeJobBegin, decodeJobEnd } from "../volume/records.js";
import { MAX_FRAME_BYTES } from "../volume/zstd-frame.js";
import { FRAME_DAMAGED, FRAME_GOOD, FRAME_UNSEEN, type ScratchFrame, type ScratchWriter } from "./scratch.js";
import type { ScanOptions } from "./types.js";

const MAX_CHECKS_UNDER_WAY = 6;
/** Places told per volume; the rest is counted. */
const MAX_TOLD = 20;

type FrameItem = Extract<VolumeItem, { type: "frame" }>;
type DamageItem = Extract<VolumeItem, { type: "damage" }>;
type RecordItem = Extract<VolumeItem, { type: "record" }>;

/** Reads a volume from its label to its end; the number of places that could not be read. */
export async function readVolume(
  scratch: ScratchWriter,
  options: ScanOptions,
  volume: { id: number; path: string },
  passed: (bytes: number) => void,
): Promise<number> {
  const reader = await VolumeReader.open(options.store, volume.path);
  try {
    return await scratch.together(() => new VolumePass(scratch, options, volume.id, reader).run(passed));
  } finally {
    await reader.close();
  }
}

class VolumePass {
  readonly #scratch: ScratchWriter;
  readonly #options: ScanOptions;
  readonly #volume: number;
  readonly #reader: VolumeReader;
  /** The run of items at hand: its number, and where it began; the first one begins with the label. */
  #segment = 0;
  #segmentStart = 0;
  #lastEnd = 0;
  #problems = 0;
  readonly #checks: { frame: ScratchFrame; good: Promise<boolean> }[] = [];

  constructor(scratch: ScratchWriter, options: ScanOptions, volume: number, reader: VolumeReader) {
    this.#scratch = scratch;
    this.#options = options;
    this.#volume = volume;
    this.#reader = reader;
  }

  async run(passed: (bytes: number) => void): Promise<number> {
    for await (const item of this.#reader.scan({ recover: true, frames: !this.#options.quick })) {
      this.#options.signal?.throwIfAborted();
      if (item.type === "damage") await this.#damage(item);
      else if (item.type === "frame") await this.#frame(item);
      else if (item.type === "record") await this.#record(item);
      if (item.type !== "damage") this.#lastEnd = item.end;
      passed(item.end - item.offset);
    }
    while (this.#checks.length > 0) await this.#settle();
    this.#endSegment(this.#lastEnd === this.#reader.size);
    if (this.#problems > 0) this.#scratch.damaged(this.#volume);
    if (this.#problems > MAX_TOLD) {
      await this.#options.complain(`${this.#reader.path}: ${this.#problems - MAX_TOLD} more places`);
    }
    return this.#problems;
  }

  async #damage(item: DamageItem): Promise<void> {
    const { index, offset, end, reason } = item;
    await this.#problem(offset, `${reason}: ${end - offset} bytes passed over`);
    if (index !== undefined) {
      const frame = { volume: this.#volume, segment: this.#segment, offset, end, index };
      this.#scratch.frame(frame, FRAME_DAMAGED);
    }
    if (!item.searched) {
      this.#lastEnd = end;
      return;
    }
    this.#endSegment(false);
    this.#segment++;
    this.#segmentStart = end;
  }

  #endSegment(toTheEnd: boolean): void {
    const long = this.#lastEnd - this.#segmentStart > MAX_FRAME_BYTES;
    this.#scratch.segment(this.#volume, this.#segment, this.#segment === 0 || toTheEnd || long);
  }

  async #record({ kind, body, offset, end }: RecordItem): Promise<void> {
    const at = { volume: this.#volume, segment: this.#segment, offset, end };
    try {
      if (kind === RecordKind.jobBegin) this.#scratch.begin(at, decodeJobBegin(body));
      else if (kind === RecordKind.jobEnd) this.#scratch.ending(at, decodeJobEnd(body));
      else {
        const change = decodeChange(body);
        if (change !== undefined) this.#scratch.change(at, change);
      }
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      await this.#problem(offset, error.message);
    }
  }

  async #frame(item: FrameItem): Promise<void> {
    const { offset, end, index } = item;
    const frame = { volume: this.#volume, segment: this.#segment, offset, end, index };
    // Closing frames hold no chunks: they are checked when the manifest is read.
    if (index.entries.length === 0) return void this.#scratch.frame(frame, FRAME_GOOD);
    const { jobId } = this.#scratch.job(uuidText(index.jobUuid), 0);
    const believed = this.#options.quick && this.#segment === 0;
    if (believed) return void this.#scratch.frame(frame, FRAME_GOOD);
    // Its job began where the volume cannot be read: another record may tell its number.
    if (jobId === 0) return void this.#scratch.frame(frame, FRAME_UNSEEN);
    const data = item.frame ?? (await this.#reader.readFrameAt(offset, end - offset)).frame;
    if (this.#checks.length >= MAX_CHECKS_UNDER_WAY) await this.#settle();
    const good = isGoodFrame(this.#options, index, data, jobId);
    good.catch(() => undefined);
    this.#checks.push({ frame, good });
  }

  async #settle(): Promise<void> {
    const { frame, good } = this.#checks.shift()!;
    const isGood = await good;
    this.#scratch.frame(frame, isGood ? FRAME_GOOD : FRAME_DAMAGED);
    if (!isGood) await this.#problem(frame.offset, "a frame whose content does not have its digests");
  }

  async #problem(offset: number, text: string): Promise<void> {
    this.#problems++;
    if (this.#problems > MAX_TOLD) return;
    await this.#options.complain(`${this.#reader.path}: at byte ${offset}: ${text}`);
  }
}

/** Whether a frame holds exactly what its index says. */
export async function isGoodFrame(
  { verifier }: ScanOptions,
  index: FrameIndex,
  data: Buffer,
  jobId: number,
): Promise<boolean> {
  try {
    await verifier.verify({ rawBytes: index.rawBytes, entries: index.entries, data }, jobId);
    return true;
  } catch (error) {
    if (codeOf(error) === "FRAME_REFUSED") return false;
    throw error;
  }
}
