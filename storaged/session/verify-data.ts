/**
 * Verify level Data: everything that a restore of the job would read is read, decompressed and compared with its
 * digests. The plan of a restore says what that is, so that memory does not grow with the number of files.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { contentDigest, MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decodeData, type Piece, type RestoreData } from "../../proto/data/restore.js";
import type { VerifiedList } from "../catalog/verify-lists.js";
import { asBuffer, type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import { UnderWay } from "../under-way.js";
import { unpackFrame } from "../volume/frame-check.js";
import { uuidText } from "../volume/json.js";
import type { VolumeFrame } from "../volume/reader.js";
import { FrameSource } from "./frame-source.js";
import type { PlanMethods } from "./restore-plan-worker.js";
import type { PlannedFrame } from "./restore-reading.js";
import type { VerifyWork } from "./verify-session.js";
import { Differences } from "./verify-told.js";

/** Frames that are read or checked at a time. */
const UNDER_WAY = 4;
/** Paths remembered, so that a file with many damaged parts is named once. */
const MAX_NAMES = 20_000;

export interface VerifyOutcome {
  expected: number;
  examined: number;
  bytes: number;
  differences: number;
  volumes: string[];
}

/** @throws BackupError when the check as a whole cannot be made */
export async function verifyData(work: VerifyWork, list: VerifiedList): Promise<VerifyOutcome> {
  const directory = await mkdtemp(join(work.deps.workingDirectory, "restore-"));
  const data = { readCatalogFile: work.deps.catalog.file, scratch: join(directory, "plan.db") };
  const worker = new WorkerClient(new URL("./restore-plan-worker.js", import.meta.url), data);
  const stop = () => void worker.close();
  work.signal.addEventListener("abort", stop, { once: true });
  try {
    work.signal.throwIfAborted();
    return await new DataCheck(work, worker.remote<PlanMethods>()).run(list);
  } finally {
    work.signal.removeEventListener("abort", stop);
    await work.deps.catalog.writer.letGo(work.jobUuid);
    await worker.close();
    await rm(directory, { recursive: true, force: true });
  }
}

class DataCheck {
  readonly #work: VerifyWork;
  readonly #plan: Remote<PlanMethods>;
  readonly #differences: Differences;
  readonly #numbers = new Map<string, number | undefined>();
  readonly #named = new Set<string>();
  #bytes = 0;

  constructor(work: VerifyWork, plan: Remote<PlanMethods>) {
    this.#work = work;
    this.#plan = plan;
    this.#differences = new Differences(work.reporter, "error");
  }

  async run(list: VerifiedList): Promise<VerifyOutcome> {
    const { catalog } = this.#work.deps;
    const rules = [{ key: "", include: true, recursive: true }];
    const summary = await this.#plan.build(list.jobIds, rules);
    const { volumeIds, volumeUuids, volumes, files, bytes } = summary;
    if (!(await catalog.writer.hold(this.#work.jobUuid, volumeIds, volumeUuids)))
      throw new BackupError("VOLUME_PURGED", "a volume was purged meanwhile; run the job again");
    await this.#unplaced();
    await this.#frames();
    await this.#differences.end();
    return { expected: files, examined: files, bytes, differences: this.#differences.count, volumes };
  }

  async #unplaced(): Promise<void> {
    for (let after = 0; ; ) {
      const page = await this.#plan.unplaced(after);
      if (page.length === 0) return;
      for (const { path } of page) await this.#lost(path, "its content is on no volume of this storage");
      after = page.at(-1)!.id;
    }
  }

  async #frames(): Promise<void> {
    const { reporter, deps, signal } = this.#work;
    const source = new FrameSource(deps, (text) => reporter.message("info", text));
    const underWay = new UnderWay(UNDER_WAY);
    try {
      for (;;) {
        const planned = await this.#plan.nextFrame();
        if (planned === undefined) break;
        signal.throwIfAborted();
        await underWay.begin(() => this.#frame(source, { ...planned, head: asBuffer(planned.head) }));
      }
      await underWay.end();
    } finally {
      await underWay.settled();
      await source.close();
    }
  }

  async #frame(source: FrameSource, planned: PlannedFrame): Promise<void> {
    const { deps, reporter } = this.#work;
    let read: VolumeFrame;
    try {
      read = await source.frame(planned.volume, planned.offset, planned.bytes);
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      return this.#lose(planned, describeError(error));
    }
    this.#bytes += read.frame.length;
    await reporter.setProgress({ bytesRead: this.#bytes });
    const { index, frame } = read;
    const wanted = decodeData(Buffer.concat([planned.head, frame]));
    const jobId = await this.#numberOf(uuidText(index.jobUuid));
    if (jobId !== undefined && index.rawBytes === wanted.rawBytes && isIn(wanted.pieces, read)) {
      try {
        await deps.verifier.verify({ rawBytes: index.rawBytes, entries: index.entries, data: frame }, jobId);
        return;
      } catch (error) {
        if (codeOf(error) !== "FRAME_REFUSED") throw error;
      }
    }
    await this.#pieces(planned, wanted);
  }

  /** The frame is not what it should be: which of the files are hit? */
  async #pieces(planned: PlannedFrame, wanted: RestoreData): Promise<void> {
    let raw: Buffer;
    try {
      raw = unpackFrame(Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES), wanted.frame, wanted.rawBytes);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      return this.#lose(planned, error.message);
    }
    for (const piece of wanted.pieces) {
      const data = raw.subarray(piece.frameOffset, piece.frameOffset + piece.length);
      if (contentDigest(data).equals(piece.digest)) continue;
      await this.#lost(keyToPath(wanted.rows[piece.row]!.key), "its content has another digest");
    }
  }

  async #lose({ volume, offset }: PlannedFrame, why: string): Promise<void> {
    for (const path of await this.#plan.lose(volume, offset)) await this.#lost(path, why);
  }

  async #lost(path: string, why: string): Promise<void> {
    if (this.#named.has(path)) return;
    if (this.#named.size < MAX_NAMES) this.#named.add(path);
    await this.#differences.tell(`File: ${displayPath(path)}\n      data     damaged: ${why}`);
  }

  async #numberOf(uuid: string): Promise<number | undefined> {
    if (!this.#numbers.has(uuid)) {
      if (this.#numbers.size > 10_000) this.#numbers.clear();
      this.#numbers.set(uuid, await this.#work.deps.catalog.reader.numberOf(uuid));
    }
    return this.#numbers.get(uuid);
  }
}

/** True when each piece is a chunk of the frame's index. */
function isIn(pieces: readonly Piece[], { index }: VolumeFrame): boolean {
  const byOffset = new Map(index.entries.map((entry) => [entry.offset, entry]));
  return pieces.every(({ frameOffset, length, digest }) => {
    const entry = byOffset.get(frameOffset);
    return entry !== undefined && entry.length === length && entry.digest.equals(digest);
  });
}
