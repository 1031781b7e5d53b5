/** What a scan is asked, and what it has found. */
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import type { FrameVerifier } from "../volume/verify.js";

/** One line about something that a person should know. */
export type Say = (line: string) => Promise<void>;

export interface ScanOptions {
  store: Store;
  /** Checks frames; closed by the caller. */
  verifier: FrameVerifier;
  /** Paths of volume files, in any order. */
  files: readonly string[];
  /** A volume must lie in the directory of one of them, under its own name. */
  devices: Iterable<DeviceResource>;
  /** Believe frame indexes without reading the frames. Frames found behind damage are read all the same. */
  quick: boolean;
  /** What is wrong, and what became of each job that is not complete. */
  complain: Say;
  /** Bytes of volumes read so far, of all. */
  progress: (volume: string, readBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

export interface ScanResult {
  volumes: number;
  /** Jobs that can be restored. */
  jobs: number;
  /** Those of them that were in the catalog before. */
  present: number;
  /** Deleted jobs whose content was kept. */
  ghosts: number;
  /** Jobs that were never committed. */
  failed: number;
  /** Committed jobs that cannot be restored from these volumes. */
  leftOut: number;
  frames: number;
  /** Rows whose content is on none of the volumes. */
  damagedFiles: number;
  /** Volumes that could not be used, places that could not be read. */
  problems: number;
}
