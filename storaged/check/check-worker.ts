/** The thread of one check: its own connection to the catalog, so that nobody waits for it. */

import { parentPort, workerData } from "node:worker_threads";
import { type Db, openForReading } from "../catalog/schema.js";
import { serveMade } from "../catalog/worker-rpc.js";
import { CatalogFrames } from "./catalog-frames.js";
import { ListWalk, type WalkStep } from "./list-walk.js";

/** Methods of the thread; also used without one in tests. */
export function checkMethods(db: Db) {
  const frames = new CatalogFrames(db);
  let walk: ListWalk | undefined;
  return {
    expect: frames.expect.bind(frames),
    frameAt: frames.frameAt.bind(frames),
    unseen: frames.unseen.bind(frames),
    addBad: frames.addBad.bind(frames),
    addBadVolume: frames.addBadVolume.bind(frames),
    badCount: frames.badCount.bind(frames),
    badVolumes: frames.badVolumes.bind(frames),
    badFrames: frames.badFrames.bind(frames),
    jobOf: frames.jobOf.bind(frames),
    missing: frames.missing.bind(frames),
    sawEnd: frames.sawEnd.bind(frames),
    endless: frames.endless.bind(frames),
    jobsNeeding: frames.jobsNeeding.bind(frames),
    integrity: frames.integrity.bind(frames),
    orphanChunks: frames.orphanChunks.bind(frames),
    /** Begins with the lists of jobs that need a volume; 0: all. */
    openWalk: (volume: number): void => {
      walk = new ListWalk(db, volume);
    },
    stepWalk: (): WalkStep => walk!.step(),
    close: () => void db.close(),
  };
}
export type CheckMethods = ReturnType<typeof checkMethods>;

if (parentPort !== null && (workerData as { checkCatalog?: string } | null)?.checkCatalog !== undefined) {
  const { checkCatalog } = workerData as { checkCatalog: string };
  serveMade(parentPort, () => checkMethods(openForReading(checkCatalog)));
}
