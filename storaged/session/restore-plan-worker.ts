/** The thread of one restore: builds its plan and hands it out piece by piece. */

import { parentPort, workerData } from "node:worker_threads";
import { Moving, serveMade } from "../catalog/worker-rpc.js";
import { RestorePlan } from "./restore-plan.js";
import type { BlockKind, PlanReading } from "./restore-reading.js";

/** Methods of the restore's thread: `build`, or `begin` and `step` to the end with `madeBlock` between; then the rest. */
export function planMethods(plan: RestorePlan) {
  let reading: PlanReading | undefined;
  const built = (): PlanReading => {
    reading ??= plan.reading();
    return reading;
  };
  return {
    build: plan.build.bind(plan),
    begin: plan.begin.bind(plan),
    step: () => plan.step(),
    madeBlock: (seq: number) => plan.madeBlock(seq),
    unplaced: (after: number) => built().unplaced(after),
    blockCount: (kind: BlockKind) => built().blockCount(kind),
    block: (kind: BlockKind, seq: number) => built().block(kind, seq),
    nextFrame: () => built().nextFrame(),
    nextFrames: () => {
      const frames = built().nextFrames();
      return new Moving(
        frames,
        frames.map(({ head }) => head),
      );
    },
    lose: (volume: number, pos: number) => built().lose(volume, pos),
    lostLinks: (seq: number) => built().lostLinks(seq),
  };
}
export type PlanMethods = ReturnType<typeof planMethods>;

if (parentPort !== null && (workerData as { scratch?: string } | null)?.scratch !== undefined) {
  const { readCatalogFile, scratch } = workerData as { readCatalogFile: string; scratch: string };
  serveMade(parentPort, () => planMethods(new RestorePlan(readCatalogFile, scratch)));
}
