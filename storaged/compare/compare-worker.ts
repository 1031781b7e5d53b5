/** The thread of one comparison: every call carries the script on to its next step. */

import { parentPort, workerData } from "node:worker_threads";
import { openForReading } from "../catalog/schema.js";
import { serveMade } from "../catalog/worker-rpc.js";
import { AdviceScript } from "./advise.js";
import { DriftScript } from "./drift.js";
import type { AdviceRequest, CompareReply, CompareStep, DriftRequest, Script } from "./steps.js";

export interface CompareOptions {
  catalogFile: string;
  request: { advice: AdviceRequest } | { drift: DriftRequest };
}

/** Methods of the thread; also used without one in tests. */
export function compareMethods({ catalogFile, request }: CompareOptions) {
  const db = openForReading(catalogFile);
  const script: Script =
    "advice" in request
      ? new AdviceScript(db, request.advice).run()
      : new DriftScript(db, request.drift).run();
  return {
    /** `reply` answers the step before. After `end` there is no further step. */
    step: (reply: CompareReply): CompareStep => {
      const { value, done } = script.next(reply);
      if (done === true) throw new RangeError("the comparison has ended");
      return value;
    },
    close: () => void db.close(),
  };
}
export type CompareMethods = ReturnType<typeof compareMethods>;

const options = (workerData as { compare?: CompareOptions } | null)?.compare;
if (parentPort !== null && options !== undefined) serveMade(parentPort, () => compareMethods(options));
