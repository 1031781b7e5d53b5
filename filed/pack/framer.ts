/**
 * Packs content into frames: tar members side by side in one buffer, compressed when it reaches
 * FRAME_TARGET_BYTES. One per worker thread. A frame holds members of any files; which pack units are complete with
 * it is told along with it.
 */
import { FRAME_TARGET_BYTES, MAX_WHOLE_BYTES } from "../../common/format/content.js";
import { type FrameEntry, writeEntries } from "../../common/format/frame.js";
import { type TarMember, tarHeaderInPlace, tarPadding } from "../../common/format/tar.js";
import { ByteWriter } from "../../common/format/varint.js";
import { compressBound } from "../../common/format/zstd.js";
import { BackupKind } from "../../proto/data/backup.js";
import { compressFrame } from "./compression.js";
import type { FrameSlots } from "./frame-slots.js";

/** A header with more attributes than this goes without them: the row has them, and a frame's size is limited. */
const MAX_HEADER_BYTES = 512 * 1024;
/** Room behind the target for the member that crosses it. */
const RAW_BYTES = FRAME_TARGET_BYTES + MAX_WHOLE_BYTES + MAX_HEADER_BYTES;

/** A member takes at least a header and a block of data; its entry in a message at most so many bytes. */
const MIN_MEMBER_BYTES = 1024;
const ENTRY_BYTES = 48;
/** Room for the largest `frame` message. */
export const FRAME_SLOT_BYTES =
  compressBound(RAW_BYTES) + Math.ceil(RAW_BYTES / MIN_MEMBER_BYTES) * ENTRY_BYTES + 64;

export interface EmittedFrame {
  /** The slot in which a whole `frame` message lies, from its beginning. */
  slot: number;
  length: number;
  completes: number[];
}

export class Framer {
  readonly #emit: (frame: EmittedFrame) => void;
  readonly #slots: FrameSlots;
  readonly #raw = Buffer.allocUnsafeSlow(RAW_BYTES);
  readonly #head = new ByteWriter(128 * 1024);
  #entries: FrameEntry[] = [];
  #completes: number[] = [];
  #length = 0;
  #code = 0;

  constructor(slots: FrameSlots, emit: (frame: EmittedFrame) => void) {
    this.#slots = slots;
    this.#emit = emit;
  }

  /** Adds one member. `digest` is copied. Resolves when there is room again. */
  async add(member: TarMember, data: Uint8Array, digest: Buffer, code: number): Promise<void> {
    if (this.#length > 0 && code !== this.#code) await this.flush();
    this.#code = code;
    let header = tarHeaderInPlace(member);
    if (header.length > MAX_HEADER_BYTES) header = tarHeaderInPlace({ ...member, xattrs: [] });
    this.#raw.set(header, this.#length);
    this.#length += header.length;
    this.#entries.push({ digest: Buffer.from(digest), offset: this.#length, length: data.length });
    this.#raw.set(data, this.#length);
    this.#length += data.length;
    const padding = tarPadding(data.length);
    this.#raw.fill(0, this.#length, this.#length + padding);
    this.#length += padding;
  }

  /** Emits the frame if it is full. Call after each `add` and the `unitDone` that belongs to it. */
  async settle(): Promise<void> {
    if (this.#length >= FRAME_TARGET_BYTES) await this.flush();
  }

  /** All members of the unit were added: the next frame completes it. */
  unitDone(unit: number): void {
    this.#completes.push(unit);
  }

  async flush(): Promise<void> {
    if (this.#length === 0) return;
    const { slot, bytes } = await this.#slots.take();
    // The same bytes as encodeFrame's, made where they will be sent from.
    this.#head.clear();
    this.#head.u8(BackupKind.frame);
    this.#head.uint(this.#length);
    writeEntries(this.#head, this.#entries);
    const head = this.#head.bytes();
    bytes.set(head);
    const raw = this.#raw.subarray(0, this.#length);
    const length = head.length + compressFrame(bytes.subarray(head.length), raw, this.#code);
    const completes = this.#completes;
    this.#entries = [];
    this.#completes = [];
    this.#length = 0;
    this.#emit({ slot, length, completes });
  }
}
