/** What sessions need from the daemon around them. */
import type { Log } from "../../common/log.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob } from "../catalog/types.js";
import type { FrameVerifier } from "../volume/verify.js";
import type { CheckpointEvery } from "./backup-ingest.js";
import type { VolumeDesk } from "./volume-desk.js";

/** Where a job's file daemon is, and who it must be. */
export type FiledPlace = Pick<StorageBackup__Output, "filedAddress" | "filedPort" | "client"> & {
  /** The run's unique name: it may have been dialed for already. */
  job?: string;
};

/** What a stream to filed is for. */
export type FiledMethod = "Backup" | "Lists" | "Network";

export interface SessionDeps {
  catalog: Catalog;
  desk: VolumeDesk;
  verifier: FrameVerifier;
  log: Log;
  /** Name of this storage daemon. */
  storage: string;
  /** Opens the data stream to filed (default: Backup); `close` ends the connection. Whoever aborts tells filed why before it breaks. */
  connect: (request: FiledPlace, method?: FiledMethod) => Promise<{ stream: DataStream; close: () => void }>;
  /** Takes the end record of a failed job back; gives warnings. */
  settle: (job: LocalJob) => Promise<string[]>;
  /** Deletes jobs whose place was taken by others; gives warnings. */
  dropReplaced?: (() => Promise<string[]>) | undefined;
  /** How far apart a job's checkpoints are at most. (Default: 15 s and 256 MiB) */
  checkpoints?: CheckpointEvery | undefined;
  /** For VolSessionId and VolSessionTime of reports. */
  session: { id: number; timeMs: number };
}
