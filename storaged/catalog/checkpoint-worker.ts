/** The thread that copies the catalog's write-ahead log into its file, while the writing thread goes on appending. */

import { closeSync, fdatasyncSync, openSync } from "node:fs";
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

/**
 * Has what was copied on the disk. SQLite itself waits for that only in the round in which nobody wrote meanwhile: the
 * writing thread, which does the last one, would wait for the pages of all rounds.
 */
class Syncer {
  readonly #fd: number;

  constructor(file: string) {
    this.#fd = openSync(file, "r");
  }

  sync(): void {
    fdatasyncSync(this.#fd);
  }

  /** Drops the locks of every connection of this process to the file (fcntl(2)): none may be open any more. */
  close(): void {
    closeSync(this.#fd);
  }
}

if (parentPort !== null && (workerData as { checkpointOf?: string } | null)?.checkpointOf !== undefined) {
  const { checkpointOf } = workerData as { checkpointOf: string };
  let open: { db: Db; syncer: Syncer } | undefined;
  serveMethods(parentPort, {
    copy: () => {
      open ??= { syncer: new Syncer(checkpointOf), db: new Database(checkpointOf, { fileMustExist: true }) };
      const state = copyLog(open.db);
      if (state.log > 0) open.syncer.sync();
      return state;
    },
    close: () => {
      open?.db.close();
      open?.syncer.close();
    },
  } satisfies CheckpointMethods);
}
