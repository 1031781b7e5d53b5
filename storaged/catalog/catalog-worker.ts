/** The thread that alone writes the catalog. The methods are those of the writer-*.ts classes. */

import { parentPort, workerData } from "node:worker_threads";
import { copyLog } from "./checkpoint-worker.js";
import { InterruptedStore } from "./interrupted.js";
import { type Db, openForWriting } from "./schema.js";
import { InitLists } from "./verify-lists.js";
import { serveMade } from "./worker-rpc.js";
import { ContentStore } from "./writer-content.js";
import { Contexts } from "./writer-context.js";
import { CounterStore } from "./writer-counters.js";
import { FailedStore } from "./writer-failed.js";
import { GoneStore } from "./writer-gone.js";
import { JobStore } from "./writer-jobs.js";
import { ListStore } from "./writer-lists.js";
import { MigrateStore } from "./writer-migrate.js";
import { Needs } from "./writer-needs.js";
import { PartsStore } from "./writer-parts.js";
import { PoolStore } from "./writer-pools.js";
import { PurgeStore } from "./writer-purge.js";
import { RepairStore } from "./writer-repair.js";
import { RewriteStore } from "./writer-rewrite.js";
import { RowStore } from "./writer-rows.js";
import { VacuumStore } from "./writer-vacuum.js";
import { VolumeStore } from "./writer-volumes.js";

/** Methods of the writing thread over an open catalog; also used without a thread in tests. */
export function writerMethods(db: Db) {
  const contexts = new Contexts(db);
  const needs = new Needs(db);
  const contents = new ContentStore(db, contexts, needs);
  const parts = new PartsStore(db, contexts, needs, contents);
  const interrupted = new InterruptedStore(db, contexts);
  const jobs = new JobStore(db, contexts, parts, needs, interrupted);
  const failed = new FailedStore(db, contexts);
  const gone = new GoneStore(db, contexts);
  const purges = new PurgeStore(db, contexts, needs);
  const rewrites = new RewriteStore(db, contexts, jobs, needs);
  rewrites.dropFrames();
  const migrate = new MigrateStore(db);
  const lists = new ListStore(db, contexts);
  const rows = new RowStore(db, contexts, contents);
  const pools = new PoolStore(db, contexts);
  const volumes = new VolumeStore(db, contexts);
  const counters = new CounterStore(db);
  const vacuum = new VacuumStore(db, contexts, needs);
  const inits = new InitLists(db);
  const repairs = new RepairStore(db, needs);
  return {
    open: () => undefined,
    begin: jobs.begin.bind(jobs),
    addFrames: contents.addFrames.bind(contents),
    known: contents.known.bind(contents),
    addParts: parts.addParts.bind(parts),
    addRows: rows.addRows.bind(rows),
    addState: rows.addState.bind(rows),
    finishRows: jobs.finishRows.bind(jobs),
    checkpoint: jobs.checkpoint.bind(jobs),
    commit: jobs.commit.bind(jobs),
    dropOldStates: jobs.dropOldStates.bind(jobs),
    fail: failed.fail.bind(failed),
    clean: failed.clean.bind(failed),
    recover: failed.recover.bind(failed),
    interrupted: interrupted.list.bind(interrupted),
    trimInterrupted: interrupted.trim.bind(interrupted),
    takeUp: interrupted.takeUp.bind(interrupted),
    ending: jobs.ending.bind(jobs),
    beginRewrite: rewrites.begin.bind(rewrites),
    rewriteCounts: rewrites.counts.bind(rewrites),
    commitRewrite: rewrites.commit.bind(rewrites),
    abandonRewrite: rewrites.abandon.bind(rewrites),
    oldLists: rewrites.oldLists.bind(rewrites),
    clearOldList: rewrites.clearOld.bind(rewrites),
    endedInVain: gone.endedInVain.bind(gone),
    endSettled: gone.endSettled.bind(gone),
    dependants: gone.dependants.bind(gone),
    doom: gone.doom.bind(gone),
    doomed: gone.doomed.bind(gone),
    recordPlaces: gone.recordPlaces.bind(gone),
    undoom: gone.undoom.bind(gone),
    bury: gone.bury.bind(gone),
    recordEnd: gone.recordEnd.bind(gone),
    needOf: purges.needOf.bind(purges),
    purgeVolume: purges.purgeVolume.bind(purges),
    purgeStep: purges.purgeStep.bind(purges),
    hold: purges.hold.bind(purges),
    letGo: purges.letGo.bind(purges),
    dropList: lists.dropList.bind(lists),
    clearList: lists.clearList.bind(lists),
    partialLists: lists.partialLists.bind(lists),
    beginLoad: lists.beginLoad.bind(lists),
    addLoaded: lists.addLoaded.bind(lists),
    finishLoad: lists.finishLoad.bind(lists),
    takePlace: migrate.takePlace.bind(migrate),
    migratedAway: migrate.migratedAway.bind(migrate),
    syncPools: pools.sync.bind(pools),
    syncCounters: counters.sync.bind(counters),
    useCounters: counters.use.bind(counters),
    addVolume: pools.addVolume.bind(pools),
    setVolumeStatus: pools.setStatus.bind(pools),
    countVolumeError: pools.countError.bind(pools),
    cutVolume: pools.cutTo.bind(pools),
    updateVolume: volumes.update.bind(volumes),
    volumeFromPool: volumes.fromPool.bind(volumes),
    setVolumeUuid: volumes.setUuid.bind(volumes),
    moveVolume: volumes.move.bind(volumes),
    checkRename: volumes.checkRename.bind(volumes),
    beginRecycle: volumes.beginRecycle.bind(volumes),
    endRecycle: volumes.endRecycle.bind(volumes),
    removeVolume: volumes.remove.bind(volumes),
    removePool: volumes.removePool.bind(volumes),
    neededBytes: pools.neededBytes.bind(pools),
    beginInit: inits.beginInit.bind(inits),
    addInit: inits.addInit.bind(inits),
    commitInit: inits.commitInit.bind(inits),
    dropInit: inits.dropInit.bind(inits),
    setDamaged: repairs.setDamaged.bind(repairs),
    addVolumeErrors: repairs.addErrors.bind(repairs),
    addFoundFrame: repairs.addFoundFrame.bind(repairs),
    addNeeds: repairs.addNeeds.bind(repairs),
    noteNowhere: repairs.noteNowhere.bind(repairs),
    dropNotes: repairs.dropNotes.bind(repairs),
    setLive: vacuum.setLive.bind(vacuum),
    startCount: vacuum.startCount.bind(vacuum),
    moveFrames: vacuum.moveFrames.bind(vacuum),
    reserveEnd: vacuum.reserveEnd.bind(vacuum),
    noteEnds: vacuum.noteEnds.bind(vacuum),
    leaveVolume: vacuum.leave.bind(vacuum),
    finishLog: () => copyLog(db),
    close: () => void db.close(),
  };
}
export type WriterMethods = ReturnType<typeof writerMethods>;

/**
 * So long a log (half a gigabyte) means that the thread which copies it (checkpoints.ts) does not keep up. It gets some
 * way beyond that thread's limit when lists are read without a pause, since a log begins anew only while nobody reads it.
 */
const OWN_CHECKPOINT_PAGES = 128_000;

if (parentPort !== null && (workerData as { catalog?: string } | null)?.catalog !== undefined) {
  const { catalog } = workerData as { catalog: string };
  serveMade(parentPort, () => writerMethods(openForWriting(catalog, OWN_CHECKPOINT_PAGES)));
}
