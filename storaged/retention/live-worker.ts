/** The thread that counts live content for one vacuum (live-count.ts), on a reading connection of its own. */

import { parentPort, workerData } from "node:worker_threads";
import { openForReading } from "../catalog/schema.js";
import { serveMade } from "../catalog/worker-rpc.js";
import type { CountedJob } from "../catalog/writer-vacuum.js";
import { LiveCount } from "./live-count.js";

export interface LiveWorkerData {
  countCatalog: string;
  scratch: string;
  volumes: number[];
  counted: CountedJob[];
}

/** Blocks looked at in one call. */
const STEP_BLOCKS = 16;

export function liveMethods(count: LiveCount) {
  const { found } = count;
  return {
    /** Jobs left to look at; 0 when done. */
    step: (): number => {
      for (let i = 0; i < STEP_BLOCKS; i++) if (count.step()) return 0;
      return Math.max(1, count.jobsLeft);
    },
    jobs: () => count.jobs,
    total: found.total.bind(found),
    frames: found.frames.bind(found),
    jobsOf: found.jobsOf.bind(found),
    owner: found.owner.bind(found),
    close: () => count.close(),
  };
}
export type LiveMethods = ReturnType<typeof liveMethods>;

const data = workerData as Partial<LiveWorkerData> | null;
if (parentPort !== null && data?.countCatalog !== undefined) {
  const { countCatalog, scratch, volumes, counted } = data as LiveWorkerData;
  serveMade(parentPort, () =>
    liveMethods(new LiveCount(openForReading(countCatalog), scratch, volumes, counted)),
  );
}
