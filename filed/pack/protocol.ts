/**
 * Messages between the pool (main thread) and its workers, and the shared memory between them.
 *
 * Raw bytes stay in slots: SharedArrayBuffers that every worker sees. A read unit fills one slot; after storaged
 * said which digests it knows, a pack unit (of any worker) copies the others out of the slot into frames. Then the
 * slot is free again. Finished frames lie in FRAMES_PER_WORKER further slots of each worker until they were sent.
 */
import { CHUNK_MAX_BYTES } from "../../common/format/content.js";
import type { ImagePlan } from "../image/image-source.js";
import type { WindowRequest } from "../image/read-window.js";

/** Bytes newly read from one large file by one unit. */
export const WINDOW_BYTES = 4 * 1024 * 1024;
/** A window is preceded by what the window before left uncut. */
export const SLOT_BYTES = WINDOW_BYTES + CHUNK_MAX_BYTES;
/** What a thread works on, and what lies ready for it. */
export const SLOTS_PER_WORKER = 2;
/** What waits for storaged to say what it knows: on a long line the threads would wait for it otherwise. */
export const CLAIM_SLOTS = 4;
export const FRAMES_PER_WORKER = 4;

/**
 * A batch of small files is closed at either of these; with its last file it fits into a slot. On a long line a slot's
 * bytes are what a round trip brings.
 */
export const BATCH_BYTES = 3 * 1024 * 1024;
export const BATCH_FILES = 512;

export interface WorkerData {
  slots: SharedArrayBuffer[];
  /** For this thread's finished frames, FRAME_SLOT_BYTES each. */
  frames: SharedArrayBuffer[];
}

/** What a thread has to know of the job it works for. */
export interface PackJob {
  jobId: number;
  /** Bytes newly read per window, at most WINDOW_BYTES: fewer under a read limit. */
  windowBytes: number;
  /** CPU priority, 0 for what the process has. */
  nice: number;
  /** Disk priority, see parseIoNice; "" for what the process has. */
  ioNice: string;
}

export type ToWorker =
  /** Before everything else of a job. */
  | { kind: "begin"; job: PackJob }
  /** Read `tasks` (encoded) into the slot; answered by batchRead. The worker keeps the tasks until pack or drop. */
  | { kind: "batch"; unit: number; slot: number; tasks: Uint8Array; count: number }
  /** Pack the files of a batch whose byte in `wanted` is 1; answered by packed, later frame. */
  | { kind: "packBatch"; unit: number; wanted: Uint8Array }
  /** Forget a batch of which nothing is wanted. */
  | { kind: "drop"; unit: number }
  /** Read the next window of a large file, opening it when `open` is given; answered by windowRead. */
  | { kind: "window"; unit: number; slot: number; file: number; open?: { task: Uint8Array; force: boolean } }
  /** Pack chunks of a window (uint offset, uint length, digest each); answered by packed, later frame. */
  | { kind: "packChunks"; unit: number; slot: number; chunks: Uint8Array; count: number; code: number }
  /** Plan further windows of a disk image, opening it when `task` is given; answered by imagePlanned. */
  | { kind: "imagePlan"; file: number; task?: Uint8Array }
  /** Read a planned window, in any thread; answered by windowRead, with the state more or failed. */
  | { kind: "imageWindow"; unit: number; slot: number; image: WindowRequest }
  /** Emit the frame begun, however small. */
  | { kind: "flush" }
  /** Drop what is waiting and end. */
  | { kind: "exit" }
  /** One of this worker's frames was sent: its slot is free. */
  | { kind: "frameTaken"; slot: number };

export type FromWorker =
  /** Something for the log. */
  | { kind: "remark"; text: string }
  | { kind: "batchRead"; unit: number; results: Uint8Array; errors: string[] }
  | { kind: "windowRead"; unit: number; window: WindowReply }
  | { kind: "imagePlanned"; file: number; plan: ImagePlan }
  /** The slot's bytes are copied into a frame that is not emitted yet. */
  | { kind: "packed"; unit: number }
  /** A slot holds a `frame` message of the backup stream; `completes` lists the units that are wholly out with it. */
  | { kind: "frame"; slot: number; length: number; completes: number[] };

export interface WindowReply {
  /** After anything but `more` the file is closed. small: it is one chunk now, and was not to be read by force. */
  state: "more" | "end" | "vanished" | "small" | "failed";
  /** Encoded by writePart. */
  parts: Uint8Array;
  count: number;
  bytesRead: number;
  /** With `end`: size as read, and whether it changed meanwhile. */
  size: number;
  unstable: boolean;
  /** Of a disk image that was to be read directly: false when that did not work. */
  direct?: boolean;
  error?: string;
}

/** What became of one file of a batch. */
export const ReadStatus = {
  ok: 0,
  vanished: 1,
  failed: 2,
  /** Larger than MAX_WHOLE_BYTES now. */
  large: 3,
  /** Did not fit into the slot any more. */
  again: 4,
} as const;
export type ReadStatus = (typeof ReadStatus)[keyof typeof ReadStatus];

/** u8 status, u8 unstable, u16 index of the error text, u32 offset in the slot, u32 size, digest. */
export const RESULT_BYTES = 44;

export interface ReadResult {
  status: ReadStatus;
  unstable: boolean;
  error: number;
  offset: number;
  size: number;
  digest: Buffer;
}

export function writeResult(
  into: Buffer,
  index: number,
  result: Omit<ReadResult, "digest">,
  digest?: Buffer,
): void {
  const at = index * RESULT_BYTES;
  into[at] = result.status;
  into[at + 1] = result.unstable ? 1 : 0;
  into.writeUInt16LE(result.error, at + 2);
  into.writeUInt32LE(result.offset, at + 4);
  into.writeUInt32LE(result.size, at + 8);
  if (digest !== undefined) digest.copy(into, at + 12);
  else into.fill(0, at + 12, at + RESULT_BYTES);
}

export function readResult(from: Buffer, index: number): ReadResult {
  const at = index * RESULT_BYTES;
  return {
    status: from[at] as ReadStatus,
    unstable: from[at + 1] === 1,
    error: from.readUInt16LE(at + 2),
    offset: from.readUInt32LE(at + 4),
    size: from.readUInt32LE(at + 8),
    digest: from.subarray(at + 12, at + RESULT_BYTES),
  };
}
