/** What the frozen fixtures are made of (make-fixtures.ts): jobs written frame by frame, always in the same way. */
import {
  contentDigest,
  encodePart,
  PART_BYTES,
  PartsIdentity,
  ZERO_DIGEST,
} from "../../common/format/content.js";
import { RecordKind } from "../../common/format/frame.js";
import { memberName, partName } from "../../common/format/member.js";
import { EntryType, emptyRow, type Row, RowFlag } from "../../common/format/row.js";
import type { TarMember } from "../../common/format/tar.js";
import { buildClosing } from "./closing.js";
import { type BuiltFrame, blocksOf, fileMember, frameOf } from "./fixture.js";
import { uuidBytes } from "./json.js";
import type { JobBeginRecord, JobEndRecord } from "./records.js";
import type { VolumeWriter } from "./writer.js";

/** Time of everything. */
export const START_MS = 1_790_000_000_000;

/** A UUID that is the same every time. */
export function uuidOf(kind: string, number: number): string {
  return `00000000-0000-4000-8000-${kind}${String(number).padStart(10, "0")}`;
}

/** The begin record of a job. */
export function beginOf(jobId: number, level: string): JobBeginRecord {
  return {
    jobUuid: uuidOf("00", jobId),
    jobId,
    job: `vm.2026-09-21_12.00.00_${String(jobId).padStart(2, "0")}`,
    jobName: "vm",
    client: "vm-fd",
    fileSet: "All",
    level,
    startMs: START_MS + jobId * 1000,
    laterKey: "readers ignore what they do not know",
  };
}

/** One job being written. `frames` counts within the job, whatever the volume. */
export class JobWriter {
  frames = 0;
  readonly begin: JobBeginRecord;
  readonly volumes: string[] = [];
  readonly #parts = new Map<string, Buffer>();
  writer: VolumeWriter;

  private constructor(begin: JobBeginRecord, writer: VolumeWriter) {
    this.begin = begin;
    this.writer = writer;
  }

  static async start(jobId: number, level: string, writer: VolumeWriter): Promise<JobWriter> {
    const job = new JobWriter(beginOf(jobId, level), writer);
    await job.moveTo(writer);
    return job;
  }

  async moveTo(writer: VolumeWriter): Promise<void> {
    this.writer = writer;
    this.volumes.push(writer.label.volume);
    await writer.appendRecord(RecordKind.jobBegin, this.begin);
  }

  async append(frame: BuiltFrame): Promise<void> {
    await this.writer.appendFrame({
      jobUuid: uuidBytes(this.begin.jobUuid),
      sequence: this.frames++,
      ...frame,
    });
  }

  /** Whole files under their own names. */
  async files(...files: [row: Row, data: Buffer][]): Promise<BuiltFrame> {
    const frame = frameOf(files.map(([row, data]) => ({ member: memberOf(this.begin.jobId, row), data })));
    await this.append(frame);
    return frame;
  }

  async chunks(...chunks: Buffer[]): Promise<void> {
    const { jobId } = this.begin;
    await this.append(
      frameOf(chunks.map((data) => ({ member: fileMember(partName(jobId, contentDigest(data))), data }))),
    );
  }

  /** Content of parts; a number is a run of zeros. */
  parts(...pieces: (Buffer | number)[]): Pick<Row, "content" | "size" | "flags"> {
    const list = Buffer.alloc(PART_BYTES * pieces.length);
    let size = 0;
    for (const [i, piece] of pieces.entries()) {
      const length = typeof piece === "number" ? piece : piece.length;
      encodePart(
        list,
        i * PART_BYTES,
        length,
        typeof piece === "number" ? ZERO_DIGEST : contentDigest(piece),
      );
      size += length;
    }
    const identity = new PartsIdentity();
    identity.add(list);
    const content = identity.digest();
    this.#parts.set(content.toString("hex"), list);
    return { content, size, flags: RowFlag.parts };
  }

  async end(rows: Row[], more: Partial<JobEndRecord> & { selfContained?: boolean } = {}): Promise<void> {
    const { jobId, jobUuid, level } = { ...this.begin, ...more };
    const first = this.frames;
    const revision = more.revision ?? 1;
    const { parents = [], bases = [] } = more;
    const counts = await buildClosing(
      {
        jobId,
        revision,
        listOnly: revision > 1,
        selfContained: more.selfContained ?? false,
        timeMs: START_MS,
        head: [
          ["uuid", jobUuid],
          ["jobid", String(jobId)],
          ["job", this.begin.job],
          ["level", level],
          ["revision", String(revision)],
          ["parents", parents.join(",")],
          ["bases", bases.join(",")],
          ["copyof", ""],
          ["volumes", this.volumes.join("|")],
        ],
        blocks: blocksOf(rows),
        rows: rows.length,
        locate: async (queries) => queries.map(() => `${jobId}@${this.volumes.join(`,${jobId}@`)}`),
        partsOf: async function* (this: JobWriter, content: Buffer) {
          yield this.#parts.get(content.toString("hex"))!;
        }.bind(this),
      },
      (frame) => this.append(frame),
    );
    const end: JobEndRecord = {
      ...this.begin,
      revision,
      closing: [first, this.frames - first],
      status: "T",
      endMs: START_MS + jobId * 1000 + 500,
      rows: counts.rows,
      files: counts.rows,
      bytes: 0,
      parents,
      bases,
      volumes: this.volumes,
      ...more,
    };
    await this.writer.appendRecord(RecordKind.jobEnd, end);
  }
}

/** The tar member of a small file. */
export function memberOf(jobId: number, row: Row): TarMember {
  const { mode, uid, gid, mtimeSec, mtimeNsec } = row;
  const xattrs = row.key === "attributes" ? [{ name: "user.a=b", value: Buffer.from("x\n\0") }] : [];
  return {
    name: memberName(jobId, row.key),
    type: "file",
    mode,
    uid,
    gid,
    size: 0,
    mtimeSec,
    mtimeNsec,
    xattrs,
  };
}

/** A row with `/` in its path. */
export function row(key: string, type: EntryType, more: Partial<Row> = {}): Row {
  const plain = { mode: type === EntryType.directory ? 0o755 : 0o640, mtimeSec: 1_700_000_000 };
  return { ...emptyRow(key.replaceAll("/", "\0"), type), ...plain, ...more };
}

/** A small file: its row and its content. */
export function file(key: string, data: Buffer | string, more: Partial<Row> = {}): [Row, Buffer] {
  const bytes = Buffer.from(data as string);
  const content = bytes.length === 0 ? {} : { size: bytes.length, content: contentDigest(bytes) };
  return [row(key, EntryType.file, { ...content, ...more }), bytes];
}

/** Rows in path order. */
export const sorted = (rows: Row[]): Row[] => rows.sort((a, b) => (a.key < b.key ? -1 : 1));
/** A deletion. */
export const gone = (key: string): Row => emptyRow(key.replaceAll("/", "\0"), EntryType.deleted);
/** So many bytes of text. */
export const text = (seed: string, bytes: number): Buffer =>
  Buffer.from(`${seed} `.repeat(Math.ceil(bytes / (seed.length + 1))).slice(0, bytes));
