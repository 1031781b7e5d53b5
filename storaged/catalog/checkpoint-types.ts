/** What is noted with the checkpoints of a job that may be kept, and what a start after a crash finds of it. */

import type { JobBeginRecord } from "../volume/records.js";
import type { JobExtent, LocalJob, PoolRecord } from "./types.js";

/** How far a running job that may be kept is safe, volumes and catalog. */
export interface JobCheckpoint {
  job: LocalJob;
  /** Key: everything up to it is there. */
  keptTo: string;
  session: SessionCheckpoint;
}

/** What a job's session knows of it at a checkpoint. */
export interface SessionCheckpoint {
  begin: JobBeginRecord;
  /** As in the director's request. */
  device: string;
  spread: boolean;
  extents: JobExtent[];
  /** Frames so far. */
  frames: number;
  bytesStored: number;
  rawBytes: number;
}

/** A job that a crash ended, as at its last checkpoint. */
export interface InterruptedJob {
  id: LocalJob;
  pool: PoolRecord;
  selfContained: boolean;
  chainUuids: string[];
  baseUuids: string[];
  revision: number;
  keptTo: string;
  /** Key up to which an earlier attempt was kept. */
  earlierTo: string | undefined;
  session: SessionCheckpoint;
}
