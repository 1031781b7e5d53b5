/** What a console, a schedule or a program asks to be run, and what becomes of it. */

import type { SelectionRule } from "../../proto/generated/basalt/v1/SelectionRule.js";
import type {
  ClientResource,
  DirectorConfig,
  JobLevel,
  JobResource,
  PoolResource,
  ReplacePolicy,
  StorageResource,
  VerifyLevel,
} from "../config/types.js";
import type { FileSetResource } from "../config/types-file-set.js";
import type { MessagesResource } from "../config/types-messages.js";
import type { RunOverrides } from "../config/types-schedule.js";

/** Number of a run; handed out by the director, never twice. */
export type JobId = number;

/** Entries in the file systems of disk images. */
export interface InImages {
  /** Absolute, as the machine itself calls them; latin1 carriers. */
  paths: { path: string; recursive: boolean }[];
  /** The paths lie in this partition of the only image; 0: where the machine's own fstab says. */
  partition: number;
}

/** What a restore job brings back, and where to. */
export interface RestoreRequest {
  /** Layers, oldest first, and what of them: as storaged's Selection. */
  selection: { jobIds: number[]; rules: SelectionRule[] };
  /** Client whose files they are. */
  client: string;
  /** Client that gets them; often the same. */
  restoreClient: string;
  /** Directory on the client to restore below; "" and "/" mean the original place. (Default: the job's Where) */
  where?: string;
  /** Expressions that make new names, as in common/relocation.ts; they outrank `where`. (Default: the job's) */
  regexWhere?: string;
  /** (Default: the job's Replace) */
  replace?: ReplacePolicy;
  /** What to bring back of the file systems in the selected files, which are disk images. (Default: the files themselves) */
  inImages?: InImages;
  /** Bootstrap file that it was chosen by. (Default: none) */
  bootstrap?: string;
  /** The file goes when the job has ended. */
  dropBootstrap?: boolean;
  /** Entries that were marked ("Files Expected"); 0: as many as the storage daemon plans. */
  filesExpected: number;
}

/** The values of a run that say where they come from in summaries and reports. */
export type OriginKey = "level" | "pool" | "storage" | "client" | "fileSet" | "priority" | "nextPool";

export interface RunRequest {
  /** Name of the Job resource. */
  job: string;
  level?: JobLevel;
  pool?: string;
  storage?: string;
  client?: string;
  fileSet?: string;
  messages?: string;
  /** Start time, ms; in the past means now. (Default: now) */
  whenMs?: number;
  priority?: number;
  comment?: string;
  accurate?: boolean;
  maxRunTimeSec?: number;
  maxRunSchedTimeSec?: number;
  restore?: RestoreRequest;
  /** Verify jobs: the level, and the run or the job whose newest run is verified. (Default: the job's) */
  verifyLevel?: VerifyLevel;
  verifyJobId?: number;
  verifyJob?: string;
  /** Copy, Migrate: the jobs to work on; VirtualFull: the runs to make it of. (Default: the job's choice) */
  jobIds?: number[];
  /** Copy, Migrate: all jobs of the run that chose this one among them. */
  copySet?: number[];
  nextPool?: string;
  /** Base jobs with a Reference: how much of the Base in force must be the same. (Default: the job's) */
  expectedMatchPercent?: number;
  /** Values set by the line of a schedule that starts the run. */
  overrides?: RunOverrides;
  /**
   * Where explicitly given values come from, as shown: `Command input`, `User input`.
   * (Default: `Command input`; values that were not given name their resource.)
   */
  origins?: Partial<Record<OriginKey, string>>;
  /** How often this run was rescheduled after an error. (Default: 0) */
  rescheduled?: number;
  /** Started by the Run directive of another job: starts no further ones. */
  cloned?: boolean;
  /** It was begun before under the same JobId, and goes on from what that left. */
  resume?: boolean;
}

/**
 * A request with every value settled against the configuration of that moment; a reload does not change it.
 * Origins are without the word "From": `Job resource`, `Job FullPool override`, `Run Pool override`, …
 */
export interface JobPlan {
  readonly request: RunRequest;
  readonly config: DirectorConfig;
  readonly job: JobResource;
  readonly level: JobLevel;
  readonly client: ClientResource | undefined;
  readonly fileSet: FileSetResource | undefined;
  readonly pool: PoolResource | undefined;
  readonly storage: StorageResource | undefined;
  readonly messages: MessagesResource | undefined;
  readonly whenMs: number;
  readonly priority: number;
  readonly accurate: boolean;
  readonly maxRunTimeSec: number;
  /** Counted from the time it was due; 0: no limit. */
  readonly maxRunSchedTimeSec: number;
  readonly comment: string;
  readonly origins: Readonly<Record<OriginKey, string>>;
}
