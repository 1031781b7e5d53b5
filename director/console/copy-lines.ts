/** Lines of a run's summary, and those that only Copy and Migrate jobs have. */
import { nextPoolOf } from "../job/plan.js";
import type { JobPlan } from "./port.js";

export type Line = [key: string, value: string];

/** `Fulls (From Job resource)` */
export function from(name: string | undefined, origin: string): string {
  return name === undefined ? "*None*" : origin === "" ? name : `${name} (From ${origin})`;
}

/** Where a Copy or Migrate run reads and writes. */
export function copyLines(plan: JobPlan): Line[] {
  const next = nextPoolOf(plan);
  const write = next?.resource.storage;
  return [
    ["NextPool", from(next?.resource.name, next?.origin ?? "")],
    ["Read Storage", from(plan.storage?.name, plan.origins.storage)],
    [
      "Write Storage",
      write === undefined
        ? from(plan.storage?.name, plan.origins.storage)
        : from(write, "Storage from Pool's NextPool resource"),
    ],
  ];
}
