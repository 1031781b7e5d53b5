/** Steps of durable I/O as tests count them, and the ways in which each can fail. */

import type { StoreFault, StoreStep } from "../store/memory-store.js";

/** A step as the messages name it. */
export type Step = { number: number; text: string; step: StoreStep | undefined };

/** Counts steps once it is armed, and tells `onStep` of each. */
export class Counter {
  armed = false;
  steps = 0;
  onStep: (step: Step) => StoreFault | undefined = () => undefined;

  readonly store = (step: StoreStep): StoreFault | undefined => {
    if (!this.armed) return undefined;
    return this.onStep({ number: ++this.steps, text: `${step.operation} ${step.path}`, step });
  };

  readonly commit = (): "SQLITE_FULL" | "SQLITE_IOERR" | undefined => {
    if (!this.armed) return undefined;
    const fault = this.onStep({ number: ++this.steps, text: "catalog commit", step: undefined });
    if (fault === undefined) return undefined;
    return fault.errno === "ENOSPC" ? "SQLITE_FULL" : "SQLITE_IOERR";
  };
}

/** Ways in which a step can fail. */
export function faultsOf(step: StoreStep | undefined): (StoreFault & { sticky?: boolean })[] {
  if (step === undefined) return [{ errno: "ENOSPC" }, { errno: "EIO" }];
  switch (step.operation) {
    case "append":
      return [
        { errno: "ENOSPC", written: Math.floor(step.bytes / 2) },
        { errno: "EIO", written: Math.max(0, step.bytes - 1) },
        { errno: "ENOSPC", sticky: true },
      ];
    case "create":
      return [{ errno: "ENOSPC" }, { errno: "EACCES" }];
    default:
      return [{ errno: "EIO" }];
  }
}
