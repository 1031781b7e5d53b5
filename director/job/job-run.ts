/** One run of a job while its sequence goes on: its messages, figures and outcome. */

import type { Log } from "../../common/log.js";
import { baculaTime, nowMs } from "../../common/time.js";
import type { JobResult__Output as JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { ResolvedParents__Output as ResolvedParents } from "../../proto/generated/basalt/v1/ResolvedParents.js";
import type { VerifyLevel } from "../config/types.js";
import type { Daemons } from "../daemons/daemons.js";
import type { DirectorDb } from "../db/database.js";
import type { StatusLetter } from "../db/records.js";
import type { MessageCenter, MessageOrigin, MessageSource } from "../messages/center.js";
import type { MessageType } from "../messages/types.js";
import type { JobQueue } from "../queue/queue.js";
import type { CodeValues } from "./codes.js";
import type { CopyFacts } from "./copy-report.js";
import type { LiveJob } from "./live-job.js";
import type { JobId, RunRequest } from "./request.js";
import { OUTCOME_WORDS } from "./words.js";

/** What the sequences need of the director. */
export interface JobServices {
  db: DirectorDb;
  messages: MessageCenter;
  daemons: Daemons;
  log: Log;
  /** PEM of the key that signs tickets. */
  ticketKey: () => string | Buffer;
  version: string;
  /** Aborted when the director ends and nothing may be waited for any longer. */
  shutdown: AbortSignal;
  /** Jobs that wait or run, and their ends. */
  queue: Pick<JobQueue, "list" | "waitJob">;
  /** Queues a further run. @throws BackupError as Director.runJob */
  runJob: (request: RunRequest) => Promise<JobId>;
  /** Carries out a command of the console; its lines. @throws BackupError */
  runConsole: (line: string) => Promise<string[]>;
  /** JobIds in the first column of what an SQL statement of the configuration gives. @throws BackupError SQL_FAILED */
  selectJobIds: (sql: string) => Promise<number[]>;
  /** To be called when the state of a job changed. */
  changed: () => void;
}

/** How one daemon's part ended. */
export interface SideResult {
  result: JobResult;
  /** `OK`, `Error`, `Canceled`, or "" when it was never started. */
  status: string;
  /** It told no result: the daemon died, hangs, or was given up. */
  broken?: boolean;
}

export const NO_RESULT: JobResult = {
  ok: false,
  canceled: false,
  reason: "",
  files: 0,
  deleted: 0,
  examined: 0,
  bytes: 0,
  bytesRead: 0,
  bytesSent: 0,
  bytesStored: 0,
  baseFiles: 0,
  baseBytes: 0,
  usedFiles: 0,
  errors: 0,
  warnings: 0,
  filesExpected: 0,
  volumes: [],
  lastVolumeBytes: 0,
  volSessionId: 0,
  volSessionTime: 0,
  rawBytes: 0,
  rows: 0,
  newContent: 0,
  differences: 0,
  incomplete: false,
};

export class JobRun {
  readonly live: LiveJob;
  readonly services: JobServices;
  readonly source: MessageSource;
  /** Of the director's own part. */
  errors = 0;
  warnings = 0;
  parents: ResolvedParents | undefined;
  /** Of a Verify job: its level, and the run that it verifies (0: none). */
  verified: { level: VerifyLevel; jobId: number; job: string } | undefined;
  /** Of a Copy or Migrate job: what it worked on. */
  copied: CopyFacts | undefined;
  filed: SideResult = { result: NO_RESULT, status: "" };
  storaged: SideResult = { result: NO_RESULT, status: "" };
  /** R while it runs. */
  status: StatusLetter = "R";
  /** Why it failed or was cancelled; one line. */
  reason = "";
  startMs = nowMs();
  endMs = 0;

  constructor(live: LiveJob, services: JobServices) {
    this.live = live;
    this.services = services;
    this.source = { jobId: live.jobId, name: live.plan.job.name, messages: live.plan.messages };
  }

  get plan() {
    return this.live.plan;
  }

  /** A message of the job; errors and warnings of the director's own are counted here. */
  say(type: MessageType, text: string, origin?: MessageOrigin): void {
    if (origin?.daemon === undefined) {
      if (type === "error" || type === "security") this.errors += 1;
      if (type === "warning") this.warnings += 1;
    }
    this.services.messages.emit(this.source, type, text, origin);
  }

  info(text: string): void {
    this.say("info", text);
  }

  /** Bacula's words for what the job does or waits for. */
  state(detail: string): void {
    if (this.live.detail === detail) return;
    this.live.detail = detail;
    this.services.changed();
  }

  /** Values of the %-codes as of now. */
  codes(): CodeValues {
    const { plan, live } = this;
    const { result } = this.filed;
    const sinceMs = this.parents?.sinceMs ?? 0;
    return {
      bytes: result.bytes,
      client: plan.client?.name ?? "",
      clientAddress: plan.client?.address ?? "",
      director: plan.config.director.name,
      exitStatus: this.status === "f" ? "Error" : OUTCOME_WORDS[this.status],
      errors: this.errors + result.errors + this.storaged.result.errors,
      fileSet: plan.fileSet?.name ?? "",
      files: result.files,
      jobId: live.jobId,
      job: live.job,
      level: plan.job.type === "Backup" ? live.level : "",
      name: plan.job.name,
      priority: plan.priority,
      pool: plan.pool?.name ?? "",
      pid: process.pid,
      readBytes: result.bytesRead,
      since: sinceMs > 0 ? baculaTime(sinceMs) : "1970-01-01 00:00:00",
      storage: plan.storage?.name ?? "",
      type: plan.job.type,
      volumes: this.storaged.result.volumes.join("|"),
    };
  }
}
