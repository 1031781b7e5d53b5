/**
 * `basalt volume verify`: every record, frame, member and digest of a volume, going on behind damage. At the end the
 * manifests on the volume are read once more to name the files whose content was lost.
 */
import { contentDigest, MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { type FrameEntry, type FrameIndex, RecordKind } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Print } from "./cli.js";
import { labelText } from "./cli-list.js";
import { checkClosingFrame, checkDataFrame, unpackFrame } from "./frame-check.js";
import { parseObject, uuidText } from "./json.js";
import { ManifestSearch } from "./manifest-search.js";
import type { VolumeItem, VolumeReader } from "./reader.js";
import { decodeJobBegin, decodeJobEnd } from "./records.js";

/** Most damaged chunks whose files are looked up. */
const MAX_LOST = 100_000;

/** Prints what is wrong and a summary; true when nothing is. */
export async function verifyVolume(reader: VolumeReader, print: Print): Promise<boolean> {
  const check = new VolumeCheck(print);
  for await (const item of reader.scan({ recover: true })) await check.item(item);
  await check.nameFiles(reader);
  return check.finish(reader.path);
}

class VolumeCheck {
  readonly #print: Print;
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  /** Jobs by UUID: a volume holds some thousand at most. */
  readonly #jobs = new Map<string, number>();
  readonly #open = new Set<number>();
  readonly #lost = new Set<string>();
  #problems = 0;
  #frames = 0;
  #chunks = 0;
  #rawBytes = 0;

  constructor(print: Print) {
    this.#print = print;
  }

  async item(item: VolumeItem): Promise<void> {
    if (item.type === "label") return this.#print(labelText(item.label));
    if (item.type === "damage") {
      if (item.index !== undefined) this.#lose(item.index.entries);
      const whose = item.index === undefined ? "" : ` (${this.#frameName(item.index)})`;
      return this.#problem(
        item.offset,
        `${item.reason}${whose}: ${item.end - item.offset} bytes passed over`,
      );
    }
    try {
      if (item.type === "record") this.#record(item.kind, item.body);
      else if (item.frame !== undefined) this.#frame(item.index, item.frame);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      const whose = item.type === "frame" ? `${this.#frameName(item.index)}: ` : "";
      await this.#problem(item.offset, `${whose}${error.message}`);
    }
  }

  /** Says which files the damaged chunks belong to, as far as manifests on this volume tell. */
  async nameFiles(reader: VolumeReader): Promise<void> {
    if (this.#lost.size === 0) return;
    const search = new ManifestSearch(this.#lost);
    for await (const item of reader.scan({ recover: true })) {
      if (item.type !== "frame" || item.frame === undefined || item.index.entries.length > 0) continue;
      const jobId = this.#jobs.get(uuidText(item.index.jobUuid));
      if (jobId === undefined) continue;
      let raw: Buffer;
      try {
        raw = unpackFrame(this.#scratch, item.frame, item.index.rawBytes);
      } catch (error) {
        if (error instanceof GarbledInput) continue;
        throw error;
      }
      for (const path of search.frame(raw, jobId))
        await this.#print(`  damaged file: job ${jobId} ${path}\n`);
    }
  }

  async finish(path: string): Promise<boolean> {
    if (this.#open.size > 0) {
      const ids = [...this.#open].sort((a, b) => a - b).join(",");
      await this.#print(
        `${path}: job ${ids} does not end here: it runs, failed, or goes on on another volume\n`,
      );
    }
    const what = `${this.#frames} frames, ${this.#chunks} chunks, ${this.#rawBytes} bytes checked`;
    const verdict = this.#problems === 0 ? "good" : `DAMAGED in ${this.#problems} place(s)`;
    await this.#print(`${path}: ${verdict}: ${what}\n`);
    return this.#problems === 0;
  }

  #record(kind: RecordKind, body: Buffer): void {
    if (kind === RecordKind.jobBegin) {
      const { jobUuid, jobId } = decodeJobBegin(body);
      this.#jobs.set(jobUuid, jobId);
      this.#open.add(jobId);
    } else if (kind === RecordKind.jobEnd) {
      const { jobUuid, jobId } = decodeJobEnd(body);
      // It may have been moved to a volume where nothing else of the job is.
      const begun = this.#jobs.get(jobUuid) ?? jobId;
      if (begun !== jobId) throw new GarbledInput(`end of job ${jobId}, which began here as job ${begun}`);
      this.#open.delete(jobId);
    } else if (kind === RecordKind.catalog) {
      parseObject(body, "catalog record");
    }
  }

  #frame(index: FrameIndex, frame: Buffer): void {
    this.#frames++;
    this.#chunks += index.entries.length;
    this.#rawBytes += index.rawBytes;
    const jobId = this.#jobs.get(uuidText(index.jobUuid));
    if (jobId === undefined) throw new GarbledInput("the job did not begin on this volume");
    let raw: Buffer | undefined;
    try {
      raw = unpackFrame(this.#scratch, frame, index.rawBytes);
      if (index.entries.length > 0) checkDataFrame(raw, index.entries, jobId);
      else checkClosingFrame(raw, jobId);
    } catch (error) {
      const wrong = raw === undefined ? [] : index.entries.filter((entry) => !hasDigest(raw!, entry));
      this.#lose(wrong.length > 0 ? wrong : index.entries);
      throw error;
    }
  }

  #frameName(index: FrameIndex): string {
    const uuid = uuidText(index.jobUuid);
    const jobId = this.#jobs.get(uuid);
    return `frame ${index.sequence} of ${jobId === undefined ? `unknown job ${uuid}` : `job ${jobId}`}`;
  }

  #lose(entries: readonly FrameEntry[]): void {
    for (const { digest } of entries) if (this.#lost.size < MAX_LOST) this.#lost.add(digest.toString("hex"));
  }

  #problem(offset: number, text: string): Promise<void> {
    this.#problems++;
    return this.#print(`at byte ${offset}: ${text}\n`);
  }
}

function hasDigest(raw: Buffer, entry: FrameEntry): boolean {
  const data = raw.subarray(entry.offset, entry.offset + entry.length);
  return contentDigest(data).equals(entry.digest);
}
