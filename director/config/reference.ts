/** The directive Reference of a Base job: which reference machine the client builds anew before it is backed up. */

import type { Diagnostics } from "../../common/config/diagnostics.js";
import { percent } from "../../common/config/parts.js";
import { resourceName } from "../../common/config/resources.js";
import { type Block, type BlockSpec, block, words, yesNo } from "../../common/config/spec.js";
import type { RawJob } from "./job-spec.js";
import type { JobLevel, JobType } from "./types.js";
import type { ReferenceBuild } from "./types-reference.js";

const directives = {
  name: resourceName(),
  builder: words("command", "mmdebstrap", "kickstart"),
  bootCheck: yesNo(),
  expectedMatch: percent(),
};

const SPEC: BlockSpec<typeof directives> = { directives };

/** A Base that shares less than this with the one before is more likely a mishap than a month of updates. */
const EXPECTED_PERCENT = 50;

/** The directive of Job and JobDefs. */
export const referenceDirective = () => block(SPEC);

/** The typed directive of a job; where a job of this kind cannot have one, that is reported. */
export function toReference(
  raw: RawJob,
  given: Block<typeof directives> | undefined,
  { type, level, diagnostics }: { type: JobType; level: JobLevel; diagnostics: Diagnostics },
): ReferenceBuild | undefined {
  if (given === undefined) return undefined;
  const at = raw.positions.get("reference") ?? raw.at;
  if (type !== "Backup" || level !== "Base") {
    const found = type === "Backup" ? `of level ${level}` : `of type ${type}`;
    diagnostics.error(
      at,
      `Reference in ${raw.place}: only a Backup job of level Base has one, this is ${found}`,
    );
  }
  const { name = raw.name, builder, bootCheck, expectedMatch = EXPECTED_PERCENT } = given.values;
  return { name, builder, bootCheck, expectedMatchPercent: expectedMatch };
}
