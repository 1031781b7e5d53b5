/** The text of a job's manifest in force, piece by piece, out of its closing frames. */
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { parseMemberName } from "../../common/format/member.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import type { Store } from "../store/store.js";
import { plainName, unpackFrame } from "../volume/frame-check.js";
import { uuidText } from "../volume/json.js";
import { DamagedVolume, VolumeReader } from "../volume/reader.js";
import { type JobEndRecord, manifestRevision } from "../volume/records.js";
import { walkMember } from "../volume/tar-walk.js";

interface Place {
  volume: number;
  path: string;
  offset: number;
  bytes: number;
}

/** Hears of a closing frame that cannot be read: the number of its volume in the scratch database, and its place. */
export type OnDamage = (volume: number, path: string, offset: number) => Promise<void>;

/** Reads closing frames; keeps one volume open at a time. Close it in the end. */
export class ManifestFrames {
  readonly #store: Store;
  readonly #onDamage: OnDamage;
  readonly #places;
  readonly #numbers;
  readonly #raw = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  #reader: VolumeReader | undefined;

  constructor(store: Store, scratch: Db, onDamage: OnDamage) {
    this.#store = store;
    this.#onDamage = onDamage;
    this.#places = scratch.prepare<[number, number], Place>(
      `SELECT v.id AS volume, v.path, f.offset, f.bytes FROM frame f JOIN volume v ON v.id = f.volume
       JOIN segment s ON s.volume = f.volume AND s.segment = f.segment AND s.trusted = 1
       WHERE f.job = ? AND f.seq = ? AND f.chunks = 0 ORDER BY f.state, v.created_ms DESC`,
    );
    this.#numbers = scratch
      .prepare<[number, number, number], number>(
        "SELECT DISTINCT seq FROM frame WHERE job = ? AND seq BETWEEN ? AND ? AND chunks = 0 ORDER BY seq",
      )
      .pluck();
  }

  /** Numbers of the closing frames of a record, as far as they are there: what it says itself may be anything. */
  #numbersOf(job: number, [first, count]: readonly [number, number]): number[] {
    return this.#numbers.all(job, first, first + count - 1);
  }

  /**
   * Pieces of the manifest in order; each is valid until the next is asked for. The last may be missing.
   * @throws GarbledInput when one before another is
   */
  async *pieces(job: number, record: JobEndRecord): AsyncGenerator<Buffer, void> {
    let number = 0;
    for (const seq of this.#numbersOf(job, record.closing)) {
      const raw = await this.#frame(job, seq, record.jobUuid);
      // Its members are also in the manifest, and a piece of that would be missed.
      if (raw === undefined) continue;
      for (let at = 0; at < raw.length; ) {
        const member = walkMember(raw, at);
        at = member.end;
        const name = parseMemberName(record.jobId, plainName(member));
        if (name.kind !== "manifest") continue;
        if (name.revision !== manifestRevision(record) || name.number !== ++number) {
          throw new GarbledInput("a piece of its manifest is missing");
        }
        yield raw.subarray(member.dataAt, member.dataAt + member.size);
      }
    }
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    this.#reader = undefined;
  }

  async #frame(job: number, seq: number, uuid: string): Promise<Buffer | undefined> {
    for (const { volume, path, offset, bytes } of this.#places.all(job, seq)) {
      try {
        const { index, frame } = await (await this.#open(path)).readFrameAt(offset, bytes);
        if (uuidText(index.jobUuid) !== uuid || index.sequence !== seq)
          throw new GarbledInput("another frame");
        return unpackFrame(this.#raw, frame, index.rawBytes);
      } catch (error) {
        if (!(error instanceof GarbledInput || error instanceof DamagedVolume)) throw error;
        await this.#onDamage(volume, path, offset);
      }
    }
    return undefined;
  }

  async #open(path: string): Promise<VolumeReader> {
    if (this.#reader?.path === path) return this.#reader;
    await this.close();
    this.#reader = await VolumeReader.open(this.#store, path);
    return this.#reader;
  }
}
