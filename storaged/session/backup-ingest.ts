/**
 * What filed sends, on its way to volume and catalog. Frames are verified in parallel and appended in order; parts
 * and rows follow the frames they came behind. A bounded number of messages is under way: then the stream is not
 * read any further, and filed slows down.
 */

import { DIGEST_BYTES, PART_BYTES } from "../../common/format/content.js";
import { type FrameEntry, writeEntries } from "../../common/format/frame.js";
import { ByteWriter } from "../../common/format/varint.js";
import { monotonicMs } from "../../common/time.js";
import { decodeFrame, decodeParts } from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { JobCheckpoint, SessionCheckpoint } from "../catalog/checkpoint-types.js";
import type { BegunJob, FrameRow } from "../catalog/types.js";
import { detached } from "../catalog/worker-rpc.js";
import type { FrameVerifier } from "../volume/verify.js";
import type { JobVolumes } from "./job-volumes.js";

const MAX_FRAMES_UNDER_WAY = 8;
const MAX_STEPS_UNDER_WAY = 64;
/** Frames whose chunks go to the catalog together, and about how many chunks: other jobs wait for one such call. */
const BATCH_FRAMES = 64;
const BATCH_CHUNKS = 256;
/** Parts that are checked in one call. */
const STEP_PARTS = 512;
const CHECKPOINT_MS = 15_000;
const CHECKPOINT_BYTES = 256 * 1024 * 1024;

export interface CheckpointEvery {
  ms?: number;
  bytes?: number;
}

export interface IngestOptions {
  catalog: Catalog;
  verifier: FrameVerifier;
  volumes: JobVolumes;
  job: BegunJob;
  jobId: number;
  /** Where messages come from, and go when they have served. */
  stream: Pick<DataStream, "release">;
  /** Called once, with the first failure. */
  onFailure: (error: unknown) => void;
  /** Of a job that may be kept when it ends early: what else a start after a crash needs for that. */
  keep?: Pick<SessionCheckpoint, "begin" | "device" | "spread"> | undefined;
  /** How far apart checkpoints are at most. (Default: 15 s and 256 MiB) */
  checkpoints?: CheckpointEvery | undefined;
}

/** A number of places; `enter` waits for one. After `fail` it rejects. */
class Gate {
  #free: number;
  #failure: { error: unknown } | undefined;
  readonly #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  async enter(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next.resolve();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

export class Ingest {
  readonly #options: IngestOptions;
  readonly #frames = new Gate(MAX_FRAMES_UNDER_WAY);
  readonly #steps = new Gate(MAX_STEPS_UNDER_WAY);
  #chain: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;
  /** No volume was there for what came next: what came before that stands. */
  #cut: { error: unknown } | undefined;
  #batch: FrameRow[] = [];
  /** Digests received that the catalog's thread has not been told of yet. */
  readonly #unposted = new Set<string>();
  #batchDigests: string[] = [];
  #checkpointAt = monotonicMs();
  #checkpointBytes = 0;
  /** Everything up to this key is in volume and catalog, with all that it needs. */
  marked: string | undefined;
  rawBytes = 0;

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  /** Resolves when the next message may be read. @throws GarbledInput */
  async frame(message: Buffer): Promise<void> {
    const frame = decodeFrame(message);
    const { verifier, jobId } = this.#options;
    await this.#frames.enter();
    const digests = this.#remember(frame.entries);
    const verified = verifier.verify(frame, jobId);
    await this.#step(async () => {
      try {
        await verified;
        const placed = await this.#options.volumes.append(frame);
        const entries = encodeEntries(frame.entries);
        this.#batch.push({ ...placed, rawBytes: frame.rawBytes, entries });
        this.#batchDigests.push(...digests);
        this.rawBytes += frame.rawBytes;
        const full = this.#batch.length >= BATCH_FRAMES || this.#batchDigests.length >= BATCH_CHUNKS;
        if (full) await this.#flush();
        await this.#checkpointIfDue(placed.bytes);
      } finally {
        this.#frames.leave();
        this.#options.stream.release(message);
      }
    }, verified);
  }

  parts(message: Buffer): Promise<void> {
    const { sequence, parts, last } = decodeParts(message);
    const { catalog, job } = this.#options;
    const end = last === undefined ? undefined : { size: last.size, identity: detached(last.identity) };
    return this.#step(async () => {
      await this.#flush();
      let at = 0;
      for (; parts.length - at > STEP_PARTS * PART_BYTES; at += STEP_PARTS * PART_BYTES)
        await catalog.writer.addParts(
          job.id,
          sequence,
          detached(parts.subarray(at, at + STEP_PARTS * PART_BYTES)),
        );
      await catalog.writer.addParts(job.id, sequence, detached(parts.subarray(at)), end);
    });
  }

  rows(block: Buffer): Promise<void> {
    const { catalog, job } = this.#options;
    return this.#step(async () => {
      await this.#flush();
      await catalog.writer.addRows(job.id, detached(block));
    });
  }

  state(block: Buffer): Promise<void> {
    const { catalog, job } = this.#options;
    return this.#step(() => catalog.writer.addState(job.id, detached(block)));
  }

  /** Everything up to `key` came before this. */
  mark(key: string): Promise<void> {
    return this.#step(async () => {
      await this.#flush();
      this.marked = key;
      await this.#checkpointIfDue(0);
    });
  }

  /** One byte per digest, 1 for what need not be sent. */
  async claim(digests: Buffer): Promise<Buffer> {
    const { catalog, job } = this.#options;
    const received: number[] = [];
    if (!job.selfContained && job.pool.deduplicate) {
      for (let i = 0, at = 0; at < digests.length; i++, at += DIGEST_BYTES) {
        if (this.#unposted.has(digests.latin1Slice(at, at + DIGEST_BYTES))) received.push(i);
      }
    }
    const answer = Buffer.from(await catalog.writer.known(job.id, detached(digests)));
    for (const i of received) answer[i] = 1;
    return answer;
  }

  /** Resolves when everything received so far is in volume and catalog. @throws the first failure */
  async drain(): Promise<void> {
    await this.#step(() => this.#flush()).catch((error: unknown) => {
      if (this.#cut === undefined) throw error;
    });
    await this.#chain;
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#cut !== undefined) await this.#flush();
  }

  /** Resolves when nothing of this job is under way any more, whatever came of it. */
  async settled(): Promise<void> {
    await this.#chain.catch(() => undefined);
  }

  get failure(): unknown {
    return this.#failure?.error;
  }

  /** Gives the job up: nothing more is stored, whoever waits hears `error`. The first one counts. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#frames.fail(error);
    this.#steps.fail(error);
    this.#options.onFailure(error);
  }

  #cutOff(error: unknown): void {
    this.#cut ??= { error };
    this.#frames.fail(error);
    this.#steps.fail(error);
  }

  /** Runs `work` behind everything before it. Nothing runs after a failure. */
  async #step(work: () => Promise<unknown>, started?: Promise<unknown>): Promise<void> {
    started?.catch(() => undefined);
    const ended = this.#failure ?? this.#cut;
    if (ended !== undefined) throw ended.error;
    await this.#steps.enter();
    this.#chain = this.#chain.then(async () => {
      try {
        if ((this.#failure ?? this.#cut) === undefined) await work();
        else await started?.catch(() => undefined);
      } catch (error) {
        if (error === this.#options.volumes.refusal) this.#cutOff(error);
        else this.fail(error);
      } finally {
        this.#steps.leave();
      }
    });
  }

  #remember(entries: readonly FrameEntry[]): string[] {
    const digests = entries.map(({ digest }) => digest.latin1Slice());
    for (const digest of digests) this.#unposted.add(digest);
    return digests;
  }

  async #flush(): Promise<void> {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    const digests = this.#batchDigests;
    this.#batch = [];
    this.#batchDigests = [];
    const written = this.#options.catalog.writer.addFrames(this.#options.job.id, batch);
    // Posted: a claim that is asked from now on is answered behind it.
    for (const digest of digests) this.#unposted.delete(digest);
    await written;
  }

  async #checkpointIfDue(bytes: number): Promise<void> {
    this.#checkpointBytes += bytes;
    const every = this.#options.checkpoints;
    const due =
      monotonicMs() - this.#checkpointAt >= (every?.ms ?? CHECKPOINT_MS) ||
      this.#checkpointBytes >= (every?.bytes ?? CHECKPOINT_BYTES);
    if (!due) return;
    await this.#flush();
    await this.#options.volumes.checkpoint(this.#safe());
    this.#checkpointAt = monotonicMs();
    this.#checkpointBytes = 0;
  }

  /** What is safe once the volumes are synced: everything up to the last mark came before what is in the catalog now. */
  #safe(): JobCheckpoint | undefined {
    const { keep, job, volumes } = this.#options;
    if (keep === undefined || this.marked === undefined) return undefined;
    const { extents, frames, bytesStored } = volumes;
    const written = { extents, frames, bytesStored, rawBytes: this.rawBytes };
    return { job: job.id, keptTo: this.marked, session: { ...keep, ...written } };
  }
}

function encodeEntries(entries: readonly FrameEntry[]): Uint8Array {
  const out = new ByteWriter(16 + entries.length * 40);
  writeEntries(out, entries);
  return new Uint8Array(out.bytes());
}
