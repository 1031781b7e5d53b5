/** Packs content that was read from volumes into frames of another job. */

import { FRAME_TARGET_BYTES, MAX_WHOLE_BYTES } from "../../common/format/content.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { isReservedKey, memberName, partName } from "../../common/format/member.js";
import { decodeXattrs, type Row } from "../../common/format/row.js";
import { type TarMember, tarHeaderInPlace, tarPadding } from "../../common/format/tar.js";
import { Compressor } from "../../common/format/zstd.js";
import { encodeFrame } from "../../proto/data/backup.js";

/** A header with more attributes than this goes without them: the row has them, and a frame's size is limited. */
const MAX_HEADER_BYTES = 512 * 1024;
const ROOM_BYTES = FRAME_TARGET_BYTES + MAX_WHOLE_BYTES + MAX_HEADER_BYTES + 1024;

/** Collects members until a frame is full. */
export class CopyPacker {
  readonly #jobId: number;
  readonly #compressor = new Compressor(1);
  readonly #raw = Buffer.allocUnsafeSlow(ROOM_BYTES);
  #entries: FrameEntry[] = [];
  #length = 0;
  /** Bytes of frames made so far, compressed. */
  sentBytes = 0;

  /** `jobId`: the new job's, for the names of members. */
  constructor(jobId: number) {
    this.#jobId = jobId;
  }

  /**
   * Adds a chunk: as the member of `row`, whose whole content it is, else as a part. Returns a frame message when
   * one is full. `digest` is kept, `data` is not.
   */
  add(digest: Buffer, data: Buffer, row: Row | undefined): Buffer | undefined {
    const member = row === undefined ? this.#part(digest, data.length) : this.#whole(digest, row);
    let header = tarHeaderInPlace(member);
    if (header.length > MAX_HEADER_BYTES) header = tarHeaderInPlace({ ...member, xattrs: [] });
    this.#put(header);
    this.#entries.push({ digest, offset: this.#length, length: data.length });
    this.#put(data);
    const padding = tarPadding(data.length);
    this.#raw.fill(0, this.#length, this.#length + padding);
    this.#length += padding;
    return this.#length >= FRAME_TARGET_BYTES ? this.flush() : undefined;
  }

  /** What was not sent yet; undefined when there is nothing. */
  flush(): Buffer | undefined {
    if (this.#length === 0) return undefined;
    const data = this.#compressor.compress(this.#raw.subarray(0, this.#length));
    const message = Buffer.from(encodeFrame(this.#length, this.#entries, data));
    this.sentBytes += data.length;
    this.#entries = [];
    this.#length = 0;
    return message;
  }

  #put(bytes: Buffer): void {
    this.#raw.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #part(digest: Buffer, size: number): TarMember {
    const facts = { type: "file", mode: 0o600, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0 } as const;
    return { ...facts, name: partName(this.#jobId, digest), size };
  }

  #whole(digest: Buffer, row: Row): TarMember {
    if (isReservedKey(row.key) || row.key === "") return this.#part(digest, row.size);
    const { mode, uid, gid, size, mtimeSec, mtimeNsec, xattrs } = row;
    const name = memberName(this.#jobId, row.key);
    const attributes = xattrs === undefined ? undefined : decodeXattrs(xattrs);
    return { name, type: "file", mode, uid, gid, size, mtimeSec, mtimeNsec, xattrs: attributes };
  }
}
