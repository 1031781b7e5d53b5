/**
 * The director's configuration as the rest of the director sees it: checked, with defaults applied, frozen.
 * Sizes are bytes, durations seconds, speeds bytes per second; 0 means "no limit" wherever a limit is meant.
 * Paths are absolute. Every Map is keyed by the exact Name and keeps the order of the file.
 */

import type { BaculaOrigin } from "../../common/bacula/origin.js";
import type { Diagnostic } from "../../common/config/diagnostics.js";
import type { TlsFiles } from "../../common/tls/load.js";
import type { ConsoleResource } from "./types-console.js";
import type { FileSetResource } from "./types-file-set.js";
import type { MessagesResource } from "./types-messages.js";
import type { ReferenceBuild } from "./types-reference.js";
import type { ScheduleResource } from "./types-schedule.js";

export type { TlsFiles };

export type JobType = "Backup" | "Restore" | "Verify" | "Admin" | "Copy" | "Migrate";
export type JobLevel = "Full" | "Incremental" | "Differential" | "Base" | "VirtualFull";
export type VerifyLevel = "InitCatalog" | "Catalog" | "VolumeToCatalog" | "DiskToCatalog" | "Data";
export type ReplacePolicy = "always" | "ifnewer" | "ifolder" | "never";

/** Everything that `director.yaml` and the files it includes define. */
export interface DirectorConfig {
  /** Absolute path that was loaded: a file, or a directory of *.yaml files. */
  readonly file: string;
  /** Every file that was read, in order; a reload is due when one of them changes. */
  readonly files: readonly string[];
  /** Findings that do not stop the daemon, such as directives that have no effect here. */
  readonly warnings: readonly Diagnostic[];
  /** Only of a configuration in Bacula's own syntax. */
  readonly bacula?: BaculaOrigin | undefined;
  readonly director: DirectorResource;
  readonly jobs: ReadonlyMap<string, JobResource>;
  readonly clients: ReadonlyMap<string, ClientResource>;
  readonly fileSets: ReadonlyMap<string, FileSetResource>;
  readonly schedules: ReadonlyMap<string, ScheduleResource>;
  readonly storages: ReadonlyMap<string, StorageResource>;
  readonly pools: ReadonlyMap<string, PoolResource>;
  readonly messages: ReadonlyMap<string, MessagesResource>;
  readonly consoles: ReadonlyMap<string, ConsoleResource>;
  /** Numbers for label formats. (Default: none) */
  readonly counters?: ReadonlyMap<string, CounterResource>;
}

/** A number that label formats count on. */
export interface CounterResource {
  readonly name: string;
  readonly minimum: number;
  /** Behind it the counter begins anew. */
  readonly maximum: number;
  /** Counter that counts on when this one begins anew. */
  readonly wrapCounter?: string | undefined;
}

export interface DirectorResource {
  readonly name: string;
  /** Address to listen on. (Default: 127.0.0.1) */
  readonly address: string;
  /** (Default: 9101) */
  readonly port: number;
  readonly workingDirectory: string;
  /** Jobs running at the same time, all together. (Default: 20) */
  readonly maximumConcurrentJobs: number;
  readonly tls: TlsFiles;
  /** Time between keepalives on idle connections. (Default: 60) */
  readonly heartbeatIntervalSec: number;
  /** How long a job waits for its client to answer. (Default: 180) */
  readonly fdConnectTimeoutSec: number;
  /** How long a job waits for its storage daemon to answer. (Default: 1800) */
  readonly sdConnectTimeoutSec: number;
  /** Messages resource for what belongs to no job. */
  readonly messages?: string | undefined;
  /** Ed25519 private key (PEM) that signs job tickets. (Default: pki/ticket.key) */
  readonly ticketKeyFile: string;
  /** List of withdrawn certificates. (Default: pki/revoked.yaml) */
  readonly revokedFile: string;
  /** Job statistics and logs older than this are pruned. (Default: 180 days) */
  readonly statisticsRetentionSec: number;
  /** Questions of the console's `query`. (Default: conf/query.sql of the installation) */
  readonly queryFile?: string | undefined;
  /** Network limit of each backup, bytes per second. (Default: 0, none) */
  readonly maximumBandwidthPerJob: number;
}

/** A command around a job; every `Run…Job` directive and `RunScript` block becomes one of these. */
export interface RunScript {
  readonly command: string;
  /** It is a command of the console, for the director. */
  readonly isConsole?: boolean | undefined;
  readonly when: "Before" | "After";
  /** True: the file daemon runs it; false: the director does. */
  readonly onClient: boolean;
  readonly onSuccess: boolean;
  readonly onFailure: boolean;
  /** A failing Before command fails the job. */
  readonly failJobOnError: boolean;
  /** 0 = the daemon's own limit. */
  readonly timeoutSec: number;
  /** The directive it was written as, for messages: `ClientRunBeforeJob`, `RunScript`, … */
  readonly origin: string;
}

/** Runs that stay: the newest `last`, the last one of each of the newest so many days, weeks, months, years that have one. */
export interface KeepPolicy {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
  /** Every run that is not older than this. */
  readonly withinSec: number;
}

/** What a Job or Pool says about how long runs stay; what it leaves open is decided by the next in rank. */
export interface RetentionPolicy {
  /** Instead of a retention time. */
  readonly keep?: KeepPolicy | undefined;
  /** A kept run takes over what it needs of older runs, instead of keeping them. */
  readonly consolidate?: boolean | undefined;
  readonly jobRetentionSec?: number | undefined;
  /** File lists go after this time, the runs stay. */
  readonly fileRetentionSec?: number | undefined;
}

export interface JobResource extends RetentionPolicy {
  readonly name: string;
  readonly enabled: boolean;
  readonly type: JobType;
  readonly level: JobLevel;
  /** Only for Type Verify. (Default: VolumeToCatalog) */
  readonly verifyLevel?: VerifyLevel | undefined;
  readonly client: string;
  readonly fileSet: string;
  readonly pool: string;
  readonly fullPool?: string | undefined;
  readonly incrementalPool?: string | undefined;
  readonly differentialPool?: string | undefined;
  readonly virtualFullPool?: string | undefined;
  /** Where Copy, Migrate and VirtualFull write; outranks the pool's NextPool. */
  readonly nextPool?: string | undefined;
  readonly storage?: string | undefined;
  readonly schedule?: string | undefined;
  readonly messages?: string | undefined;
  /** Jobs whose newest Base run lies under this job's Full, in order of precedence. */
  readonly base: readonly string[];
  /** A Base job: the reference machine that its client builds first. */
  readonly reference?: ReferenceBuild | undefined;
  /** Compare with the previous file list, so that deletions and restored old files are noticed. (Default: yes) */
  readonly accurate: boolean;
  /** Smaller runs first. (Default: 10) */
  readonly priority: number;
  readonly maximumConcurrentJobs: number;
  readonly maxRunTimeSec: number;
  readonly fullMaxRunTimeSec: number;
  readonly incrementalMaxRunTimeSec: number;
  readonly differentialMaxRunTimeSec: number;
  /** From the time it was due to its end. */
  readonly maxRunSchedTimeSec: number;
  readonly maxWaitTimeSec: number;
  readonly maxStartDelaySec: number;
  readonly maxFullIntervalSec: number;
  readonly maxDiffIntervalSec: number;
  readonly maxVirtualFullIntervalSec: number;
  /** A Full or Differential that failed is made up for by the next run of a lower level. (Default: no) */
  readonly rerunFailedLevels: boolean;
  readonly allowMixedPriority: boolean;
  /** No: of an autochanger a drive that no job writes in is taken, if there is one. (Default: yes) */
  readonly preferMountedVolumes?: boolean;
  readonly allowDuplicateJobs: boolean;
  readonly cancelQueuedDuplicates: boolean;
  readonly cancelRunningDuplicates: boolean;
  readonly cancelLowerLevelDuplicates: boolean;
  readonly rescheduleOnError: boolean;
  /** What a backup has stored stays when it is stopped or its connection breaks, and it can go on. (Default: yes) */
  readonly allowIncompleteJobs: boolean;
  readonly rescheduleIncompleteJobs: boolean;
  readonly rescheduleIntervalSec: number;
  /** 0 = without limit, as in Bacula. */
  readonly rescheduleTimes: number;
  /** Data goes to the volume directly all the same; the messages that scripts wait for are said. */
  readonly spoolData: boolean;
  /** File on the director's machine, with %-codes, that says after each backup what a restore would read. */
  readonly writeBootstrap?: string | undefined;
  /** Directory that restores write below, on the client. */
  readonly where?: string | undefined;
  readonly regexWhere?: string | undefined;
  readonly addPrefix?: string | undefined;
  readonly addSuffix?: string | undefined;
  readonly stripPrefix?: string | undefined;
  /** (Default: always) */
  readonly replace: ReplacePolicy;
  readonly runScripts: readonly RunScript[];
  /** What follows `run` of the jobs that start with this one, with %-codes. (Default: none) */
  readonly clones?: readonly string[];
  /** Network limit of one run, bytes/s. */
  readonly maximumBandwidth: number;
  /** Limit of reading from the client's disks, bytes/s. */
  readonly readLimit: number;
  /** 0 to 19. */
  readonly nice: number;
  /** Scheduling class of disk access on the client. */
  readonly ioNice: "idle" | "best-effort" | "none";
  /** Share of unread matches that is read anyway to catch silent changes, percent. (Default: 0) */
  readonly verifySamplePercent: number;
  /** Make up for the newest run missed while the director was down. (Default: no) */
  readonly rerunMissed: boolean;
  /** Verify: the job whose last run is verified. */
  readonly verifyJob?: string | undefined;
  /** Copy and Migrate. */
  readonly selectionType?: string | undefined;
  readonly selectionPattern?: string | undefined;
  readonly purgeMigrationJob: boolean;
  /** Prune expired runs and lists after a backup of this job, whatever the client's AutoPrune says. */
  readonly autoPrune?: boolean | undefined;
  readonly pruneJobs: boolean;
  readonly pruneFiles: boolean;
}

export interface ClientResource {
  readonly name: string;
  readonly address: string;
  /** (Default: 9102) */
  readonly port: number;
  readonly catalog?: string | undefined;
  /** (Default: 60 days) */
  readonly fileRetentionSec: number;
  /** (Default: 180 days) */
  readonly jobRetentionSec: number;
  /** Prune its expired runs and lists after each of its backups. (Default: yes) */
  readonly autoPrune: boolean;
  /** (Default: 1) */
  readonly maximumConcurrentJobs: number;
  /** How many of these may read disk images, in backups and Verify jobs. (Default: 0, as many as there may be jobs) */
  readonly maximumConcurrentImageJobs: number;
  readonly enabled: boolean;
  /** Who opens the data connection of a backup: the storage daemon, or the client (behind NAT). */
  readonly dial: "storage" | "client";
  /** SHA-256 of the only certificate accepted, lower-case hex; without it any valid one of that name. */
  readonly fingerprint?: string | undefined;
  /** Network limit of each job, bytes/s. */
  readonly maximumBandwidth: number;
}

export interface StorageResource {
  readonly name: string;
  readonly address: string;
  /** (Default: 9103) */
  readonly port: number;
  /** Name of the Device in the storage daemon's configuration. */
  readonly device: string;
  readonly mediaType: string;
  /** Its Device is an autochanger: `label` and the like ask for slot and drive. (Default: no) */
  readonly autochanger?: boolean;
  /** (Default: 10) */
  readonly maximumConcurrentJobs: number;
  readonly enabled: boolean;
  /** See ClientResource.fingerprint. */
  readonly fingerprint?: string | undefined;
}

export interface PoolResource extends RetentionPolicy {
  readonly name: string;
  readonly poolType: "Backup" | "Scratch";
  /** Content already in the pool is not stored again. (Default: yes) */
  readonly deduplicate: boolean;
  /** Whose content a client may be told is already there. (Default: pool) */
  readonly dedupScope: "pool" | "client";
  readonly maximumVolumes: number;
  readonly maximumVolumeBytes: number;
  readonly maximumVolumeJobs: number;
  readonly volumeUseDurationSec: number;
  /** (Default: 365 days) */
  readonly volumeRetentionSec: number;
  /** Expired runs on its volumes are pruned when a volume is needed. */
  readonly autoPrune: boolean;
  readonly recycle: boolean;
  readonly recycleOldestVolume: boolean;
  readonly recycleCurrentVolume: boolean;
  readonly purgeOldestVolume: boolean;
  /** `ActionOnPurge = Truncate`. */
  readonly truncateOnPurge: boolean;
  /** Start of the names of automatically labelled volumes; without it volumes are labelled by hand. */
  readonly labelFormat?: string | undefined;
  readonly storage?: string | undefined;
  readonly scratchPool?: string | undefined;
  readonly recyclePool?: string | undefined;
  readonly nextPool?: string | undefined;
  /** Selection limits of migration by pool occupancy and time. */
  readonly migrationHighBytes: number;
  readonly migrationLowBytes: number;
  readonly migrationTimeSec: number;
}
