/** What crosses between the daemon's main thread and the catalog's threads: plain values only. */

import type { BackupTotals } from "../../proto/data/backup.js";

/** Number of a job in this catalog (not the director's JobId). */
export type LocalJob = number;

/** Job levels as they are stored. */
export type StoredLevel = "Base" | "Full" | "Differential" | "Incremental" | "VirtualFull";
/** R running, T ok, W ok with warnings, E error, f fatal, A canceled. */
export type StatusLetter = "R" | "T" | "W" | "E" | "f" | "A";

/**
 * B backup; C copy, which stands back while its original is there; M original whose place was taken, to be deleted;
 * I incomplete backup: kept, but no run builds on it except the one that goes on with it.
 */
export type JobKind = "B" | "C" | "M" | "I";

export interface PoolRecord {
  id: number;
  name: string;
  poolType: string;
  deduplicate: boolean;
  /** Whose content a client may be told is there. */
  dedupScope: "pool" | "client";
  maximumVolumes: number;
  maximumVolumeBytes: number;
  maximumVolumeJobs: number;
  /** Seconds. */
  volumeUseDuration: number;
  /** Seconds. */
  volumeRetention: number;
  autoPrune: boolean;
  recycle: boolean;
  labelFormat: string;
  scratchPool: string;
  recyclePool: string;
  nextPool: string;
  /** When nothing else is left: prune the oldest volume, the one written last, or purge the oldest. */
  recycleOldestVolume: boolean;
  recycleCurrentVolume: boolean;
  purgeOldestVolume: boolean;
  /** Files are emptied as soon as their volume is purged. */
  truncateOnPurge: boolean;
  /** Volumes in the pool now. */
  volumes: number;
}

export interface VolumeRecord {
  id: number;
  name: string;
  pool: number;
  poolName: string;
  mediaType: string;
  device: string;
  status: string;
  enabled: boolean;
  /** Length that is safe on disk; what lies behind it belongs to no committed job. */
  bytes: number;
  frames: number;
  jobs: number;
  errors: number;
  labelMs: number;
  firstWrittenMs: number;
  lastWrittenMs: number;
  /** Seconds. */
  retention: number;
  recycle: boolean;
  maxBytes: number;
  maxJobs: number;
  /** Seconds. */
  useDuration: number;
  slot: number;
  inChanger: boolean;
  /** UUID of the label; "" until the file was first looked at. */
  uuid: string;
  /** End of the last change record that counts. */
  recordEnd: number;
  recycles: number;
  truncateOnPurge: boolean;
  /** Where it goes when it is purged; "": stays. */
  recyclePool: string;
  /** Bytes of live chunks at `measuredMs`; -1: never counted. */
  liveBytes: number;
  measuredMs: number;
}

/** What a new volume record needs; limits are the pool's. */
export interface NewVolume {
  name: string;
  pool: string;
  mediaType: string;
  device: string;
  slot: number;
  inChanger?: boolean;
  bytes: number;
  labelMs: number;
  /** Of its label. */
  uuid: string;
}

/** Whose run it is. */
export interface JobNames {
  uuid: string;
  jobId: number;
  jobName: string;
  job: string;
  client: string;
  fileSet: string;
  fileSetDigest: string;
}

export interface JobRecord extends JobNames {
  id: LocalJob;
  level: StoredLevel;
  type: JobKind;
  /** UUID of the job that it is a copy of; "". */
  copyOf: string;
  /** UUIDs of jobs whose place that one had taken by migration, newest first. */
  prior: string[];
  status: StatusLetter;
  hasState: boolean;
  selfContained: boolean;
  pool: string;
  scheduledMs: number;
  startMs: number;
  endMs: number;
  files: number;
  bytes: number;
  rows: number;
  baseFiles: number;
  newContent: number;
  reason: string;
  comment: string;
  /** Its list is on its volumes only (File Retention), until somebody asks for it. */
  listDropped: boolean;
}

/** Where a job lies on a volume, by name: bytes of the volume's file, `end` is behind the last one. */
export interface VolumeExtent {
  volume: string;
  mediaType: string;
  slot: number;
  first: number;
  end: number;
}

/** A JobRecord with its relations, director's JobIds. */
export interface JobListing extends JobRecord {
  bases: number[];
  chain: number[];
  volumes: string[];
  extents: VolumeExtent[];
  /** Volumes that hold content its rows name. */
  needs: string[];
}

export interface NewJob extends JobNames {
  level: StoredLevel;
  pool: string;
  scheduledMs: number;
  startMs: number;
  comment: string;
  /** Director's JobIds, oldest first. */
  chain: number[];
  /** Director's JobIds in the job's order. */
  bases: number[];
  /** Director's JobId of the run whose list vouches; 0: none. */
  ownNewest: number;
  /** Director's JobId of the Base whose list is compared with the new one's. (Default: 0, none) */
  compared?: number;
  /** (Default: B) */
  type?: JobKind;
  /** UUID of the job that it is a copy of. (Default: "") */
  copyOf?: string;
  /** UUIDs of jobs whose place that one had taken by migration, newest first. (Default: none) */
  prior?: readonly string[];
  /** JobIds of further runs whose content its rows may name; they cannot be deleted while it runs. */
  draws?: number[];
  /** JobIds of further runs that cannot be deleted while it runs. */
  holds?: number[];
  /** Goes on from where an incomplete run with the same JobId ended. */
  resume?: boolean;
}

/** A list to send, as layers of one overlay, top first. */
export interface ListSource {
  jobId: number;
  layers: LocalJob[];
  /** It counts up to a key only; what lies behind comes from another list. */
  spliced?: Splice | undefined;
}

/** Where an incomplete run ended, and the list (with the state of its first layer) that goes on behind it; none: nothing. */
export interface Splice {
  /** Key; the last one that counts. */
  last: string;
  layers: LocalJob[];
}

export interface BegunJob {
  id: LocalJob;
  pool: PoolRecord;
  selfContained: boolean;
  chain: ListSource | undefined;
  bases: ListSource[];
  own: ListSource | undefined;
  /** The Base in force, which a new one is compared with. (Default: none) */
  compared?: ListSource | undefined;
  /** UUIDs for the volume's own records. */
  chainUuids: string[];
  baseUuids: string[];
  /** Of its first list: 1, or beyond those of earlier attempts under its JobId, whose names on volumes it shares. */
  revision: number;
  /** The incomplete run that it goes on with, and the volumes of that. */
  resumed: { last: string; volumes: string[] } | undefined;
}

export interface FrameRow {
  volume: number;
  offset: number;
  bytes: number;
  rawBytes: number;
  /** As written by writeEntries (common/format/frame.ts). */
  entries: Uint8Array;
}

/** Where a job lies on a volume. */
export interface JobExtent {
  volume: number;
  firstOffset: number;
  endOffset: number;
}

/** New safe length and counters of a volume. */
export interface VolumeProgress {
  volume: number;
  bytes: number;
  /** Frames added since the last report. */
  frames: number;
  writtenMs: number;
}

export interface JobCounts {
  /** Rows that are not deletions. */
  files: number;
  deleted: number;
  /** Logical bytes of the files among them. */
  bytes: number;
  rows: number;
  stateRows: number;
  newContent: number;
}

export interface CommitRequest {
  job: LocalJob;
  status: "T" | "W";
  endMs: number;
  totals: BackupTotals & { bytesStored: number; rawBytes: number };
  extents: JobExtent[];
  volumes: VolumeProgress[];
  /** The job ended early and is kept up to this key; it becomes a run of type I. */
  keptTo?: string;
}

export interface ResolveInput {
  jobName: string;
  client: string;
  fileSet: string;
  fileSetDigest: string;
  level: string;
  base: string[];
  ignoreFileSetChanges: boolean;
  /** Director's JobId of an incomplete run; 0: none. */
  resumeJobId?: number;
  /** Number and unique name of the run itself, which may have been finished before. (Default: it was not) */
  jobId?: number;
  job?: string;
}

export interface ResolvedParents {
  level: string;
  upgraded: "" | "no-prior-full" | "fileset-changed";
  chain: number[];
  bases: number[];
  unresolvedBases: string[];
  ownNewest: number;
  /** A Base: the newest one of the same job; 0: none. */
  baseInForce: number;
  sinceMs: number;
  /** Entries of the incomplete run; 0: there is none. */
  incompleteFiles: number;
  /** The run was finished here before: there is nothing left to do. */
  committed: boolean;
}
