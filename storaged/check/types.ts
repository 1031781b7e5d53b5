/** What a check of catalog against volumes looks at and tells. Plain values: they cross threads and the wire. */

/** As in CheckFinding of proto/storaged.proto. */
export type FindingKind = "missing" | "short" | "extra" | "mislabeled" | "damaged" | "wrong" | "catalog";

export interface Finding {
  kind: FindingKind;
  /** "" when it is about no single volume. */
  volume: string;
  /** Byte in the volume's file; 0 when that says nothing. */
  offset: number;
  /** One line. */
  text: string;
  /** Director's JobIds of jobs that need what is wrong. */
  jobIds: number[];
  /** A file that is lost: absolute path, latin1 carrier; "" for other findings. */
  path: string;
  /** What was done about it; "": nothing. */
  repaired: string;
}

/** A finding about no volume, job or file, and nothing done about it. */
export const NOWHERE: Pick<Finding, "volume" | "offset" | "jobIds" | "path" | "repaired"> = {
  volume: "",
  offset: 0,
  jobIds: [],
  path: "",
  repaired: "",
};

export interface CheckOptions {
  /** Only these volumes and the lists of jobs that need them; "": all. */
  volume: string;
  pool: string;
  repair: boolean;
  /** Volumes are there, long enough and labelled right; nothing in them is read. */
  quick: boolean;
  /** Bytes a second read from volumes; 0: no limit. */
  bytesPerSec: number;
}

export interface CheckSummary {
  volumes: number;
  frames: number;
  bytes: number;
  findings: number;
  repaired: number;
  /** Jobs with files that cannot be restored. */
  jobIds: number[];
}

/** A frame as the catalog has it. */
export interface CatalogFrame {
  id: number;
  /** Number of the owner's job in the catalog, and its director's number. */
  job: number;
  jobId: number;
  /** The job was deleted; others may use its content. */
  deleted: boolean;
  offset: number;
  bytes: number;
  rawBytes: number;
  entries: Uint8Array;
  /** All its chunks are marked as damaged already. */
  setAside: boolean;
  /** Some of its chunks are. */
  marked: boolean;
}

/** A committed job whose end record must be on a volume. */
export interface CatalogJobFacts {
  id: number;
  jobId: number;
  uuid: string;
  revision: number;
  /** T or W: kept; G: deleted, others may use its content. */
  status: string;
}
