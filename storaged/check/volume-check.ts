/**
 * One volume's file against the catalog: is it there, is it what the catalog means, are all its frames good. What is
 * bad is noted in the check's thread; files are named later, when all bad frames are known.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { type FrameEntry, type FrameIndex, RecordKind, writeEntries } from "../../common/format/frame.js";
import { ByteWriter, GarbledInput } from "../../common/format/varint.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { FoundFrame } from "../catalog/writer-repair.js";
import { UnderWay } from "../under-way.js";
import { checkClosingFrame, unpackFrame } from "../volume/frame-check.js";
import { uuidText } from "../volume/json.js";
import { type VolumeItem, VolumeReader } from "../volume/reader.js";
import { decodeJobEnd } from "../volume/records.js";
import type { CheckRun } from "./check.js";
import { addFrame, markFrame } from "./frame-marks.js";
import type { CatalogFrame, Finding } from "./types.js";

/** Frames whose digests are being checked. */
const MAX_UNDER_WAY = 4;
const BAD_BATCH = 200;

type FrameItem = Extract<VolumeItem, { type: "frame" }>;

export class VolumeCheck {
  readonly #run: CheckRun;
  readonly #record: VolumeRecord;
  readonly #path: string;
  readonly #underWay = new UnderWay(MAX_UNDER_WAY);
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  #bad: number[] = [];
  /** Found for the first time. */
  #errors = 0;

  constructor(run: CheckRun, record: VolumeRecord, path: string) {
    this.#run = run;
    this.#record = record;
    this.#path = path;
  }

  /** @throws BackupError when the check itself cannot go on */
  async check(): Promise<void> {
    const { store } = this.#run.deps;
    const stat = await store.stat(this.#path);
    if (stat === undefined) {
      await this.#whole("missing", `${this.#path} does not exist`, 0);
      return;
    }
    const { bytes } = this.#record;
    if (stat.sizeBytes < bytes) {
      await this.#whole("short", `${this.#path} has ${stat.sizeBytes} bytes of ${bytes}`, stat.sizeBytes);
    } else if (stat.sizeBytes > bytes && !this.#run.deps.inUse(this.#record.id)) {
      const more = stat.sizeBytes - bytes;
      const text = `${more} bytes behind the end that the catalog knows; the next start of the daemon settles them`;
      await this.#find({ kind: "extra", offset: bytes, text, jobIds: [] });
    }
    let reader: VolumeReader;
    try {
      reader = await VolumeReader.open(store, this.#path);
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      await this.#whole("missing", describeError(error), 0);
      return;
    }
    try {
      if ((await this.#label(reader)) && !this.#run.options.quick) await this.#content(reader, bytes);
    } finally {
      await this.#underWay.settled();
      await reader.close();
    }
    await this.#flushBad();
    if (this.#errors > 0 && this.#run.options.repair)
      await this.#run.deps.catalog.writer.addVolumeErrors(this.#record.id, this.#errors);
  }

  /** The volume as a whole, or all of it from a byte on, is lost. */
  async #whole(kind: Finding["kind"], text: string, from: number): Promise<void> {
    await this.#run.thread.addBadVolume(this.#record.id, from);
    this.#errors++;
    const jobIds = await this.#run.thread.jobsNeeding(this.#record.id);
    await this.#find({ kind, offset: from, text, jobIds });
  }

  /** False when the file is another volume, or none: nothing of it is looked at then. */
  async #label(reader: VolumeReader): Promise<boolean> {
    const { name, uuid } = this.#record;
    const wrong = async (text: string): Promise<false> => {
      await this.#whole("mislabeled", text, 0);
      return false;
    };
    try {
      const label = await reader.readLabel();
      if (label.volume !== name) return await wrong(`${this.#path} is labelled "${label.volume}"`);
      if (uuid !== "" && label.volumeUuid !== uuid)
        return await wrong(
          `${this.#path} is another volume of that name (UUID ${label.volumeUuid}, not ${uuid})`,
        );
      return true;
    } catch (error) {
      if (codeOf(error) !== "VOLUME_DAMAGED") throw error;
      this.#errors++;
      // What lies behind a broken label is content all the same.
      await this.#find({
        kind: "damaged",
        offset: 0,
        text: `the label cannot be read: ${describeError(error)}`,
        jobIds: [],
      });
      return true;
    }
  }

  async #content(reader: VolumeReader, bytes: number): Promise<void> {
    const { thread, signal } = this.#run;
    await thread.expect(this.#record.id);
    for await (const item of reader.scan({ recover: true })) {
      if (item.offset >= bytes) break;
      signal.throwIfAborted();
      await this.#run.passed(item.end - item.offset);
      if (item.type === "damage") await this.#damage(item);
      else if (item.type === "record") await this.#item(item);
      else if (item.type === "frame" && item.frame !== undefined) await this.#frame(item, item.frame);
    }
    await this.#underWay.end();
    await this.#unseen(0, Number.MAX_SAFE_INTEGER, (frame) =>
      this.#find({
        kind: "damaged",
        offset: frame.offset,
        text: `the frame that JobId ${frame.jobId} wrote there is not there any more`,
        jobIds: [frame.jobId],
      }),
    );
  }

  async #item({ kind, body }: Extract<VolumeItem, { type: "record" }>): Promise<void> {
    if (kind !== RecordKind.jobEnd) return;
    try {
      const { jobUuid, revision } = decodeJobEnd(body);
      await this.#run.thread.sawEnd(jobUuid, revision);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
    }
  }

  async #damage({ offset, end, reason }: Extract<VolumeItem, { type: "damage" }>): Promise<void> {
    if (offset === 0) return; // the label: told already
    const jobs = new Set<number>();
    let aside = true;
    const first = await this.#run.thread.frameAt(offset);
    const note = async (frame: CatalogFrame): Promise<void> => {
      jobs.add(frame.jobId);
      aside &&= frame.setAside;
      await this.#lose(frame);
    };
    if (first !== undefined) await note(first);
    await this.#unseen(offset, end, note);
    if (jobs.size === 0 || !aside) this.#errors++;
    const text = `${reason}: ${end - offset} bytes cannot be read`;
    await this.#find({
      kind: "damaged",
      offset,
      text,
      jobIds: [...jobs],
      repaired: this.#outcome(jobs.size > 0, aside),
    });
  }

  async #frame(item: FrameItem, data: Buffer): Promise<void> {
    const { thread } = this.#run;
    this.#run.summary.frames++;
    const known = await thread.frameAt(item.offset);
    if (known !== undefined && !sameFrame(known, item)) {
      if (!known.setAside) this.#errors++;
      await this.#lose(known);
      const text = `the frame of JobId ${known.jobId} has another index than the catalog`;
      const repaired = this.#outcome(true, known.setAside);
      await this.#find({ kind: "wrong", offset: item.offset, text, jobIds: [known.jobId], repaired });
      return;
    }
    await this.#underWay.begin(() => this.#verify(item, data, known));
  }

  async #verify(item: FrameItem, data: Buffer, known: CatalogFrame | undefined): Promise<void> {
    const { index, offset } = item;
    const owner = known ?? (await this.#run.thread.jobOf(uuidText(index.jobUuid)));
    // Frames of failed jobs and of those that run are nobody's content.
    if (owner === undefined) return;
    const wrong = await this.#wrong(index, data, owner.jobId);
    if (wrong === undefined) {
      // What a deleted job stored twice and nobody names may have lost its other place.
      if (known?.deleted !== true) await this.#unknown(item, known?.job ?? owner.id);
      if (known?.marked === true) await this.#goodAgain(known);
      return;
    }
    if (known === undefined) return;
    if (!known.setAside) this.#errors++;
    const closing = index.entries.length === 0;
    if (closing) this.#run.badClosing.add(known.job);
    else await this.#lose(known);
    const what = closing ? "part of its list for readers without a catalog" : `frame ${index.sequence}`;
    const text = `JobId ${known.jobId}: ${what} is damaged: ${wrong}`;
    const repaired = this.#outcome(!closing, known.setAside);
    await this.#find({ kind: "damaged", offset, text, jobIds: [known.jobId], repaired });
  }

  /** What is wrong with a frame; undefined: nothing. */
  async #wrong(index: FrameIndex, data: Buffer, jobId: number): Promise<string | undefined> {
    const { rawBytes, entries } = index;
    try {
      if (entries.length > 0) await this.#run.deps.verifier.verify({ rawBytes, entries, data }, jobId);
      else checkClosingFrame(unpackFrame(this.#scratch, data, rawBytes), jobId);
      return undefined;
    } catch (error) {
      if (error instanceof GarbledInput) return error.message;
      if (codeOf(error) === "FRAME_REFUSED") return describeError(error).replace(/^Frame refused: /, "");
      throw error;
    }
  }

  /** A good frame of a finished job: content that the catalog has lost, unless it lies elsewhere by now. */
  async #unknown(item: FrameItem, job: number): Promise<void> {
    const { entries, rawBytes } = item.index;
    const { thread, options, deps } = this.#run;
    if (entries.length === 0) return;
    const digests = new Uint8Array(Buffer.concat(entries.map(({ digest }) => digest)));
    const missing = (await thread.missing(job, digests)).reduce((sum, one) => sum + one, 0);
    if (missing === 0) return;
    const { offset, end } = item;
    const volume = this.#record.id;
    const found: FoundFrame = { job, volume, offset, bytes: end - offset, rawBytes, entries: plain(entries) };
    if (options.repair) await addFrame(deps.catalog, found);
    const text = `${missing} chunks of a good frame of a kept job are not in the catalog`;
    const repaired = options.repair ? "added to the catalog" : "";
    await this.#find({ kind: "catalog", offset, text, jobIds: [], repaired });
  }

  async #goodAgain(frame: CatalogFrame): Promise<void> {
    const { options, deps } = this.#run;
    if (options.repair) await markFrame(deps.catalog, frame.id, false);
    const text = `a frame of JobId ${frame.jobId} is marked as damaged and is good`;
    const repaired = options.repair ? "the mark was taken back" : "";
    await this.#find({ kind: "catalog", offset: frame.offset, text, jobIds: [frame.jobId], repaired });
  }

  /** Expected frames of a range that were not met. */
  async #unseen(from: number, to: number, tell: (frame: CatalogFrame) => Promise<void>): Promise<void> {
    for (;;) {
      const page = await this.#run.thread.unseen(from, to);
      if (page.length === 0) return;
      for (const frame of page) {
        await this.#lose(frame);
        await tell(frame);
      }
    }
  }

  async #lose(frame: CatalogFrame): Promise<void> {
    this.#bad.push(frame.id);
    if (this.#bad.length >= BAD_BATCH) await this.#flushBad();
  }

  async #flushBad(): Promise<void> {
    const bad = this.#bad.splice(0);
    if (bad.length > 0) await this.#run.thread.addBad(bad);
  }

  #outcome(content: boolean, aside: boolean): string {
    if (!content) return "";
    if (aside) return "set aside before";
    return this.#run.options.repair ? "set aside" : "";
  }

  #find(found: Omit<Finding, "volume" | "path" | "repaired"> & { repaired?: string }): Promise<void> {
    return this.#run.find({ repaired: "", ...found, volume: this.#record.name, path: "" });
  }
}

function plain(entries: readonly FrameEntry[]): FoundFrame["entries"] {
  return entries.map(({ digest, offset, length }) => ({ digest: new Uint8Array(digest), offset, length }));
}

function sameFrame(known: CatalogFrame, item: FrameItem): boolean {
  if (known.bytes !== item.end - item.offset || known.rawBytes !== item.index.rawBytes) return false;
  const out = new ByteWriter(16 + item.index.entries.length * 40);
  writeEntries(out, item.index.entries);
  return Buffer.compare(known.entries, out.bytes()) === 0;
}
