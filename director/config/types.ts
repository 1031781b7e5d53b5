/**
 * The director's configuration as the rest of the director sees it: checked, with defaults applied, frozen.
 * Sizes are bytes, durations seconds, speeds bytes per second; 0 means "no limit" wherever a limit is meant.
 * Paths are absolute. Every Map is keyed by the exact Name and keeps the order of the file.
 * (Above 300 lines: declarations only, kept in one place because everything in the director reads them.)
 */

import type { Diagnostic } from "../../common/config/diagnostics.js";
import type { TlsFiles } from "../../common/tls/load.js";

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
  readonly director: DirectorResource;
  readonly jobs: ReadonlyMap<string, JobResource>;
  readonly clients: ReadonlyMap<string, ClientResource>;
  readonly fileSets: ReadonlyMap<string, FileSetResource>;
  readonly schedules: ReadonlyMap<string, ScheduleResource>;
  readonly storages: ReadonlyMap<string, StorageResource>;
  readonly pools: ReadonlyMap<string, PoolResource>;
  readonly messages: ReadonlyMap<string, MessagesResource>;
  readonly consoles: ReadonlyMap<string, ConsoleResource>;
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
  readonly enabled: boolean;
  /** Who opens the data connection of a backup: the storage daemon, or the client (behind NAT). */
  readonly dial: "storage" | "client";
  /** SHA-256 of the only certificate accepted, lower-case hex; without it any valid one of that name. */
  readonly fingerprint?: string | undefined;
  /** Network limit of each job, bytes/s. */
  readonly maximumBandwidth: number;
}

/** `none` stores as is; `fast` is the quickest level; `auto` leaves out what does not shrink; else a zstd level. */
export type Compression = "none" | "auto" | "fast" | number;

export interface OptionsBlock {
  readonly compression: Compression;
  readonly oneFs: boolean;
  readonly sparse: boolean;
  readonly recurse: boolean;
  readonly hardLinks: boolean;
  readonly aclSupport: boolean;
  readonly xattrSupport: boolean;
  readonly readFifo: boolean;
  /** What matches this block is left out. */
  readonly exclude: boolean;
  readonly ignoreCase: boolean;
  readonly wild: readonly string[];
  readonly wildDir: readonly string[];
  readonly wildFile: readonly string[];
  readonly regex: readonly string[];
  readonly regexDir: readonly string[];
  readonly regexFile: readonly string[];
  /** Only these file system types are entered, such as `ext4`; empty: all. */
  readonly fsType: readonly string[];
  readonly noAtime: boolean;
  readonly keepAtime: boolean;
  readonly checkFileChanges: boolean;
  /** Compare mtime only, never ctime. */
  readonly mtimeOnly: boolean;
  readonly signature: "none" | "md5" | "sha1" | "sha256" | "sha512";
  /** Leading path components left out of stored names. */
  readonly stripPath: number;
  /** Disk images are cut in blocks of this size: a power of two, 4 KiB to 1 MiB; 0 = 64 KiB. */
  readonly blockSizeBytes: number;
  /** Blocks of disk images that the file systems in them call free become zeros. (Default: no, and then not set) */
  readonly skipFree?: boolean | undefined;
  /** Attributes compared with a Base, the last run, a Verify: Bacula's letters. */
  readonly baseJob?: string | undefined;
  readonly accurate?: string | undefined;
  readonly verify?: string | undefined;
}

export interface IncludeBlock {
  /** Absolute paths; `|command` and `\<file` as in Bacula. */
  readonly files: readonly string[];
  /** Absolute host paths, with wildcards, of devices and files to be stored as disk images. Not set when empty. */
  readonly images?: readonly string[] | undefined;
  /** Host path that becomes `/` in stored names, such as where a snapshot is mounted. Not for images. */
  readonly root?: string | undefined;
  /** First match decides; the last block, when it has no patterns, is the default. Never empty. */
  readonly options: readonly OptionsBlock[];
  /** A directory holding a file of one of these names is left out with all below it. */
  readonly excludeDirContaining: readonly string[];
}

export interface FileSetResource {
  readonly name: string;
  readonly include: readonly IncludeBlock[];
  readonly excludeFiles: readonly string[];
  /** A changed FileSet does not force a Full. */
  readonly ignoreChanges: boolean;
  /** SHA-256 (hex) of what decides which files are stored and how; differs when the FileSet was changed. */
  readonly digest: string;
}

/** Values that one line of a schedule sets for the runs it starts. */
export interface RunOverrides {
  readonly level?: JobLevel | undefined;
  readonly pool?: string | undefined;
  readonly fullPool?: string | undefined;
  readonly incrementalPool?: string | undefined;
  readonly differentialPool?: string | undefined;
  readonly virtualFullPool?: string | undefined;
  readonly nextPool?: string | undefined;
  readonly storage?: string | undefined;
  readonly messages?: string | undefined;
  readonly priority?: number | undefined;
  readonly accurate?: boolean | undefined;
  readonly maxRunTimeSec?: number | undefined;
  readonly maxRunSchedTimeSec?: number | undefined;
}

/** When a line of a schedule is due: a cron expression, or Bacula's words without the overrides. */
export type RunSpec =
  | { readonly kind: "cron"; readonly expression: string }
  | { readonly kind: "bacula"; readonly text: string };

export interface RunDirective {
  readonly overrides: RunOverrides;
  readonly spec: RunSpec;
}

export interface ScheduleResource {
  readonly name: string;
  readonly enabled: boolean;
  readonly runs: readonly RunDirective[];
}

export interface StorageResource {
  readonly name: string;
  readonly address: string;
  /** (Default: 9103) */
  readonly port: number;
  /** Name of the Device in the storage daemon's configuration. */
  readonly device: string;
  readonly mediaType: string;
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

export type MessageDestinationKind =
  | "console"
  | "catalog"
  | "file"
  | "append"
  | "stdout"
  | "stderr"
  | "syslog"
  | "mail"
  | "mailOnError"
  | "mailOnSuccess"
  | "operator"
  | "webhook";

export interface MessageDestination {
  readonly kind: MessageDestinationKind;
  /**
   * Path for `file` and `append`; addresses with commas between them for mail and operator; for `webhook` a URL, or
   * `<` and the absolute path of a file that only its owner may read and that holds the URL.
   */
  readonly target?: string | undefined;
  /** Message types in lower case, `!` in front of an excluded one: `["all", "!skipped"]`. */
  readonly types: readonly string[];
}

/** A server that takes mail by SMTP. */
export interface MailServer {
  /** (Default: localhost) */
  readonly address: string;
  /** (Default: 25; 587 with a User; 465 with smtps) */
  readonly port: number;
  /**
   * `auto`: encrypted when the server offers it; `starttls`: never without; `smtps`: from the first byte on; `no`.
   * (Default: auto; starttls with a User)
   */
  readonly tls: "no" | "auto" | "starttls" | "smtps";
  /** Certificates (PEM) that the server's must descend from. (Default: those the system trusts) */
  readonly caFile?: string | undefined;
  /** Check the server's certificate and name; `auto` does so with a CaFile only. (Default: yes) */
  readonly verifyPeer: boolean;
  readonly user?: string | undefined;
  /** Only its owner may read it; the first line is the password. */
  readonly passwordFile?: string | undefined;
}

/** How mail of a Messages resource looks and goes; texts hold %-codes, among them %r for the recipients. */
export interface MailSettings {
  readonly server: MailServer;
  readonly from: string;
  readonly replyTo?: string | undefined;
  readonly subject: string;
  readonly operatorSubject: string;
}

/** How webhooks of a Messages resource are called. */
export interface WebhookSettings {
  /** Time for one call, answer included. */
  readonly timeoutSec: number;
  /** Sent as bearer token; only its owner may read it. */
  readonly tokenFile?: string | undefined;
}

export interface MessagesResource {
  readonly name: string;
  readonly destinations: readonly MessageDestination[];
  /** Always there when a destination is mail or operator. */
  readonly mail?: MailSettings | undefined;
  /** Always there when a destination is a webhook. */
  readonly webhook?: WebhookSettings | undefined;
}

/** An operator's console. Each ACL lists names or `*all*`; an empty one allows nothing. */
export interface ConsoleResource {
  readonly name: string;
  readonly fingerprint?: string | undefined;
  readonly commandAcl: readonly string[];
  readonly jobAcl: readonly string[];
  readonly clientAcl: readonly string[];
  readonly storageAcl: readonly string[];
  readonly scheduleAcl: readonly string[];
  readonly poolAcl: readonly string[];
  readonly fileSetAcl: readonly string[];
  readonly catalogAcl: readonly string[];
  readonly whereAcl: readonly string[];
  readonly pluginOptionsAcl: readonly string[];
  readonly restoreClientAcl: readonly string[];
  readonly backupClientAcl: readonly string[];
  readonly userIdAcl: readonly string[];
  readonly directoryAcl: readonly string[];
}
