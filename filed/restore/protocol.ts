/** Messages between the restore's main thread and its workers. */

/** When an existing entry makes way. */
export type Replace = "always" | "ifnewer" | "ifolder" | "never";

export interface RestoreWorkerData {
  /** Descriptor of the target directory, shared by all threads, closed by the main thread. */
  baseFd: number;
  /** Target directory for messages (latin1 carrier), "" in place. */
  where: string;
  /** Expressions that make new names; "" for none. */
  regexWhere: string;
  /** The target directory was made for this restore. */
  targetIsNew: boolean;
  replace: Replace;
  reportFiles: boolean;
  /** Part of the names of unfinished files, different for every restore. */
  tag: string;
  worker: number;
  /** Messages lie in these, SLOT_BYTES each. */
  slots: SharedArrayBuffer[];
  /** One Int32: not 0 when units still waiting are to be dropped. */
  stop: SharedArrayBuffer;
  /** Block devices that are being overwritten, see devices.ts. */
  devices: SharedArrayBuffer;
  /** Keys below the target where entries may be made; undefined: everywhere. */
  allowed: string[] | undefined;
}

/** A frame of the usual size with its index. A longer message goes as a copy of its own. */
export const SLOT_BYTES = 1_310_720;

/** A whole message of the data stream: a slot and how much of it, or the bytes. */
export type UnitMessage = { slot: number; length: number } | Uint8Array;

export type ToRestoreWorker =
  /** Make to folders; `failed` are keys that `finish` must not finish. The slot is free again with `done`. */
  | { kind: "unit"; message: UnitMessage; failed: string[] }
  /** Remove the unfinished files that this worker began. */
  | { kind: "cleanup" }
  /** End. */
  | { kind: "exit" };

/** Things that fail alike for many entries and are told once, with their number. */
export const TALLIES = ["owner", "mode", "xattr", "time", "device"] as const;
export type Tally = (typeof TALLIES)[number];

export interface UnitReport {
  /** Entries made. */
  files: number;
  bytes: number;
  /** Entries that could not be made; each has a line in `errors`. */
  failed: number;
  errors: string[];
  /** Entries left as they are because of the replace rule. */
  skipped: string[];
  /** Paths made, when files are to be reported. */
  restored: string[];
  /** Keys of files in several pieces of which one is bad. */
  badKeys: string[];
  tallies: Partial<Record<Tally, { count: number; example: string }>>;
  /** The last entry, for progress. */
  path: string;
}

export type FromRestoreWorker =
  | { kind: "done"; report: UnitReport }
  /** Nothing more can be written: the restore ends. */
  | { kind: "fatal"; code: string; text: string }
  | { kind: "cleaned" };

export function emptyReport(): UnitReport {
  return {
    files: 0,
    bytes: 0,
    failed: 0,
    errors: [],
    skipped: [],
    restored: [],
    badKeys: [],
    tallies: {},
    path: "",
  };
}
