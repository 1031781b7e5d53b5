/** A Base job whose client builds the reference machine first: what filed is asked for, and what may not be. */

import { BackupError } from "../../common/errors.js";
import type { Reference } from "../../proto/generated/basalt/v1/Reference.js";
import type { JobRun } from "./job-run.js";

/** @throws BackupError USAGE for a run that is no Base: there is nothing that it could be the reference of. */
export function checkReferenceLevel({ live, plan }: JobRun): void {
  if (plan.job.reference === undefined || live.level === "Base") return;
  throw new BackupError(
    "USAGE",
    `Job "${plan.job.name}" has a Reference and runs with level Base only, not ${live.level}`,
  );
}

/** What filed is to build; null: nothing. */
export function referenceRequest(run: JobRun): Reference | null {
  const { reference } = run.plan.job;
  if (reference === undefined) return null;
  const { name, builder = "", bootCheck } = reference;
  return {
    ...{ name, builder, expectedMatch: expectedMatch(run) },
    bootCheck: bootCheck === undefined ? "" : bootCheck ? "yes" : "no",
  };
}

/** Percent of the Base in force that must be the same; 0: nothing is expected. */
export function expectedMatch({ plan }: JobRun): number {
  return plan.request.expectedMatchPercent ?? plan.job.reference?.expectedMatchPercent ?? 0;
}
