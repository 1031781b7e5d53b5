/** Volumes for tests, written through the real writer from frames made by common/format. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { contentDigest, FRAME_TARGET_BYTES } from "../../common/format/content.js";
import { type FrameEntry, RecordKind } from "../../common/format/frame.js";
import { memberName, partName } from "../../common/format/member.js";
import type { Row } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { type TarMember, tarHeader, tarPadding } from "../../common/format/tar.js";
import { Compressor } from "../../common/format/zstd.js";
import type { Store } from "../store/store.js";
import { buildClosing, type ContentQuery } from "./closing.js";
import { uuidBytes } from "./json.js";
import { newLabel } from "./label.js";
import type { JobBeginRecord, JobEndRecord } from "./records.js";
import { VolumeWriter } from "./writer.js";

export const TEST_UUID = "0f0e0d0c-0b0a-4908-8706-050403020100";
export const TEST_VOLUME = "Full-0001";
export const TEST_JOB: JobBeginRecord = {
  jobUuid: TEST_UUID,
  jobId: 12,
  job: "van.2026-11-21_23.05.00_03",
  jobName: "van",
  client: "hv1-fd",
  fileSet: "All",
  level: "Full",
  startMs: 1_790_000_000_000,
};

export interface BuiltFrame {
  rawBytes: number;
  entries: FrameEntry[];
  data: Buffer;
}

const compressor = new Compressor(1);

/** A frame as filed packs it. */
export function frameOf(members: readonly { member: TarMember; data: Buffer }[]): BuiltFrame {
  const pieces: Buffer[] = [];
  const entries: FrameEntry[] = [];
  let at = 0;
  for (const { member, data } of members) {
    const header = tarHeader({ ...member, size: data.length });
    pieces.push(header, data, Buffer.alloc(tarPadding(data.length)));
    entries.push({ digest: contentDigest(data), offset: at + header.length, length: data.length });
    at += header.length + data.length + tarPadding(data.length);
  }
  return { rawBytes: at, entries, data: compressor.compress(Buffer.concat(pieces)) };
}

/** Raw bytes as a frame, whatever they are. */
export function rawFrame(raw: Buffer, entries: FrameEntry[] = []): BuiltFrame {
  return { rawBytes: raw.length, entries, data: compressor.compress(raw) };
}

export function fileMember(name: string): TarMember {
  return {
    name,
    type: "file",
    mode: 0o640,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeSec: 1_700_000_000,
    mtimeNsec: 250,
  };
}

export function partMember(jobId: number, data: Buffer): { member: TarMember; data: Buffer } {
  return { member: fileMember(partName(jobId, contentDigest(data))), data };
}

/** Rows as list blocks of at most `perBlock` rows. */
export async function* blocksOf(rows: readonly Row[], perBlock = 2048): AsyncGenerator<Buffer> {
  const writer = new BlockWriter({ state: false });
  for (const row of rows) {
    writer.add(row);
    if (writer.rows === perBlock || writer.full) yield writer.finish();
  }
  if (writer.rows > 0) yield writer.finish();
}

export interface TestContent {
  rows: readonly Row[];
  /** Content of the small files that become members, by key. */
  files: ReadonlyMap<string, Buffer>;
  /** Chunks that become parts. */
  chunks?: readonly Buffer[];
  partsOf?: (content: Buffer) => AsyncIterable<Buffer>;
  selfContained?: boolean;
  perBlock?: number;
}

/** Writes a whole volume with one job on it. */
export async function writeVolume(store: Store, path: string, content: TestContent): Promise<void> {
  const label = newLabel({
    volume: TEST_VOLUME,
    pool: "Full",
    mediaType: "File",
    storage: "sd1",
    createdMs: 1_790_000_000_000,
  });
  const writer = await VolumeWriter.create(store, path, label);
  let sequence = 0;
  const append = async (frame: BuiltFrame) => {
    await writer.appendFrame({ jobUuid: uuidBytes(TEST_UUID), sequence: sequence++, ...frame });
  };
  await writer.appendRecord(RecordKind.jobBegin, TEST_JOB);
  for (const frame of framesOf(content)) await append(frame);
  const counts = await buildClosing(
    {
      jobId: TEST_JOB.jobId,
      selfContained: content.selfContained ?? true,
      head: [
        ["uuid", TEST_UUID],
        ["level", "Full"],
      ],
      blocks: blocksOf(content.rows, content.perBlock),
      rows: content.rows.length,
      locate: async (queries: readonly ContentQuery[]) =>
        queries.map(() => `${TEST_JOB.jobId}@${TEST_VOLUME}`),
      partsOf: content.partsOf ?? async function* () {},
    },
    append,
  );
  const end: JobEndRecord = {
    ...TEST_JOB,
    revision: 1,
    closing: [0, sequence],
    status: "T",
    endMs: 1_790_000_060_000,
    rows: counts.rows,
    files: counts.rows,
    bytes: 0,
    parents: [],
    bases: [],
    volumes: [TEST_VOLUME],
  };
  await writer.appendRecord(RecordKind.jobEnd, end);
  await writer.sync();
  await writer.close();
}

function* framesOf(content: TestContent): Generator<BuiltFrame> {
  let members: { member: TarMember; data: Buffer }[] = [];
  let bytes = 0;
  for (const row of content.rows) {
    const data = content.files.get(row.key);
    if (data === undefined) continue;
    const { mode, uid, gid, mtimeSec, mtimeNsec } = row;
    const name = memberName(TEST_JOB.jobId, row.key);
    members.push({ member: { name, type: "file", mode, uid, gid, size: 0, mtimeSec, mtimeNsec }, data });
    bytes += data.length + 512;
    if (bytes < FRAME_TARGET_BYTES) continue;
    yield frameOf(members);
    members = [];
    bytes = 0;
  }
  for (const chunk of content.chunks ?? []) members.push(partMember(TEST_JOB.jobId, chunk));
  if (members.length > 0) yield frameOf(members);
}

/** Writes a storage daemon's configuration whose volumes lie in the same directory; its path. */
export function writeTestConfig(directory: string): string {
  const config = join(directory, "storaged.yaml");
  const tls = "TLS: {CaFile: ca.pem, CertFile: c.pem, KeyFile: k.pem}";
  writeFileSync(
    config,
    `Storage: {Name: sd1, WorkingDirectory: ., ${tls}}\nDirector: {Name: dir}\n` +
      "Device: {Name: FileDevice, MediaType: File, ArchiveDevice: .}\n",
  );
  return config;
}
