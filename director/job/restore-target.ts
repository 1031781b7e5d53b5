/** Where a restore puts files: below a directory, or by new names. As in Bacula it is one of the two. */
import { relocationOf } from "../../common/relocation.js";
import type { JobResource } from "../config/types.js";
import type { JobPlan } from "./request.js";

export interface RestoreTarget {
  /** Directory on the client; "" is the original place. */
  where: string;
  /** Expressions that make new names, as in common/relocation.ts; "" for none. */
  regexWhere: string;
}

/** What was asked for outranks the job's directives, and new names outrank a directory. */
export function restoreTarget({ request, job }: Pick<JobPlan, "request" | "job">): RestoreTarget {
  const { where: asked, regexWhere: askedRegex } = request.restore ?? {};
  const regexWhere = askedRegex ?? (asked === undefined ? relocationOfJob(job) : "");
  if (regexWhere !== "") return { where: "", regexWhere };
  const where = asked ?? job.where ?? "";
  return { where: where === "/" ? "" : where, regexWhere: "" };
}

/** StripPrefix, AddPrefix and AddSuffix outrank RegexWhere. */
function relocationOfJob({ stripPrefix, addPrefix, addSuffix, regexWhere }: JobResource): string {
  return relocationOf({ strip: stripPrefix, prefix: addPrefix, suffix: addSuffix }) || (regexWhere ?? "");
}

/** The same in one text: the expressions, or the directory with `/` for the original place. */
export function shownTarget(plan: Pick<JobPlan, "request" | "job">): string {
  const { where, regexWhere } = restoreTarget(plan);
  return regexWhere || where || "/";
}
