/** A Base job whose client builds the reference machine first: what filed is asked for, and what may not be. */

import { BackupError } from "../../common/errors.js";
import type { Reference } from "../../proto/generated/basalt/v1/Reference.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { JobRun } from "./job-run.js";
import { need } from "./resources.js";

/** Minor version of the protocol since which filed builds; an older one would save the old machine as a new one. */
const SINCE_MINOR = 2;

/** @throws BackupError USAGE for a run that is no Base: there is nothing that it could be the reference of. */
export function checkReferenceLevel({ live, plan }: JobRun): void {
  if (plan.job.reference === undefined || live.level === "Base") return;
  throw new BackupError(
    "USAGE",
    `Job "${plan.job.name}" has a Reference and runs with level Base only, not ${live.level}`,
  );
}

/** What filed is to build; null: nothing. @throws BackupError PROTOCOL_MISMATCH when it is too old for that */
export function referenceRequest(run: JobRun, filed: RpcChannel): Reference | null {
  const { reference } = run.plan.job;
  if (reference === undefined) return null;
  if ((filed.protocol?.minor ?? 0) < SINCE_MINOR) {
    const { name } = need(run.plan.client, "Client");
    const text = `Client "${name}" is of a release that cannot build reference machines; install this one there`;
    throw new BackupError("PROTOCOL_MISMATCH", text);
  }
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
