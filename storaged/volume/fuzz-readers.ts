/** Every reader of volumes, with good samples taken from the fixtures. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BackupError } from "../../common/errors.js";
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { decodeFrameIndex, decodeRecord, RecordKind } from "../../common/format/frame.js";
import { parseMemberName } from "../../common/format/member.js";
import { decodeXattrs, EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { BlockWriter, decodeBlock, writeRow } from "../../common/format/row-block.js";
import { ByteReader, ByteWriter } from "../../common/format/varint.js";
import { packageRoot } from "../../common/package.js";
import { listVolume } from "./cli-list.js";
import { verifyVolume } from "./cli-verify.js";
import { Contents } from "./extract/contents.js";
import { Survey } from "./extract/survey.js";
import { layersOf, treeOf } from "./extract/tree.js";
import { checkClosingFrame, checkDataFrame, unpackFrame } from "./frame-check.js";
import { BytesStore, type FuzzedReader, type FuzzTarget, sealHeaders, sealRecords } from "./fuzz.js";
import { decodeLabel } from "./label.js";
import { unescapeText } from "./manifest-line.js";
import { ManifestParser } from "./manifest-parse.js";
import { VolumeReader } from "./reader.js";
import { decodeChange, decodeJobBegin, decodeJobEnd } from "./records.js";
import { walkMember } from "./tar-walk.js";
import { zstdFrameInfo } from "./zstd-frame.js";

const VOLUMES = ["everything", "span-2", "base", "delta", "rewritten-1", "rewritten-2", "vacuumed-2"];
const scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
/** No reader may read a file many times over, whatever it says. */
const READS_PER_BYTE = 16;
const READS_AT_LEAST = 64 * 1024 * 1024;

/** All readers. Reads the fixtures. */
export async function fuzzTargets(): Promise<FuzzTarget[]> {
  const volumes = VOLUMES.map((name) =>
    readFileSync(join(packageRoot(), "storaged", "volume", "fixtures", `${name}.volume`)),
  );
  return [...(await pieceTargets(volumes)), ...volumeTargets(volumes)];
}

interface Pieces {
  records: Map<RecordKind, Buffer[]>;
  payloads: Buffer[];
  frames: Buffer[];
  raws: { raw: Buffer; entries: { digest: Buffer; offset: number; length: number }[] }[];
  manifests: Buffer[];
}

async function piecesOf(volumes: readonly Buffer[]): Promise<Pieces> {
  const pieces: Pieces = { records: new Map(), payloads: [], frames: [], raws: [], manifests: [] };
  for (const bytes of volumes) {
    const reader = await VolumeReader.open(new BytesStore(new Map([["/v", bytes]])), "/v");
    for await (const item of reader.scan()) {
      const length = bytes.readUInt32LE(item.offset + 4);
      const payload = bytes.subarray(item.offset + 8, item.offset + 8 + length);
      pieces.payloads.push(payload);
      const { kind, body } = decodeRecord(payload);
      pieces.records.set(kind, [...(pieces.records.get(kind) ?? []), body]);
      if (item.type !== "frame") continue;
      pieces.frames.push(item.frame!);
      const raw = Buffer.from(unpackFrame(scratch, item.frame!, item.index.rawBytes));
      pieces.raws.push({ raw, entries: item.index.entries });
      for (let at = 0; at < raw.length; ) {
        const member = walkMember(raw, at);
        if (member.name.includes("/.basalt/manifest"))
          pieces.manifests.push(raw.subarray(member.dataAt, member.dataAt + member.size));
        at = member.end;
      }
    }
  }
  return pieces;
}

async function pieceTargets(volumes: readonly Buffer[]): Promise<FuzzTarget[]> {
  const { records, payloads, frames, raws, manifests } = await piecesOf(volumes);
  const of = (kind: RecordKind): Buffer[] => records.get(kind) ?? [];
  const target = (name: string, samples: Buffer[], read: FuzzedReader): FuzzTarget => ({
    name,
    samples,
    read,
    slow: false,
  });
  const raw = raws.map((sample) => sample.raw);
  const entries = raws[0]!.entries;
  return [
    target("record", payloads, decodeRecord),
    target("label", of(RecordKind.label), decodeLabel),
    target("job begin record", of(RecordKind.jobBegin), decodeJobBegin),
    target("job end record", of(RecordKind.jobEnd), decodeJobEnd),
    target("change record", of(RecordKind.catalog), decodeChange),
    target("frame index", of(RecordKind.frameIndex), decodeFrameIndex),
    target("numbers", of(RecordKind.frameIndex), readNumbers),
    target("outside of a zstd frame", frames, zstdFrameInfo),
    target("zstd frame", frames, unpackAsItSays),
    { ...target("tar members", raw, walkAll), seal: sealHeaders },
    { ...target("data frame", raw, (bytes) => checkDataFrame(bytes, entries, 1)), seal: sealHeaders },
    { ...target("closing frame", raw, (bytes) => checkClosingFrame(bytes, 1)), seal: sealHeaders },
    target("member name", raw, (bytes) =>
      parseMemberName(1, `job1/${bytes.latin1Slice(0, Math.min(100, bytes.length))}`),
    ),
    target("manifest", manifests, parseManifest),
    target("escaped text", manifests, (bytes) => unescapeText(bytes.latin1Slice())),
    target("list block", blocks(), decodeBlock),
    target("attributes", [xattrSample()], decodeXattrs),
  ];
}

function readNumbers(bytes: Buffer): void {
  const reader = new ByteReader(bytes);
  for (let i = 0; !reader.done; i++) {
    if (i % 5 === 0) reader.uint();
    else if (i % 5 === 1) reader.int();
    else if (i % 5 === 2) reader.blob();
    else if (i % 5 === 3) reader.latin1();
    else reader.u32();
  }
}

function unpackAsItSays(bytes: Buffer): void {
  unpackFrame(scratch, bytes, zstdFrameInfo(bytes).contentBytes);
}

function walkAll(raw: Buffer): void {
  for (let at = 0; at < raw.length; ) {
    const { end } = walkMember(raw, at);
    if (end <= at || end > raw.length) throw new Error(`member at ${at} ends at ${end}`);
    at = end;
  }
}

function parseManifest(bytes: Buffer): void {
  const parser = new ManifestParser();
  const cut = bytes.length >> 1;
  for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) for (const _item of parser.push(piece));
  parser.finish();
}

function xattrSample(): Buffer {
  return Buffer.from("010a757365722e656d70747900", "hex");
}

/** List blocks, compressed and not: changes reach the rows of the second sort. */
function blocks(): Buffer[] {
  const file = { size: 5, content: Buffer.alloc(32, 1), group: "a", xattrs: xattrSample() };
  const rows: Row[] = [
    emptyRow("", EntryType.directory),
    { ...emptyRow("a", EntryType.file), ...file },
    { ...emptyRow("a\0b", EntryType.symlink), target: "there" },
    { ...emptyRow("dev", EntryType.blockDevice), major: 7, minor: 300 },
    emptyRow("gone", EntryType.deleted),
  ];
  return [false, true].flatMap((state) => {
    const writer = new BlockWriter({ state });
    const out = new ByteWriter();
    let previous = "";
    for (const row of rows) {
      writer.add(row);
      writeRow(out, row, previous, state);
      previous = row.key;
    }
    const raw = Buffer.from(out.bytes());
    const head = Buffer.from([1, state ? 2 : 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32LE(rows.length, 2);
    head.writeUInt32LE(raw.length, 6);
    return [writer.finish(), Buffer.concat([head, raw])];
  });
}

function volumeTargets(volumes: Buffer[]): FuzzTarget[] {
  const over = (name: string, use: (store: BytesStore, bytes: Buffer) => Promise<void>): FuzzTarget => ({
    name,
    samples: volumes,
    slow: true,
    seal: sealRecords,
    read: async (bytes) => {
      const store = new BytesStore(
        new Map([
          ["/v", bytes],
          ["/w", volumes[4]!],
        ]),
      );
      const broken = await use(store, bytes).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (store.bytesRead > READS_AT_LEAST + READS_PER_BYTE * bytes.length)
        throw new Error(`${store.bytesRead} bytes read of ${bytes.length}`);
      if (broken !== undefined) throw broken;
    },
  });
  const open = (store: BytesStore) => VolumeReader.open(store, "/v");
  const silent = async () => undefined;
  return [
    over("scan", async (store) => void (await scanned(await open(store), false))),
    over("scan behind damage", async (store, bytes) => {
      const end = await scanned(await open(store), true);
      if (end < bytes.length) throw new Error(`the scan ends at ${end} of ${bytes.length}`);
    }),
    over("frame at any place", async (store, bytes) => {
      const reader = await open(store);
      const at = bytes.length === 0 ? 0 : bytes.readUInt8(bytes.length >> 1) % bytes.length;
      await reader.readFrameAt(Math.max(0, bytes.indexOf("5b2a4d18", at, "hex")));
    }),
    over("ls", async (store) => void (await listVolume(await open(store), silent, false))),
    over("verify", async (store) => void (await verifyVolume(await open(store), silent))),
    over("extract", readStates),
  ];
}

/** Where a scan ended; it must leave nothing out and always go on. */
async function scanned(reader: VolumeReader, recover: boolean): Promise<number> {
  let last = 0;
  for await (const { offset, end } of reader.scan({ recover })) {
    if (offset !== last || (end <= offset && reader.size > 0))
      throw new Error(`item from ${offset} to ${end} behind ${last}`);
    last = end;
  }
  return last;
}

async function readStates(store: BytesStore): Promise<void> {
  const survey = await Survey.of(store, ["/v", "/w"], async () => undefined);
  try {
    const contents = new Contents(survey);
    for (const jobId of survey.jobIds(1000)) {
      try {
        for await (const { row } of treeOf(contents, layersOf(survey.job(`${jobId}`)!, survey).layers))
          if (row.content !== undefined) await contents.chunk(row.content);
      } catch (error) {
        if (!(error instanceof BackupError)) throw error;
      }
    }
  } finally {
    await survey.close();
  }
}
