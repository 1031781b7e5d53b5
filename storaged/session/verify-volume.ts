/**
 * Verify level VolumeToCatalog: what the job's volumes say about it (indexes of its frames, end record, manifest)
 * against what the catalog says. Content itself is not read; level Data does that.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { RecordKind, writeEntries } from "../../common/format/frame.js";
import { parseMemberName } from "../../common/format/member.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag, sameContent } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { contentDifference, rowDifferences, verifyLetters } from "../../common/format/row-differences.js";
import { ByteWriter, GarbledInput } from "../../common/format/varint.js";
import type { OwnFrame, VerifiedList } from "../catalog/verify-lists.js";
import { asBuffer } from "../catalog/worker-rpc.js";
import { plainName, unpackFrame } from "../volume/frame-check.js";
import { ManifestParser } from "../volume/manifest-parse.js";
import type { VolumeFrame } from "../volume/reader.js";
import { decodeJobEnd, type JobEndRecord } from "../volume/records.js";
import { walkMember } from "../volume/tar-walk.js";
import { FrameSource } from "./frame-source.js";
import type { VerifyOutcome } from "./verify-data.js";
import type { VerifyWork } from "./verify-session.js";
import { Differences } from "./verify-told.js";

const PAGE = 200;
/** Missing entries named; the rest are counted. */
const MAX_MISSING = 1000;
/** Codes of what keeps the catalog's list from being read to its end. */
const LIST_GONE: readonly string[] = ["LIST_REWRITTEN", "LIST_DROPPED", "NOT_FOUND"];
const ALL = verifyLetters("pugsm5");

/** @throws BackupError when the check as a whole cannot be made */
export async function verifyVolume(work: VerifyWork, list: VerifiedList): Promise<VerifyOutcome> {
  const source = new FrameSource(work.deps, (text) => work.reporter.message("info", text));
  try {
    return await new VolumeToCatalog(work, list, source).run();
  } finally {
    await source.close();
  }
}

class VolumeToCatalog {
  readonly #work: VerifyWork;
  readonly #list: VerifiedList;
  readonly #source: FrameSource;
  readonly #differences: Differences;
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  readonly #missing: string[] = [];
  readonly #volumes = new Set<number>();
  #missingCount = 0;
  #examined = 0;
  #rows: AsyncGenerator<Row, void>;
  #row: Row | undefined;

  constructor(work: VerifyWork, list: VerifiedList, source: FrameSource) {
    this.#work = work;
    this.#list = list;
    this.#source = source;
    this.#differences = new Differences(work.reporter, "info");
    this.#rows = this.#catalogRows();
  }

  async run(): Promise<VerifyOutcome> {
    const closing = await this.#indexes();
    const end = await this.#endRecord(closing.at(-1));
    await this.#manifest(closing, end);
    await this.#tellMissing();
    await this.#differences.end();
    const { catalog } = this.#work.deps;
    const [job] = await catalog.reader.listJobs({
      jobIds: [this.#list.jobId],
      client: "",
      jobName: "",
      fileSet: "",
      beforeMs: 0,
      limit: 0,
    });
    const names = (await catalog.reader.listVolumes("", ""))
      .filter(({ id }) => this.#volumes.has(id))
      .map(({ name }) => name);
    const differences = this.#differences.count;
    return {
      expected: job?.rows ?? 0,
      examined: this.#examined,
      bytes: job?.bytes ?? 0,
      differences,
      volumes: names,
    };
  }

  /** Compares the index of every frame; gives the closing frames. */
  async #indexes(): Promise<OwnFrame[]> {
    const { reader } = this.#work.deps.catalog;
    const closing: OwnFrame[] = [];
    for (let after = 0; ; ) {
      const page = await reader.framesOf(this.#list.id, after, PAGE);
      if (page.length === 0) return closing;
      for (const frame of page) {
        this.#work.signal.throwIfAborted();
        this.#volumes.add(frame.volume);
        if (frame.entries.length === 1) closing.push(frame);
        else await this.#index(frame);
      }
      after = page.at(-1)!.id;
    }
  }

  async #index(frame: OwnFrame): Promise<void> {
    try {
      for await (const item of this.#source.records(frame.volume, frame.offset)) {
        if (item.type !== "frame") throw new GarbledInput("no frame there");
        const out = new ByteWriter(16 + item.index.entries.length * 40);
        writeEntries(out, item.index.entries);
        const same =
          item.end - item.offset === frame.bytes &&
          item.index.rawBytes === frame.rawBytes &&
          Buffer.compare(out.bytes(), frame.entries) === 0;
        if (!same) throw new GarbledInput("its index is not the one in the catalog");
        return;
      }
      throw new GarbledInput("the volume ends before it");
    } catch (error) {
      await this.#wrong(`Frame at byte ${frame.offset} of ${await this.#volumeName(frame.volume)}`, error);
    }
  }

  /** The end record in force: behind the last closing frame, or wherever one was written. */
  async #endRecord(last: OwnFrame | undefined): Promise<JobEndRecord | undefined> {
    const { recordVolumes } = this.#work.deps.catalog.reader;
    const places = last === undefined ? [] : [{ volume: last.volume, from: last.offset }];
    for (const volume of await recordVolumes(this.#list.id)) places.push({ volume, from: 0 });
    // A number that was taken need not have been used: what was to be written then may have failed.
    let newest: JobEndRecord | undefined;
    for (const { volume, from } of places) {
      try {
        for await (const item of this.#source.records(volume, from)) {
          this.#work.signal.throwIfAborted();
          if (item.type !== "record" || item.kind !== RecordKind.jobEnd) continue;
          const end = decodeJobEnd(item.body);
          if (end.jobUuid !== this.#list.uuid || end.revision > this.#list.revision) continue;
          if (end.revision === this.#list.revision) return end;
          if (newest === undefined || end.revision > newest.revision) newest = end;
        }
      } catch (error) {
        if (!(error instanceof BackupError) && !(error instanceof GarbledInput)) throw error;
        // Told by whoever needs what is there; here only the record is looked for.
      }
    }
    if (newest !== undefined) return newest;
    await this.#differences.tell(`The end record of JobId ${this.#list.jobId} is not on its volumes`);
    return undefined;
  }

  async #manifest(closing: readonly OwnFrame[], end: JobEndRecord | undefined): Promise<void> {
    const parser = new ManifestParser();
    await this.#next();
    try {
      for (const frame of closing) {
        this.#work.signal.throwIfAborted();
        const read = await this.#source.frame(frame.volume, frame.offset, frame.bytes);
        if (!holdsList(end, read.index.sequence)) continue;
        for (const piece of this.#pieces(read)) await this.#compare(parser, piece);
      }
      parser.finish();
    } catch (error) {
      await this.#wrong("The list on the volume", error);
      // What was not read is not missing: nothing is known of it.
      return;
    }
    for (; this.#row !== undefined; await this.#next()) this.#absent(this.#row);
  }

  /** The pieces of the manifest in a closing frame. */
  *#pieces({ frame, index }: VolumeFrame): Generator<Buffer> {
    const raw = unpackFrame(this.#scratch, frame, index.rawBytes);
    for (let at = 0; at < raw.length; ) {
      const member = walkMember(raw, at);
      if (member.size > 0 && parseMemberName(this.#list.jobId, plainName(member)).kind === "manifest")
        yield raw.subarray(member.dataAt, member.dataAt + member.size);
      at = member.end;
    }
  }

  async #compare(parser: ManifestParser, piece: Buffer): Promise<void> {
    for (const item of parser.push(piece)) {
      if (item.type !== "row") continue;
      this.#examined++;
      const { row } = item;
      while (this.#row !== undefined && this.#row.key < row.key) {
        this.#absent(this.#row);
        await this.#next();
      }
      if (this.#row?.key !== row.key) {
        await this.#differences.tell(`New file: ${shown(row)}`);
        continue;
      }
      const lines = differencesOf(this.#row, row);
      if (lines.length > 0) await this.#differences.tell([`File: ${shown(row)}`, ...lines].join("\n"));
      await this.#next();
    }
  }

  #absent(row: Row): void {
    this.#missingCount++;
    if (this.#missing.length < MAX_MISSING) this.#missing.push(shown(row));
  }

  async #tellMissing(): Promise<void> {
    if (this.#missingCount === 0) return;
    this.#differences.count += this.#missingCount - 1;
    await this.#differences.tell("The following files are in the Catalog but not on the Volume(s):");
    for (const path of this.#missing) await this.#work.reporter.message("info", `      ${path}`);
    const more = this.#missingCount - this.#missing.length;
    if (more > 0) await this.#work.reporter.message("info", `      and ${more} more`);
  }

  async #next(): Promise<void> {
    const { value } = await this.#rows.next();
    this.#row = value ?? undefined;
  }

  async *#catalogRows(): AsyncGenerator<Row, void> {
    const { id, layers } = this.#list;
    for await (const block of this.#work.deps.catalog.blocks([id], undefined, layers))
      yield* decodeBlock(asBuffer(block));
  }

  async #wrong(what: string, error: unknown): Promise<void> {
    if (!(error instanceof BackupError) && !(error instanceof GarbledInput)) throw error;
    // The catalog's list went from under it: that says nothing about the volume.
    if (LIST_GONE.includes(codeOf(error) ?? "")) throw error;
    this.#work.signal.throwIfAborted();
    await this.#differences.tell(`${what}: ${describeError(error)}`);
  }

  async #volumeName(volume: number): Promise<string> {
    const all = await this.#work.deps.catalog.reader.listVolumes("", "");
    const found = all.find(({ id }) => id === volume);
    return found === undefined ? `volume #${volume}` : `Volume "${found.name}"`;
  }
}

/** Whether the list in force is in the closing frame of this number; without an end record each may have some of it. */
export function holdsList(end: Pick<JobEndRecord, "closing"> | undefined, sequence: number): boolean {
  const [first, count] = end?.closing ?? [0, Number.MAX_SAFE_INTEGER];
  return sequence >= first && sequence < first + count;
}

/** Of the flags, damage is what the catalog learned later. */
function differencesOf(cat: Row, file: Row): string[] {
  const lines = rowDifferences(cat, file, ALL);
  if (cat.type !== file.type || cat.type === EntryType.deleted) return lines;
  if (!sameContent(cat, file)) lines.push(contentDifference(cat.content, file.content));
  if (cat.group !== file.group) lines.push("      the hard link group differs");
  const attributes = (row: Row) => row.xattrs ?? Buffer.alloc(0);
  if (!attributes(cat).equals(attributes(file))) lines.push("      extended attributes differ");
  if (
    ((cat.flags ^ file.flags) &
      ~RowFlag.damaged &
      (RowFlag.parts | RowFlag.sparse | RowFlag.unstable | RowFlag.unverified | RowFlag.fifo)) !==
    0
  )
    lines.push("      flags differ");
  return lines;
}

function shown(row: Row): string {
  return displayPath(keyToPath(row.key));
}
