/** The thread that copies the catalog's write-ahead log into its file, while the writing thread goes on appending. */

import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import type { Db } from "./schema.js";
import { serveMethods } from "./worker-rpc.js";

/** Pages in the log, and how many of them are in the file; both 0 when another connection was at it. */
export interface LogState {
  log: number;
  copied: number;
}

/** Copies what can be copied without waiting for anybody. @throws SqliteError such as SQLITE_IOERR, SQLITE_FULL */
export function copyLog(db: Db): LogState {
  const [state] = db.pragma("wal_checkpoint(PASSIVE)") as {
    busy: number;
    log: number;
    checkpointed: number;
  }[];
  if (state === undefined || state.busy !== 0) return { log: 0, copied: 0 };
  return { log: state.log, copied: state.checkpointed };
}

export interface CheckpointMethods {
  copy: () => LogState;
  close: () => void;
  [name: string]: () => unknown;
}

if (parentPort !== null && (workerData as { checkpointOf?: string } | null)?.checkpointOf !== undefined) {
  const { checkpointOf } = workerData as { checkpointOf: string };
  let db: Db | undefined;
  serveMethods(parentPort, {
    copy: () => {
      db ??= new Database(checkpointOf, { fileMustExist: true });
      return copyLog(db);
    },
    close: () => void db?.close(),
  } satisfies CheckpointMethods);
}
