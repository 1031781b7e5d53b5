/** Rows of the director's database as the rest of the director sees them. */

import type { JobId } from "../job/request.js";

/** B backup, R restore, D admin, V verify, c copy, g migration; C a copy that was made, M a job that was migrated away. */
export type TypeLetter = "B" | "R" | "D" | "V" | "c" | "g" | "C" | "M";
/** F full, D differential, I incremental, B base, f virtual full; blank where a type has no level. */
export type LevelLetter = "F" | "D" | "I" | "B" | "f" | " ";
/** C created (waits), R running, T ok, W ok with warnings, D verified and found different, E error, f failed with its director, A cancelled, I incomplete: it can go on. */
export type StatusLetter = "C" | "R" | "T" | "W" | "D" | "E" | "f" | "A" | "I";

/** One run. Times are ms since the epoch, 0 for "not yet"; sizes are bytes. */
export interface JobRecord {
  jobId: JobId;
  uuid: string;
  /** `NAME.YYYY-MM-DD_HH.MM.SS_NN` */
  job: string;
  /** Job resource. */
  name: string;
  type: TypeLetter;
  level: LevelLetter;
  client: string;
  fileSet: string;
  pool: string;
  storage: string;
  status: StatusLetter;
  priority: number;
  schedMs: number;
  startMs: number;
  endMs: number;
  files: number;
  bytes: number;
  /** Bytes read from the client's disks. */
  readBytes: number;
  /** Compressed bytes over the wire. */
  sentBytes: number;
  /** Bytes written to volumes. */
  storedBytes: number;
  errors: number;
  warnings: number;
  /** Run that the level counts from; 0: none. */
  priorJobId: number;
  /** Base jobs it lies on, in the job's order. */
  baseJobIds: number[];
  baseFiles: number;
  baseBytes: number;
  usedFiles: number;
  volumes: string[];
  volSessionId: number;
  volSessionTime: number;
  comment: string;
  /** The report that ended it, without the message's head; "" until then. */
  report: string;
  /** One line: why it failed or was cancelled. */
  reason: string;
  /** 1 when the file list is gone and the run is still recorded, else 0. */
  purgedFiles: number;
  /** The RunRequest as JSON while the job waits, so that a restart queues it again. */
  request: string;
}

/** Conditions are joined by "and"; lists inside one condition by "or". */
export interface JobFilter {
  jobIds?: readonly number[];
  /** Unique job name. */
  job?: string;
  name?: string;
  client?: string;
  fileSet?: string;
  pool?: string;
  storage?: string;
  status?: readonly string[];
  level?: string;
  type?: string;
  /** Only runs that had errors. */
  withErrors?: boolean;
  /** Scheduled within so many days. */
  days?: number;
  /** Started before this moment, ms. */
  beforeMs?: number;
  /** Ended before this moment, ms. */
  endedBeforeMs?: number;
  /** Ended ones only. */
  ended?: boolean;
  limit?: number;
  /** By start time, then JobId. (Default: asc) */
  order?: "asc" | "desc";
}

export interface LogRecord {
  jobId: JobId;
  timeMs: number;
  /** With the message's head, as printed. */
  text: string;
}
