/** The directives of Job and JobDefs. */

import { absolutePath, percent } from "../../common/config/parts.js";
import { type ResourceOf, resourceName } from "../../common/config/resources.js";
import {
  type BlockSpec,
  duration,
  integer,
  listOf,
  oneOf,
  reference,
  references,
  speed,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import { referenceDirective } from "./reference.js";
import { alwaysIncrementalDirectives, retentionDirectives } from "./retention.js";
import { runScriptDirectives } from "./run-script.js";
import type { JobLevel, JobType, VerifyLevel } from "./types.js";

/** Levels of backup jobs. */
export const LEVELS = [
  "Full",
  "Incremental",
  "Differential",
  "Base",
  "VirtualFull",
] as const satisfies JobLevel[];
/** Levels of Verify jobs. */
export const VERIFY_LEVELS = [
  "InitCatalog",
  "Catalog",
  "VolumeToCatalog",
  "DiskToCatalog",
  "Data",
] as const satisfies VerifyLevel[];

/** A backup level as it is written, in any case; `Virtual Full` too. */
export const jobLevel = () => words(...LEVELS);

const directives = {
  name: resourceName(),
  jobDefs: reference(),
  enabled: yesNo(),
  type: oneOf<JobType>({
    Backup: "Backup",
    Restore: "Restore",
    Verify: "Verify",
    Admin: "Admin",
    Copy: "Copy",
    Migrate: "Migrate",
    Migration: "Migrate",
  }),
  level: words(...LEVELS, ...VERIFY_LEVELS),
  client: reference(),
  fileSet: reference(),
  pool: reference(),
  fullPool: reference(),
  incrementalPool: reference(),
  differentialPool: reference(),
  virtualFullPool: reference(),
  nextPool: reference(),
  storage: reference(),
  schedule: reference(),
  messages: reference(),
  base: references(),
  reference: referenceDirective(),
  verifyJob: reference(),
  accurate: yesNo(),
  priority: integer(1, 1000),
  maximumConcurrentJobs: integer(1, 10000),
  maxRunTime: duration(),
  fullMaxRunTime: duration(),
  incrementalMaxRunTime: duration(),
  differentialMaxRunTime: duration(),
  maxRunSchedTime: duration(),
  maxWaitTime: duration(),
  maxStartDelay: duration(),
  maxFullInterval: duration(),
  maxDiffInterval: duration(),
  maxVirtualFullInterval: duration(),
  rerunFailedLevels: yesNo(),
  allowIncompleteJobs: yesNo(),
  allowMixedPriority: yesNo(),
  preferMountedVolumes: yesNo(),
  allowDuplicateJobs: yesNo(),
  cancelQueuedDuplicates: yesNo(),
  cancelRunningDuplicates: yesNo(),
  cancelLowerLevelDuplicates: yesNo(),
  rescheduleOnError: yesNo(),
  rescheduleIncompleteJobs: yesNo(),
  rescheduleInterval: duration(),
  rescheduleTimes: integer(0, 10000),
  spoolData: yesNo(),
  writeBootstrap: text(),
  where: absolutePath(),
  regexWhere: text(),
  addPrefix: text(),
  addSuffix: text(),
  stripPrefix: text(),
  /** `Run = "JOB level=%l since=\"%s\""`. */
  run: listOf(text()),
  replace: oneOf({ always: "always", ifnewer: "ifnewer", ifolder: "ifolder", never: "never" } as const),
  ...runScriptDirectives,
  maximumBandwidth: speed(),
  readLimit: speed(),
  nice: integer(0, 19),
  ioNice: oneOf({ idle: "idle", "best-effort": "best-effort", none: "none" } as const),
  sampleVerify: percent(),
  rerunMissed: yesNo(),
  selectionType: words(
    "SmallestVolume",
    "OldestVolume",
    "Client",
    "Volume",
    "Job",
    "SqlQuery",
    "PoolOccupancy",
    "PoolTime",
    "PoolUncopiedJobs",
  ),
  selectionPattern: text(),
  purgeMigrationJob: yesNo(),
  ...retentionDirectives,
  ...alwaysIncrementalDirectives,
  autoPrune: yesNo(),
  pruneJobs: yesNo(),
  pruneFiles: yesNo(),
};

const SPOOL = "data goes to the volume directly; nothing is spooled";

/** Directives of Job and of JobDefs. */
export const JOB_SPEC: BlockSpec<typeof directives> = {
  directives,
  aliases: {
    FullBackupPool: "fullPool",
    IncrementalBackupPool: "incrementalPool",
    DifferentialBackupPool: "differentialPool",
    MaximumBandwidthPerJob: "maximumBandwidth",
    VerifySample: "sampleVerify",
    JobToVerify: "verifyJob",
  },
  noEffect: {
    SpoolAttributes: SPOOL,
    SpoolSize: SPOOL,
    PruneVolumes: "volumes are pruned when one is needed: AutoPrune of the Pool",
    AlwaysIncrementalMaxFullAge: "consolidating moves no data: the oldest kept run always becomes the Full",
    MaxFullConsolidations: "consolidating moves no data, so that there is nothing to limit",
    PrefixLinks: "links come back as they were",
    Catalog: "the catalog lives in the storage daemon",
  },
};

/** A Job or JobDefs resource as read. */
export type RawJob = ResourceOf<typeof JOB_SPEC>;
