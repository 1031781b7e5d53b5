/** The thread of one copy at its source: every call carries the script on to its next step. */

import { parentPort, workerData } from "node:worker_threads";
import { serveMade } from "../catalog/worker-rpc.js";
import { CopyPlan } from "./copy-plan.js";
import type { CopyPlanOptions, CopyReply, CopyStep } from "./copy-steps.js";

/** Methods of the thread; also used without one in tests. */
export function copyMethods(plan: CopyPlan) {
  const script = plan.script();
  return {
    /** `reply` answers the step before. After `end` there is no further step. */
    step: (reply: CopyReply): CopyStep => {
      const { value, done } = script.next(reply);
      if (done === true) throw new RangeError("the copy has ended");
      return value;
    },
  };
}
export type CopyMethods = ReturnType<typeof copyMethods>;

const options = (workerData as { copyPlan?: CopyPlanOptions } | null)?.copyPlan;
if (parentPort !== null && options !== undefined) {
  serveMade(parentPort, () => copyMethods(new CopyPlan(options)));
}
