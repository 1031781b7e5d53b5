/**
 * Empties one volume: what lives goes to other volumes of its pool, then nobody needs it any more. Stopped at any
 * point, every frame is at one place that the catalog knows; the next vacuum goes on.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import type { Remote } from "../catalog/worker-rpc.js";
import type { CountedJob, PlacedEnds } from "../catalog/writer-vacuum.js";
import type { Reporter } from "../session/reporter.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import type { Store } from "../store/store.js";
import { checkClosingFrame, unpackFrame } from "../volume/frame-check.js";
import { uuidText } from "../volume/json.js";
import { type VolumeFrame, VolumeReader } from "../volume/reader.js";
import { type ChangeRecord, type JobBeginRecord, manifestRevision } from "../volume/records.js";
import type { FrameVerifier } from "../volume/verify.js";
import { appendChange } from "./change-records.js";
import { findEndRecord } from "./end-records.js";
import type { LiveFrame, LiveJob } from "./live-found.js";
import type { LiveMethods } from "./live-worker.js";
import { type PackedFrame, repack, sameEntries } from "./repack.js";
import type { VacuumTarget } from "./vacuum-target.js";

export interface VolumeVacuumOptions {
  catalog: Catalog;
  desk: Pick<VolumeDesk, "withWriter">;
  store: Store;
  verifier: FrameVerifier;
  live: Remote<LiveMethods>;
  target: VacuumTarget;
  reporter: Reporter;
  signal: AbortSignal;
  /** Where a volume lies; undefined when its device is not configured. */
  pathOf: (volume: number) => string | undefined;
  /** Waits as long as the rate asks for so many bytes. */
  pause: (bytes: number) => Promise<void>;
  /** Runs work while nothing is pruned, purged or rebased. */
  exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  /** Damaged chunks when content was counted. */
  damaged: number;
  /** Revisions that this vacuum gave to jobs since it counted. */
  renewed: Map<LocalJob, number>;
}

const PAGE_FRAMES = 64;
/** Jobs that leave the volume in one call. */
const LEAVE_JOBS = 100;

/** A job that may do without the volume, and the revision of the end record that is in force; 0: none lay here. */
interface LeavingJob extends CountedJob {
  uuid: string;
  inForce: number;
}

export class VolumeVacuum {
  readonly #options: VolumeVacuumOptions;
  readonly #volume: VolumeRecord;
  readonly #owners = new Map<number, JobBeginRecord>();
  /** Frames that could not be moved. */
  #stuck = 0;

  constructor(options: VolumeVacuumOptions, volume: VolumeRecord) {
    this.#options = options;
    this.#volume = volume;
  }

  /**
   * True when nobody needs the volume for anything that was counted.
   * @throws STORE_ and VOLUME_ codes of the target; the signal's reason
   */
  async run(): Promise<boolean> {
    const { store, pathOf, target } = this.#options;
    const path = pathOf(this.#volume.id);
    if (path === undefined)
      throw new BackupError("DEVICE_UNKNOWN", `Volume "${this.#volume.name}" is out of reach`);
    const reader = await VolumeReader.open(store, path);
    try {
      await this.#move(reader);
    } finally {
      await reader.close();
    }
    await target.flush();
    if (this.#stuck + target.lateFrames > 0) return false;
    // Waiting for a volume must not keep others from pruning.
    const all = await this.#jobs();
    if (all.some(({ hasRecord }) => hasRecord)) await target.current(0);
    return this.#options.exclusively(() => this.#leave());
  }

  async #move(reader: VolumeReader): Promise<void> {
    const { live, signal } = this.#options;
    for (let after = -1; ; ) {
      const page = await live.frames(this.#volume.id, after, PAGE_FRAMES);
      if (page.length === 0) return;
      for (const frame of page) {
        signal.throwIfAborted();
        await this.#moveOne(reader, frame);
      }
      after = page.at(-1)!.offset;
    }
  }

  async #moveOne(reader: VolumeReader, live: LiveFrame): Promise<void> {
    const owner = await this.#ownerOf(live.owner);
    // Its job has gone altogether since it was counted.
    if (owner === undefined) return;
    let found: { source: VolumeFrame; packed: PackedFrame; whole: boolean } | undefined;
    try {
      const source = await reader.readFrameAt(live.offset, live.bytes);
      const packed = await this.#packed(source, live, owner);
      if (packed !== undefined) found = { source, ...packed };
    } catch (error) {
      if (!(error instanceof BackupError) || codeOf(error) !== "VOLUME_DAMAGED") throw error;
      await this.#stay(live, describeError(error));
      return;
    }
    if (found === undefined) return;
    const { source, packed, whole } = found;
    await this.#options.target.add(live, packed, owner, source.index.sequence, whole);
    await this.#options.pause(live.bytes);
  }

  async #ownerOf(job: number): Promise<JobBeginRecord | undefined> {
    let owner = this.#owners.get(job);
    if (owner === undefined) {
      owner = await this.#options.live.owner(job);
      if (owner !== undefined) this.#owners.set(job, owner);
    }
    return owner;
  }

  /** The frame as it is to be appended, checked; undefined when something that lives in it is lost. */
  async #packed(source: VolumeFrame, live: LiveFrame, owner: JobBeginRecord) {
    const { index, frame } = source;
    const { rawBytes, entries } = index;
    const known =
      uuidText(index.jobUuid) === owner.jobUuid &&
      rawBytes === live.rawBytes &&
      sameEntries(entries, live.entries, rawBytes);
    if (!known) {
      await this.#stay(live, "it is not the frame that the catalog has there");
      return undefined;
    }
    const whole: PackedFrame = { rawBytes, entries, data: frame };
    if (!live.repack && (await this.#isGood(whole, owner.jobId))) return { packed: whole, whole: true };
    if (entries.length > 0) {
      const part = repack(frame, rawBytes, entries, new Set(live.live));
      const complete = part !== undefined && part.entries.length === live.live.length;
      if (complete && (await this.#isGood(part, owner.jobId))) return { packed: part, whole: false };
    }
    await this.#stay(live, "its content is damaged");
    return undefined;
  }

  async #isGood(packed: PackedFrame, jobId: number): Promise<boolean> {
    const { rawBytes, entries, data } = packed;
    try {
      if (entries.length > 0) await this.#options.verifier.verify(packed, jobId);
      else checkClosingFrame(unpackFrame(Buffer.allocUnsafeSlow(rawBytes), data, rawBytes), jobId);
      return true;
    } catch (error) {
      if (error instanceof GarbledInput || codeOf(error) === "FRAME_REFUSED") return false;
      throw error;
    }
  }

  async #stay({ offset }: LiveFrame, why: string): Promise<void> {
    this.#stuck++;
    const text = `Volume "${this.#volume.name}": the frame at ${offset} stays where it is: ${why}.`;
    await this.#options.reporter.message("error", text);
  }

  /** Counted jobs that have to do with the volume. */
  async #jobs(): Promise<LiveJob[]> {
    const { live, renewed } = this.#options;
    const all = await live.jobsOf(this.#volume.id);
    return all.map((job) => ({ ...job, revision: renewed.get(job.job) ?? job.revision }));
  }

  /** New end records for the jobs whose own lie here; then the catalog lets the volume go. */
  async #leave(): Promise<boolean> {
    const { catalog, target, damaged } = this.#options;
    const { id: volume } = this.#volume;
    const jobs: LeavingJob[] = [];
    const placed: PlacedEnds = { ends: [], lengths: [] };
    const all = await this.#jobs();
    for (const job of all) {
      const leaving = job.hasRecord ? await this.#renewEnd(job, placed) : { ...job, inForce: 0 };
      if (leaving !== undefined) jobs.push(leaving);
    }
    const synced = await target.sync();
    if (synced !== undefined) placed.lengths.push(synced);
    // Before the ones that they take the place of are declared void.
    await catalog.writer.noteEnds(placed);
    await this.#retire(jobs);
    const counted = jobs.map(({ job, revision }) => ({ job, revision }));
    let left = 0;
    for (let at = 0; at < counted.length; at += LEAVE_JOBS) {
      const some = counted.slice(at, at + LEAVE_JOBS);
      left += await catalog.writer.leaveVolume({ volume, jobs: some, damaged });
    }
    return left === all.length;
  }

  /**
   * The end records that stay here are out of date, and no delete record will ever be written here again: one that
   * names them keeps a scan from bringing the jobs back once they are deleted and the volumes with the newer records
   * are used again.
   */
  async #retire(leaving: readonly LeavingJob[]): Promise<void> {
    const jobs = leaving
      .filter(({ inForce }) => inForce > 1)
      .map(({ uuid, inForce }) => ({ jobUuid: uuid, revision: inForce - 1 }));
    const record: ChangeRecord = { op: "delete", timeMs: nowMs(), jobs };
    if (jobs.length > 0) await appendChange(this.#options, this.#volume, record);
  }

  async #renewEnd(job: LiveJob, { ends, lengths }: PlacedEnds): Promise<LeavingJob | undefined> {
    const { store, pathOf, target, catalog, reporter, renewed } = this.#options;
    const { id: leaving, name } = this.#volume;
    // This vacuum wrote the one in force when it emptied another volume: those here are out of date.
    if (renewed.has(job.job)) return { ...job, inForce: job.revision };
    const found = await findEndRecord(store, pathOf, job.uuid, job.ends);
    // A newer one than the one found may lie where nobody can look: an older list would come into force again.
    const away = job.ends.some(({ volume }) => pathOf(volume) === undefined);
    if (found === undefined || (away && found.record.revision < job.revision)) {
      await reporter.message(
        "warning",
        `Volume "${name}": no end record of JobId ${job.jobId} was found; it stays.`,
      );
      return undefined;
    }
    // The one in force lies elsewhere: those here are out of date.
    if (found.volume !== leaving) return { ...job, inForce: found.record.revision };
    const length = JSON.stringify(found.record).length * 2;
    const before = await target.sync();
    const { volume: to, name: toName } = await target.current(length);
    if (before !== undefined && before.volume !== to) lengths.push(before);
    const reserved = await catalog.writer.reserveEnd(job, to, leaving);
    if (reserved === undefined) return undefined;
    const { revision } = reserved;
    renewed.set(job.job, revision);
    const volumes = [...new Set([...reserved.volumes, toName])];
    const placed = await target.addEnd({
      ...found.record,
      revision,
      manifest: manifestRevision(found.record),
      volumes,
    });
    ends.push({ job: job.job, volume: placed.volume, offset: placed.offset, end: placed.end });
    return { ...job, revision, inForce: revision };
  }
}
