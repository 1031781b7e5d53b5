/** Reads frames and chunks that a Survey found. Every chunk is compared with its digest before it is used. */
import { contentDigest, MAX_FRAME_RAW_BYTES } from "../../../common/format/content.js";
import { GarbledInput } from "../../../common/format/varint.js";
import { unpackFrame } from "../frame-check.js";
import { DamagedVolume } from "../reader.js";
import type { FramePlace, ListRecord, Survey } from "./survey.js";

/** Decompressed frames that are kept: neighbours in a list mostly lie in the same ones. */
const KEPT_FRAMES = 4;

export class Contents {
  readonly #survey: Survey;
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  /** By volume and offset, least recently used first. */
  readonly #frames = new Map<string, Buffer>();

  constructor(survey: Survey) {
    this.#survey = survey;
  }

  /** True when one of the volumes says that it holds the chunk. */
  has(digest: Buffer): boolean {
    return this.#survey.chunks(digest).length > 0;
  }

  /** A chunk's bytes, valid until the next call; undefined when no volume has it undamaged. */
  async chunk(digest: Buffer): Promise<Buffer | undefined> {
    for (const place of this.#survey.chunks(digest)) {
      const raw = await this.#frame(place);
      const bytes = raw?.subarray(place.at, place.at + place.size);
      if (bytes !== undefined && contentDigest(bytes).equals(digest)) return bytes;
    }
    return undefined;
  }

  /** See Survey.closing. */
  closingFrames(end: ListRecord): number[] {
    return this.#survey.closing(end);
  }

  /** A closing frame, decompressed; undefined when no volume has it undamaged. */
  async closing(jobUuid: Buffer, sequence: number): Promise<Buffer | undefined> {
    for (const place of this.#survey.frames(jobUuid, sequence)) {
      const raw = await this.#frame(place);
      if (raw !== undefined) return raw;
    }
    return undefined;
  }

  async #frame(place: FramePlace): Promise<Buffer | undefined> {
    const name = `${place.volume}:${place.offset}`;
    let raw = this.#frames.get(name);
    if (raw === undefined) raw = await this.#load(place);
    if (raw === undefined) return undefined;
    this.#frames.delete(name);
    this.#frames.set(name, raw);
    if (this.#frames.size > KEPT_FRAMES) this.#frames.delete(this.#frames.keys().next().value!);
    return raw;
  }

  async #load({ volume, offset, length }: FramePlace): Promise<Buffer | undefined> {
    try {
      const { index, frame } = await this.#survey.readers[volume]!.readFrameAt(offset, length);
      return Buffer.from(unpackFrame(this.#scratch, frame, index.rawBytes));
    } catch (error) {
      if (error instanceof GarbledInput || error instanceof DamagedVolume) return undefined;
      throw error;
    }
  }
}
