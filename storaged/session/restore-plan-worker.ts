/** The thread of one restore: builds its plan and hands it out piece by piece. */

import { parentPort, workerData } from "node:worker_threads";
import { serveMethods } from "../catalog/worker-rpc.js";
import { RestorePlan } from "./restore-plan.js";

/** Methods of the restore's thread over a plan. */
export function planMethods(plan: RestorePlan) {
  return {
    build: plan.build.bind(plan),
    unplaced: plan.unplaced.bind(plan),
    blockCount: plan.blockCount.bind(plan),
    block: plan.block.bind(plan),
    nextFrame: plan.nextFrame.bind(plan),
    lose: plan.lose.bind(plan),
    lostLinks: plan.lostLinks.bind(plan),
  };
}
export type PlanMethods = ReturnType<typeof planMethods>;

if (parentPort !== null && (workerData as { scratch?: string } | null)?.scratch !== undefined) {
  const { readCatalogFile, scratch } = workerData as { readCatalogFile: string; scratch: string };
  let methods: PlanMethods | undefined;
  const open = (): PlanMethods => {
    methods ??= planMethods(new RestorePlan(readCatalogFile, scratch));
    return methods;
  };
  const lazy = new Proxy({} as PlanMethods, { get: (_none, name) => open()[name as keyof PlanMethods] });
  serveMethods(parentPort, lazy);
}
