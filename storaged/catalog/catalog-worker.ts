/** The thread that alone writes the catalog. The methods are those of the writer-*.ts classes. */

import { parentPort, workerData } from "node:worker_threads";
import { type Db, openForWriting } from "./schema.js";
import { serveMethods } from "./worker-rpc.js";
import { ContentStore } from "./writer-content.js";
import { Contexts } from "./writer-context.js";
import { JobStore } from "./writer-jobs.js";
import { PoolStore } from "./writer-pools.js";
import { RowStore } from "./writer-rows.js";

/** Methods of the writing thread over an open catalog; also used without a thread in tests. */
export function writerMethods(db: Db) {
  const contexts = new Contexts(db);
  const contents = new ContentStore(db, contexts);
  const jobs = new JobStore(db, contexts, contents);
  const rows = new RowStore(db, contexts, contents);
  const pools = new PoolStore(db, contexts);
  return {
    open: () => undefined,
    begin: jobs.begin.bind(jobs),
    addFrames: contents.addFrames.bind(contents),
    known: contents.known.bind(contents),
    addParts: contents.addParts.bind(contents),
    addRows: rows.addRows.bind(rows),
    addState: rows.addState.bind(rows),
    finishRows: jobs.finishRows.bind(jobs),
    checkpoint: jobs.checkpoint.bind(jobs),
    commit: jobs.commit.bind(jobs),
    fail: jobs.fail.bind(jobs),
    clean: jobs.clean.bind(jobs),
    recover: jobs.recover.bind(jobs),
    syncPools: pools.sync.bind(pools),
    addVolume: pools.addVolume.bind(pools),
    setVolumeStatus: pools.setStatus.bind(pools),
    countVolumeError: pools.countError.bind(pools),
    cutVolume: pools.cutTo.bind(pools),
    neededBytes: pools.neededBytes.bind(pools),
    close: () => void db.close(),
  };
}
export type WriterMethods = ReturnType<typeof writerMethods>;

if (parentPort !== null && (workerData as { catalog?: string } | null)?.catalog !== undefined) {
  const { catalog } = workerData as { catalog: string };
  let methods: WriterMethods | undefined;
  const open = (): WriterMethods => {
    methods ??= writerMethods(openForWriting(catalog));
    return methods;
  };
  // Opened by the first call, so that a catalog that cannot be opened is that call's error.
  const lazy = new Proxy({} as WriterMethods, { get: (_none, name) => open()[name as keyof WriterMethods] });
  serveMethods(parentPort, lazy);
}
