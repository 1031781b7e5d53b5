/**
 * Whether a frame is what it claims to be. Runs in worker threads when jobs are received, and in `basalt volume
 * verify`. A frame from filed must hold nothing but well-formed regular tar members of its own job, with safe
 * names, whose data are exactly the chunks of its index: a hostile hypervisor must not be able to put anything
 * else into a volume that people extract with tar.
 */
import { contentDigest, MAX_FRAME_RAW_BYTES, MAX_WHOLE_BYTES } from "../../common/format/content.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { parseMemberName } from "../../common/format/member.js";
import { displayPath } from "../../common/format/path.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decompressInto } from "../../common/format/zstd.js";
import { type WalkedMember, walkMember } from "./tar-walk.js";
import { checkZstdFrame, MAX_FRAME_BYTES } from "./zstd-frame.js";

/**
 * Decompresses a frame into the start of `scratch` (MAX_FRAME_RAW_BYTES long) and returns that part of it.
 * @throws GarbledInput
 */
export function unpackFrame(scratch: Buffer, frame: Uint8Array, rawBytes: number): Buffer {
  if (rawBytes === 0 || rawBytes > MAX_FRAME_RAW_BYTES || rawBytes % 512 !== 0) {
    throw new GarbledInput(`frame of ${rawBytes} raw bytes`);
  }
  if (frame.length > MAX_FRAME_BYTES) throw new GarbledInput("frame too large");
  checkZstdFrame(frame, rawBytes);
  const raw = scratch.subarray(0, rawBytes);
  decompressInto(raw, frame);
  return raw;
}

/** A frame of file contents, as filed sends them. @throws GarbledInput naming the member */
export function checkDataFrame(raw: Buffer, entries: readonly FrameEntry[], jobId: number): void {
  let at = 0;
  for (const entry of entries) {
    if (at >= raw.length) throw new GarbledInput("more chunks than tar members");
    const member = walkMember(raw, at);
    naming(member, () => checkContent(raw, member, entry, jobId));
    at = member.end;
  }
  if (at !== raw.length) throw new GarbledInput("tar members without a chunk");
}

function checkContent(raw: Buffer, member: WalkedMember, entry: FrameEntry, jobId: number): void {
  if (member.type !== "file") throw new GarbledInput("not a regular file");
  if (entry.offset !== member.dataAt || entry.length !== member.size) {
    throw new GarbledInput("chunk and tar member differ in place or length");
  }
  if (member.size > MAX_WHOLE_BYTES) throw new GarbledInput("chunk too long");
  const name = parseMemberName(jobId, member.name);
  if (name.kind === "manifest" || (name.kind === "entry" && name.key === "")) {
    throw new GarbledInput("name not allowed for content");
  }
  if (member.mode > 0o7777) throw new GarbledInput("bad mode");
  const data = raw.subarray(member.dataAt, member.dataAt + member.size);
  const digest = contentDigest(data);
  if (!digest.equals(entry.digest)) throw new GarbledInput("content does not have its digest");
  if (name.kind === "part" && name.digest !== digest.toString("hex")) {
    throw new GarbledInput("part named by another digest");
  }
}

/** A frame written by storaged itself: entries without content of their own, and the manifest. */
export function checkClosingFrame(raw: Buffer, jobId: number): void {
  for (let at = 0; at < raw.length; ) {
    const member = walkMember(raw, at);
    naming(member, () => {
      const name = parseMemberName(jobId, plainName(member));
      if (name.kind === "part") throw new GarbledInput("a part without a chunk");
      if (member.size > 0 && name.kind !== "manifest") throw new GarbledInput("content without a chunk");
      if (member.type === "link") parseMemberName(jobId, member.target);
    });
    at = member.end;
  }
}

/** Name of a member without the slash that only directories have. @throws GarbledInput */
export function plainName(member: WalkedMember): string {
  if (member.type !== "directory") return member.name;
  if (!member.name.endsWith("/")) throw new GarbledInput("directory without a trailing slash");
  return member.name.slice(0, -1);
}

function naming(member: WalkedMember, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof GarbledInput)) throw error;
    throw new GarbledInput(`${displayPath(member.name.slice(0, 1000))}: ${error.message}`);
  }
}
