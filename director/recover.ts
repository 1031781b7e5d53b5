/** What a director does at its start about jobs that its predecessor left behind. */

import { describeError } from "../common/errors.js";
import type { Log } from "../common/log.js";
import { nowMs } from "../common/time.js";
import type { DirectorConfig } from "./config/types.js";
import type { JobRecord, StatusLetter } from "./db/records.js";
import { runAfterHooks } from "./job/hooks.js";
import { JobRun, type JobServices } from "./job/job-run.js";
import { LiveJob } from "./job/live-job.js";
import { makePlan } from "./job/plan.js";
import type { JobPlan, RunRequest } from "./job/request.js";
import { learnOutcome } from "./recover-outcome.js";

/** How long a daemon may be away that is asked or told about a run, unless its connect timeout is shorter. */
const CONNECT_MS = 60_000;

export interface RecoverOptions {
  config: DirectorConfig;
  services: JobServices;
  log: Log;
}

/** A queued job as it was before; undefined when the configuration does not allow it any more. */
function planOf(config: DirectorConfig, record: JobRecord): JobPlan | undefined {
  try {
    return makePlan(config, JSON.parse(record.request) as RunRequest);
  } catch {
    return undefined;
  }
}

export function liveJobOf(record: JobRecord, plan: JobPlan): LiveJob {
  const { jobId, uuid, job } = record;
  return new LiveJob({ jobId, uuid, job, plan, queuedMs: nowMs() });
}

/**
 * Marks jobs that were running as failed, tells their daemons, runs their After hooks; returns the jobs that were
 * still waiting, to be queued again.
 */
export function recoverJobs(options: RecoverOptions): LiveJob[] {
  const { config, services } = options;
  const waiting: LiveJob[] = [];
  for (const record of services.db.jobs.list({ status: ["C", "R"] })) {
    const plan = planOf(config, record);
    if (record.status === "R") failRunning(options, record, plan);
    else if (plan === undefined) {
      markFailed(services, record, `Job ${record.job} cannot be queued again: its configuration is gone.`);
      services.messages.endJob({ jobId: record.jobId, name: record.name });
    } else waiting.push(liveJobOf(record, plan));
  }
  return waiting;
}

function markFailed(services: JobServices, record: JobRecord, reason: string, plan?: JobPlan): void {
  const errors = Math.max(1, record.errors);
  const source = { jobId: record.jobId, name: record.name, messages: plan?.messages };
  services.messages.emit(source, "error", reason);
  services.messages.flush(() => {
    services.db.jobs.update(record.jobId, { status: "f", endMs: nowMs(), errors, reason, request: "" });
  });
}

function failRunning(options: RecoverOptions, record: JobRecord, plan: JobPlan | undefined): void {
  const { services, log } = options;
  const reason = `The director ended while Job ${record.job} was running. The job has failed.`;
  markFailed(services, record, reason, plan);
  for (const role of ["filed", "storaged"] as const) {
    void cancelAt(services, record, role).catch((error: unknown) => {
      log.debug(`JobId ${record.jobId} could not be cancelled at its ${role}: ${describeError(error)}`);
    });
  }
  // What the storage daemon has is good also where the configuration knows the job no more.
  const outcome =
    record.type === "B" || record.type === "C" ? outcomeOf(options, record) : Promise.resolve(undefined);
  const source = { jobId: record.jobId, name: record.name, messages: plan?.messages };
  void outcome
    .then((status) => (plan === undefined ? undefined : runHooks(liveJobOf(record, plan), services, status)))
    .finally(() => {
      // Its mail waits for the end of a run that went on meanwhile.
      if (!services.queue.list().some(({ jobId }) => jobId === record.jobId))
        services.messages.endJob(source);
    });
}

/** Never rejects, and After commands wait for it: no longer than for a connection, or for a run that still ends there. */
function outcomeOf(
  { config, services, log }: RecoverOptions,
  record: JobRecord,
): Promise<StatusLetter | undefined> {
  const connectMs = Math.min(CONNECT_MS, config.director.sdConnectTimeoutSec * 1000);
  return learnOutcome(services, record, connectMs).catch((error: unknown) => {
    log.debug(`JobId ${record.jobId}: not known what its storage has kept: ${describeError(error)}`);
    return undefined;
  });
}

/** The hooks of a run that ended well belong to it as well as those of one that failed. */
function runHooks(live: LiveJob, services: JobServices, status: StatusLetter | undefined): Promise<void> {
  const run = new JobRun(live, services);
  const endedWell = status === "T" || status === "W";
  run.status = endedWell ? status : "f";
  return runAfterHooks(run, endedWell);
}

async function cancelAt(services: JobServices, record: JobRecord, role: "filed" | "storaged"): Promise<void> {
  const name = role === "filed" ? record.client : record.storage;
  if (name === "") return;
  const options = { timeoutMs: CONNECT_MS, signal: services.shutdown };
  const channel = await services.daemons[role](name, options);
  const request = { jobUuid: record.uuid, reason: "the director was restarted", keep: true };
  await channel.unary(role === "filed" ? "Filed" : "Storaged", "Cancel", request, { timeoutMs: 10_000 });
}
