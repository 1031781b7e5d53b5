/**
 * What the console language needs of the director: the part of `Director` that its commands use, as plain
 * interfaces, so that the whole language runs in tests against an object.
 */
import type { FiledStatus__Output } from "../../proto/generated/basalt/v1/FiledStatus.js";
import type { NetworkTestResult__Output } from "../../proto/generated/basalt/v1/NetworkTestResult.js";
import type { StorageStatus__Output } from "../../proto/generated/basalt/v1/StorageStatus.js";
import type { DataStream } from "../../proto/rpc.js";
import type { DirectorConfig, JobLevel } from "../config/types.js";
import type { NetworkLoad } from "../daemons/network-test.js";
import type { PrunedHistory } from "../db/history.js";
import type { JobFilter, JobRecord, LogRecord } from "../db/records.js";
import type { LiveProgress } from "../job/live-job.js";
import type { JobPlan, RunRequest } from "../job/request.js";
import type { MessageType } from "../messages/types.js";
import type { UpcomingRun } from "../queue/scheduler.js";
import type { RunRecords } from "../retention/records.js";

export type { JobFilter, JobPlan, JobRecord, LogRecord, RunRequest };

export interface CallOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Calls one daemon; RpcChannel fits. Failures are BackupErrors that name the daemon. */
export interface DaemonCaller {
  // biome-ignore lint/suspicious/noExplicitAny: the caller names the generated reply type, as with RpcChannel.
  unary<Reply = any>(
    service: "Filed" | "Storaged",
    method: string,
    request: object,
    options?: CallOptions,
  ): Promise<Reply>;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  stream<Reply = any>(
    service: "Filed" | "Storaged",
    method: string,
    request: object,
    options?: CallOptions,
  ): AsyncIterable<Reply>;
  /** A stream of raw bytes to a file daemon. */
  data(service: "FiledData", method: string, options?: CallOptions): DataStream;
}

/** A waiting or running job; LiveJob fits. */
export interface LiveView {
  readonly jobId: number;
  readonly uuid: string;
  readonly job: string;
  readonly plan: JobPlan;
  readonly queuedMs: number;
  readonly state: "waiting" | "running";
  readonly detail: string;
  readonly level: JobLevel;
  readonly startedMs: number;
  readonly progress: LiveProgress;
}

/** A run that a schedule will start. */
export type UpcomingView = Omit<UpcomingRun, "storage">;

export type SwitchKind = "job" | "client" | "storage" | "schedule";

/** See director/director.ts for what each member does and throws. */
export interface ConsoleDirector {
  readonly config: DirectorConfig;
  readonly startedAtMs: number;
  readonly db: {
    readonly jobs: RunRecords;
    readonly log: { list(jobId: number): LogRecord[] };
    readonly history: {
      update(endedBeforeMs: number): number;
      expired(beforeMs: number): PrunedHistory;
      prune(beforeMs: number): PrunedHistory;
    };
  };
  readonly queue: {
    list(): LiveView[];
    get(jobId: number): LiveView | undefined;
    on(event: "change", listener: () => void): () => void;
    waitIdle(signal?: AbortSignal): Promise<void>;
    waitJob(jobId: number, signal?: AbortSignal): Promise<JobRecord | undefined>;
  };
  readonly messages: {
    pending(console: string, allowed?: (jobName: string) => boolean): number;
    take(console: string, limit?: number, allowed?: (jobName: string) => boolean): string[];
    onPending(listener: () => void): () => void;
    /** A message of the director itself. */
    daemon(type: MessageType, text: string): void;
  };
  readonly daemons: {
    filed(client: string, options?: CallOptions): Promise<DaemonCaller>;
    storaged(storage: string, options?: CallOptions): Promise<DaemonCaller>;
    filedStatus(client: string): Promise<FiledStatus__Output>;
    storagedStatus(storage: string): Promise<StorageStatus__Output>;
    testNetwork(client: string, storage: string, load: NetworkLoad): Promise<NetworkTestResult__Output>;
  };
  plan(request: RunRequest): JobPlan;
  learnRuns(): Promise<void>;
  runJob(request: RunRequest): Promise<number>;
  cancel(jobId: number, reason?: string): Promise<string[]>;
  stopJob(jobId: number, reason?: string): Promise<string[]>;
  resumeJob(jobId: number): Promise<void>;
  /** Keeps a bootstrap file in the working directory until it is removed; its path. */
  leaveBootstrap(text: string): Promise<string>;
  reload(): Promise<{ ok: boolean; errors: string[] }>;
  isEnabled(kind: SwitchKind, name: string): boolean;
  setEnabled(kind: SwitchKind, name: string, enabled: boolean): void;
  setAddress(client: string, address: string): void;
  upcoming(days: number): UpcomingView[];
}
