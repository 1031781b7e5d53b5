/** Whether a new Base is near enough to the one in force to take its place. */
import { BackupError } from "../../common/errors.js";
import type { ListInfo } from "../../proto/data/backup.js";
import type { Reference__Output } from "../../proto/generated/basalt/v1/Reference.js";
import type { Likeness } from "../match/likeness.js";
import type { BuildTools } from "./programs.js";

/**
 * Compares a new Base with the one in force, before it is committed. Where there is none, or nothing was built, all is well.
 * @throws BackupError REFERENCE_FAR_OFF when less than expected is the same
 */
export function expectLikeness(
  reference: Pick<Reference__Output, "name" | "expectedMatch"> | null,
  lists: readonly ListInfo[],
  likeness: Pick<Likeness, "share" | "percent"> | undefined,
  report: BuildTools["report"],
): void {
  const inForce = lists.find(({ role }) => role === "compared")?.jobId;
  if (reference === null || inForce === undefined || likeness === undefined) return;
  const { name, expectedMatch } = reference;
  const shares = `${shown(likeness.share("entries"))} of its entries and ${shown(likeness.share("bytes"))} of its bytes`;
  const found = `Reference ${name}: ${shares} are as in the Base in force (JobId ${inForce})`;
  if (likeness.percent >= expectedMatch) {
    report("info", found);
    return;
  }
  const hint = "Look at what was built, then run the job with expectedmatch=0 if it is right";
  throw new BackupError(
    "REFERENCE_FAR_OFF",
    `${found}; expected are ${expectedMatch} %. It is not promoted, JobId ${inForce} stays in force. ${hint}`,
  );
}

/** With one decimal, never rounded up to what it does not reach. */
function shown(percent: number): string {
  return `${(Math.floor(percent * 10) / 10).toFixed(1)} %`;
}
