/** What a copy's plan (copy-plan.ts) is given, what it asks its driver for, and what it is answered. */

export interface CopyPlanOptions {
  catalogFile: string;
  /** JobIds of the original, and of the copy. */
  original: number;
  copy: number;
  originalUuid: string;
  /** The copy lies over copies of these (UUIDs: the runs below the original, or its Bases); undefined: it stands alone. */
  parents: readonly string[] | undefined;
  /** Every file up to 1 MiB becomes a member of its own, as the target's first job of a pool wants it. */
  everyFile: boolean;
  /** The original's state stream goes along. */
  withState: boolean;
}

export interface CopyTotals {
  files: number;
  deleted: number;
  bytes: number;
  bytesRead: number;
  bytesSent: number;
}

/** What the driver is asked for. */
export type CopyStep =
  /** Answered by one byte per digest: 1 for what the target has. */
  | { ask: "claim"; digests: Uint8Array }
  /** Answered by the zstd frame behind the index record at this place, or by why it cannot be read. */
  | { ask: "read"; volume: number; offset: number; bytes: number }
  /** Messages for the target, in order; no answer. */
  | { ask: "send"; messages: Uint8Array[]; totals: CopyTotals; path: string }
  /** A file whose content cannot be read, and the volume it should be on; no answer. */
  | { ask: "lost"; path: string; why: string; volume: string | undefined }
  | { ask: "end"; totals: CopyTotals };

export type CopyReply = Uint8Array | { error: string } | undefined;
