/** Job and JobDefs: inheritance, and what each type of job must have. */

import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import { checkReference } from "../../common/config/resources.js";
import { shownName } from "../../common/config/spec.js";
import { LEVELS, type RawJob, VERIFY_LEVELS } from "./job-spec.js";
import { toReference } from "./reference.js";
import { inheritPolicy, toJobPolicy } from "./retention.js";
import { runScriptsOf } from "./run-script.js";
import type { JobLevel, JobResource, JobType, RunScript, VerifyLevel } from "./types.js";

/** A job over its JobDefs, and theirs; the commands of all are kept, the job's own first. */
interface EffectiveJob {
  readonly values: RawJob["values"];
  readonly runScripts: readonly RunScript[];
}

/** Applies JobDefs; a chain that returns to itself and an unknown name are reported. */
export function inherit(
  job: RawJob,
  jobDefs: ReadonlyMap<string, RawJob>,
  diagnostics: Diagnostics,
): EffectiveJob {
  let values = job.values;
  const runScripts = [...runScriptsOf(job.values)];
  const seen = new Set<RawJob>([job]);
  for (let from = job.values.jobDefs; from !== undefined; ) {
    checkReference(from, "JobDefs", jobDefs, diagnostics);
    const parent: RawJob | undefined = jobDefs.get(from.name);
    if (parent === undefined) break;
    if (seen.has(parent)) {
      diagnostics.error(
        from.at,
        `${from.directive} in ${from.place}: JobDefs ${quoted(from.name)} inherits itself`,
      );
      break;
    }
    seen.add(parent);
    values = inheritPolicy(parent.values, values);
    runScripts.push(...runScriptsOf(parent.values));
    from = parent.values.jobDefs;
  }
  return { values, runScripts };
}

/** What references of jobs are looked up in. */
export interface Known {
  readonly jobs: ReadonlyMap<string, unknown>;
  readonly clients: ReadonlyMap<string, unknown>;
  readonly fileSets: ReadonlyMap<string, unknown>;
  readonly schedules: ReadonlyMap<string, unknown>;
  readonly storages: ReadonlyMap<string, unknown>;
  readonly pools: ReadonlyMap<string, { readonly storage?: string | undefined }>;
  readonly messages: ReadonlyMap<string, unknown>;
}

const NEEDED: Readonly<Record<JobType, readonly ("client" | "fileSet" | "pool")[]>> = {
  Backup: ["client", "fileSet", "pool"],
  Restore: ["client"],
  Verify: ["client", "fileSet"],
  Admin: [],
  Copy: ["pool"],
  Migrate: ["pool"],
};

/** The typed job; reports dangling references and missing directives. */
export function toJob(
  raw: RawJob,
  {
    jobDefs,
    known,
    diagnostics,
  }: { jobDefs: ReadonlyMap<string, RawJob>; known: Known; diagnostics: Diagnostics },
): JobResource {
  const effective = inherit(raw, jobDefs, diagnostics);
  const { values } = effective;
  const names = lookUpReferences(values, known, diagnostics);
  const type = values.type ?? "Backup";
  for (const property of NEEDED[type]) {
    if (names[property] !== undefined || raw.positions.has(property)) continue;
    const hint = raw.values.jobDefs === undefined ? "" : " (nor has its JobDefs)";
    diagnostics.error(raw.at, `${raw.place} has no ${shownName(property)}${hint}; a ${type} job needs one`);
  }
  if (type === "Backup") checkStorage(raw, names, { known, diagnostics });
  const level = checkLevel(raw, values.level, { type, diagnostics });
  const reference = toReference(raw, values.reference, { type, level: level.level, diagnostics });
  // Spreading so many properties into one literal takes 15 times as long, for each of thousands of jobs.
  return Object.assign(
    limits(values),
    behaviour(values),
    toJobPolicy(values, raw, diagnostics),
    names,
    level,
    { name: raw.name, type },
    { client: names.client ?? "", fileSet: names.fileSet ?? "", pool: names.pool ?? "" },
    { reference, runScripts: effective.runScripts, clones: values.run ?? [] },
  );
}

function lookUpReferences(values: RawJob["values"], known: Known, diagnostics: Diagnostics) {
  const pool = (property: PoolProperty) => checkReference(values[property], "Pool", known.pools, diagnostics);
  return {
    client: checkReference(values.client, "Client", known.clients, diagnostics),
    fileSet: checkReference(values.fileSet, "FileSet", known.fileSets, diagnostics),
    pool: pool("pool"),
    fullPool: pool("fullPool"),
    incrementalPool: pool("incrementalPool"),
    differentialPool: pool("differentialPool"),
    virtualFullPool: pool("virtualFullPool"),
    nextPool: pool("nextPool"),
    storage: checkReference(values.storage, "Storage", known.storages, diagnostics),
    schedule: checkReference(values.schedule, "Schedule", known.schedules, diagnostics),
    messages: checkReference(values.messages, "Messages", known.messages, diagnostics),
    verifyJob: checkReference(values.verifyJob, "Job", known.jobs, diagnostics),
    base: (values.base ?? []).map(
      (each) => checkReference(each, "Job", known.jobs, diagnostics) ?? each.name,
    ),
  };
}

type PoolProperty =
  | "pool"
  | "fullPool"
  | "incrementalPool"
  | "differentialPool"
  | "virtualFullPool"
  | "nextPool";

function checkStorage(
  raw: RawJob,
  names: { readonly pool: string | undefined; readonly storage: string | undefined },
  { known, diagnostics }: { known: Known; diagnostics: Diagnostics },
): void {
  const pool = names.pool === undefined ? undefined : known.pools.get(names.pool);
  if (names.storage !== undefined || raw.positions.has("storage") || pool === undefined) return;
  if (pool.storage === undefined) {
    diagnostics.error(raw.at, `${raw.place} has no Storage, and neither has its Pool ${quoted(names.pool)}`);
  }
}

function checkLevel(
  raw: RawJob,
  level: JobLevel | VerifyLevel | undefined,
  { type, diagnostics }: { type: JobType; diagnostics: Diagnostics },
): { level: JobLevel; verifyLevel?: VerifyLevel } {
  const at = raw.positions.get("level") ?? raw.at;
  const verifyLevel = VERIFY_LEVELS.find((each) => each === level);
  const backupLevel = LEVELS.find((each) => each === level) ?? "Full";
  if (type === "Verify") {
    if (level !== undefined && verifyLevel === undefined) {
      diagnostics.error(
        at,
        `Level in ${raw.place}: a Verify job takes ${VERIFY_LEVELS.join(", ")}, not "${level}"`,
      );
    }
    return { level: "Full", verifyLevel: verifyLevel ?? "VolumeToCatalog" };
  }
  if (verifyLevel !== undefined) {
    diagnostics.error(at, `Level in ${raw.place}: "${level}" is for Verify jobs; this is a ${type} job`);
  }
  return { level: backupLevel };
}

function limits(values: RawJob["values"]) {
  return {
    priority: values.priority ?? 10,
    maximumConcurrentJobs: values.maximumConcurrentJobs ?? 1,
    maxRunTimeSec: values.maxRunTime ?? 0,
    fullMaxRunTimeSec: values.fullMaxRunTime ?? 0,
    incrementalMaxRunTimeSec: values.incrementalMaxRunTime ?? 0,
    differentialMaxRunTimeSec: values.differentialMaxRunTime ?? 0,
    maxRunSchedTimeSec: values.maxRunSchedTime ?? 0,
    maxWaitTimeSec: values.maxWaitTime ?? 0,
    maxStartDelaySec: values.maxStartDelay ?? 0,
    maxFullIntervalSec: values.maxFullInterval ?? 0,
    maxDiffIntervalSec: values.maxDiffInterval ?? 0,
    maxVirtualFullIntervalSec: values.maxVirtualFullInterval ?? 0,
    rescheduleIntervalSec: values.rescheduleInterval ?? 1800,
    rescheduleTimes: values.rescheduleTimes ?? 0,
    maximumBandwidth: values.maximumBandwidth ?? 0,
    readLimit: values.readLimit ?? 0,
    nice: values.nice ?? 0,
    ioNice: values.ioNice ?? ("none" as const),
    verifySamplePercent: values.sampleVerify ?? 0,
  };
}

function behaviour(values: RawJob["values"]) {
  return {
    enabled: values.enabled ?? true,
    accurate: values.accurate ?? true,
    allowMixedPriority: values.allowMixedPriority ?? false,
    preferMountedVolumes: values.preferMountedVolumes ?? true,
    allowDuplicateJobs: values.allowDuplicateJobs ?? true,
    cancelQueuedDuplicates: values.cancelQueuedDuplicates ?? false,
    cancelRunningDuplicates: values.cancelRunningDuplicates ?? false,
    cancelLowerLevelDuplicates: values.cancelLowerLevelDuplicates ?? false,
    rerunFailedLevels: values.rerunFailedLevels ?? false,
    allowIncompleteJobs: values.allowIncompleteJobs ?? true,
    rescheduleOnError: values.rescheduleOnError ?? false,
    rescheduleIncompleteJobs: values.rescheduleIncompleteJobs ?? true,
    spoolData: values.spoolData ?? false,
    writeBootstrap: values.writeBootstrap,
    where: values.where,
    regexWhere: values.regexWhere,
    addPrefix: values.addPrefix,
    addSuffix: values.addSuffix,
    stripPrefix: values.stripPrefix,
    replace: values.replace ?? ("always" as const),
    rerunMissed: values.rerunMissed ?? false,
    selectionType: values.selectionType,
    selectionPattern: values.selectionPattern,
    purgeMigrationJob: values.purgeMigrationJob ?? false,
    autoPrune: values.autoPrune,
    pruneJobs: values.pruneJobs ?? false,
    pruneFiles: values.pruneFiles ?? false,
  };
}
