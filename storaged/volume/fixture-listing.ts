/** What a volume, or a state on several of them, holds, as JSON that can be compared with what it was found to hold once. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  contentDigest,
  DIGEST_BYTES,
  MAX_FRAME_RAW_BYTES,
  PART_BYTES,
  ZERO_DIGEST,
} from "../../common/format/content.js";
import { displayPath } from "../../common/format/path.js";
import { decodeXattrs, RowFlag } from "../../common/format/row.js";
import { FileStore } from "../store/file-store.js";
import { Contents } from "./extract/contents.js";
import { Survey } from "./extract/survey.js";
import { layersOf, type TreeEntry, treeOf } from "./extract/tree.js";
import { unpackFrame } from "./frame-check.js";
import { uuidText } from "./json.js";
import { DamagedVolume, type VolumeItem, VolumeReader } from "./reader.js";
import { walkMember } from "./tar-walk.js";

/** States on the fixtures that are frozen too: name, volumes, JobId. */
export const STATES: [name: string, volumes: string[], jobId: number][] = [
  ["state-everything", ["everything"], 1],
  ["state-span", ["span-2", "span-1"], 2],
  ["state-span-half", ["span-2"], 2],
  ["state-base", ["base"], 3],
  ["state-full-on-base", ["delta", "base"], 4],
  ["state-incremental", ["base", "delta"], 5],
  ["state-without-base", ["delta"], 5],
  ["state-rewritten-7", ["rewritten-1", "rewritten-2"], 7],
  ["state-rewritten-8", ["rewritten-2", "rewritten-1"], 8],
  ["state-vacuumed", ["vacuumed-1", "vacuumed-2"], 10],
  ["state-vacuumed-2", ["vacuumed-2"], 10],
];

/** Everything on one volume in order, and where it ends in damage. */
export async function listingOf(path: string): Promise<unknown> {
  const digest = contentDigest(readFileSync(path)).toString("hex");
  const items: unknown[] = [];
  const reader = await VolumeReader.open(new FileStore(), path);
  try {
    for await (const item of reader.scan()) items.push(itemOf(item));
    return { digest, items };
  } catch (error) {
    if (!(error instanceof DamagedVolume)) throw error;
    return { digest, items, goodEnd: error.goodEnd, refused: error.message.slice(path.length) };
  } finally {
    await reader.close();
  }
}

function itemOf(item: VolumeItem): unknown {
  if (item.type === "label") return { at: item.offset, label: item.label };
  if (item.type === "record")
    return { at: item.offset, kind: item.kind, body: JSON.parse(item.body.toString("utf8")) };
  if (item.type === "damage") return item;
  const { jobUuid, sequence, rawBytes, entries } = item.index;
  const raw = unpackFrame(Buffer.alloc(MAX_FRAME_RAW_BYTES), item.frame!, rawBytes);
  const members: string[] = [];
  for (let at = 0; at < raw.length; ) {
    const { name, type, mode, size, target, dataAt, end } = walkMember(raw, at);
    const data = size === 0 ? "" : contentDigest(raw.subarray(dataAt, dataAt + size)).toString("hex");
    members.push([type, mode.toString(8), size, displayPath(name), displayPath(target), data].join(" "));
    at = end;
  }
  return { at: item.offset, job: uuidText(jobUuid), sequence, rawBytes, chunks: entries.length, members };
}

/** The state of a job on some volumes, a line for each entry. */
export async function stateOf(paths: readonly string[], jobId: number): Promise<unknown> {
  const damage: string[] = [];
  const survey = await Survey.of(
    new FileStore(),
    paths,
    async (text) => void damage.push(text.replace(/^.*\//, "")),
  );
  try {
    const { layers, missing } = layersOf(survey.job(`${jobId}`)!, survey);
    const contents = new Contents(survey);
    const entries: string[] = [];
    for await (const entry of treeOf(contents, layers)) entries.push(await entryText(entry, contents));
    return {
      jobs: survey.jobIds(1000),
      layers: layers.map((end) => end.jobId),
      missing,
      damage,
      entries,
    };
  } finally {
    await survey.close();
  }
}

async function entryText({ row, parts }: TreeEntry, contents: Contents): Promise<string> {
  const { type, mode, uid, gid, size, mtimeSec, mtimeNsec, flags, major, minor } = row;
  const hash = createHash("sha256");
  const add = async (digest: Buffer) => hash.update((await contents.chunk(digest)) ?? "missing");
  if (row.content !== undefined && (flags & RowFlag.parts) === 0) await add(row.content);
  for await (const piece of parts) {
    for (let at = 0; at < piece.length; at += PART_BYTES) {
      const digest = piece.subarray(at + PART_BYTES - DIGEST_BYTES, at + PART_BYTES);
      if (digest.equals(ZERO_DIGEST)) hash.update(Buffer.alloc(piece.readUInt32LE(at)));
      else await add(digest);
    }
  }
  const numbers = [type, mode.toString(8), uid, gid, size, mtimeSec, mtimeNsec, flags, major, minor].join(
    " ",
  );
  const xattrs = row.xattrs === undefined ? [] : decodeXattrs(row.xattrs);
  const attributes = xattrs.map(({ name, value }) => `${name}=${value.toString("hex")}`).join(",");
  const names = [row.key, row.group ?? "-", row.target].map((text) =>
    displayPath(text.replaceAll("\0", "/")),
  );
  return `${numbers} ${hash.digest("hex")} ${names.join(" | ")} ${attributes}`;
}
