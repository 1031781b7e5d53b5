/** The director's orders about retention: prune, purge, rebase, vacuum. */

import { BackupError, describeError } from "../common/errors.js";
import type { JobResult } from "../proto/generated/basalt/v1/JobResult.js";
import type { PoolList__Output } from "../proto/generated/basalt/v1/PoolList.js";
import type { PruneRequest__Output } from "../proto/generated/basalt/v1/PruneRequest.js";
import type { PruneRule__Output } from "../proto/generated/basalt/v1/PruneRule.js";
import type { PurgeRequest__Output } from "../proto/generated/basalt/v1/PurgeRequest.js";
import type { RebaseRequest__Output } from "../proto/generated/basalt/v1/RebaseRequest.js";
import type { RetentionReply } from "../proto/generated/basalt/v1/RetentionReply.js";
import type { VacuumRequest__Output } from "../proto/generated/basalt/v1/VacuumRequest.js";
import type { CallContext, Handlers } from "../proto/rpc.js";
import type { StoragedConfig } from "./config.js";
import type { JobDeleter } from "./retention/delete.js";
import type { PruneOrder, RetentionOutcome } from "./retention/orders.js";
import type { Decision, PruneRule } from "./retention/plan.js";
import { Retention } from "./retention/retention.js";
import { Vacuum, type VacuumOptions } from "./retention/vacuum.js";
import { Reporter } from "./session/reporter.js";

export interface RetentionServices {
  retention: Retention;
  vacuum: Vacuum;
}

/** What retention works with: parts of the daemon. */
export interface RetentionHost
  extends Omit<VacuumOptions, "retention" | "devices" | "workingDirectory" | "storage"> {
  config: () => StoragedConfig;
  deleter: JobDeleter;
}

/** Retention and vacuum of a daemon; from now on the desk asks them for room. */
export function makeRetention(host: RetentionHost): RetentionServices {
  const { catalog, desk, store, deleter, verifier, log, config } = host;
  const storage = () => config().name;
  const retention = new Retention({ catalog, desk, deleter, storage, log });
  const devices = () => config().devices;
  const workingDirectory = () => config().workingDirectory;
  const places = { devices, workingDirectory, storage };
  const vacuum = new Vacuum({ catalog, desk, store, verifier, retention, log, ...places });
  desk.setRetention(retention);
  return { retention, vacuum };
}

type Send = ConstructorParameters<typeof Reporter>[0];

/** Share below which a volume is emptied when the order names none. */
const BELOW_PERCENT = 50;

export function retentionHandlers({ retention, vacuum }: RetentionServices): Handlers {
  return {
    Prune: async (request: PruneRequest__Output, { signal }: CallContext) =>
      toReply(await retention.prune(toOrder(request), signal)),
    Purge: async (request: PurgeRequest__Output, { signal }: CallContext) => {
      const { jobIds, client, jobName, volume, rebase, dry } = request;
      const order = { jobIds, client, jobName, volume, rebase, dry };
      const purge = request.filesOnly ? retention.purgeFiles : retention.purgeJobs;
      return toReply(await purge.call(retention, order, signal));
    },
    Rebase: (request: RebaseRequest__Output, { signal }: CallContext, send: Send) =>
      reported(send, async (reporter) => {
        const done = await retention.rebase(request.jobIds, reporter, signal);
        return { files: done.length };
      }),
    Vacuum: (request: VacuumRequest__Output, { signal }: CallContext, send: Send) =>
      reported(send, async (reporter) => {
        const { pool, volume, device, bytesPerSec, dry } = request;
        const belowPercent = request.belowPercent > 0 ? request.belowPercent : BELOW_PERCENT;
        const order = { pool, volume, device, belowPercent, bytesPerSec, dry };
        const { bytes, frames, volumes } = await vacuum.run(order, reporter, signal);
        return { files: volumes.length, bytesStored: bytes, rows: frames, volumes };
      }),
  };
}

/** Keeps the rules that come with the pools, for the moment when a job needs a volume. */
export function takeRules({ retention }: RetentionServices, list: PoolList__Output): void {
  const { rules, timeZone, utcOffsetMinutes } = list;
  retention.setRules(rules.map(toRule), { timeZone, utcOffsetMinutes });
}

/** A call with events: its end is told as a result, and so is what keeps it from going on. */
async function reported(send: Send, work: (reporter: Reporter) => Promise<JobResult>): Promise<void> {
  const reporter = new Reporter(send);
  await reporter.setState("running");
  try {
    await reporter.result({ ok: true, ...(await work(reporter)) });
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    await reporter.result({ ok: false, reason: describeError(error) });
  }
}

const KINDS: readonly string[] = ["jobs", "files", "volume"];

/** @throws BackupError REQUEST_INVALID */
function toOrder(request: PruneRequest__Output): PruneOrder {
  const { kind, rules, client, jobName, pool, volume, dry, timeZone, utcOffsetMinutes } = request;
  if (!KINDS.includes(kind)) throw new BackupError("REQUEST_INVALID", `prune of unknown kind "${kind}"`);
  const zone = { timeZone, utcOffsetMinutes };
  return {
    kind: kind as PruneOrder["kind"],
    rules: rules.map(toRule),
    zone,
    client,
    jobName,
    pool,
    volume,
    dry,
  };
}

/** A rule as the director sent it. */
export function toRule(rule: PruneRule__Output): PruneRule {
  const { jobName, client, pool, jobRetention, fileRetention, keep, consolidate } = rule;
  return { jobName, client, pool, jobRetention, fileRetention, consolidate, keep: keep ?? undefined };
}

function toReply({ decisions, ...outcome }: RetentionOutcome): RetentionReply {
  return { ...outcome, items: decisions.map(toItem) };
}

function toItem({ job, action, reason, neededBy }: Decision) {
  const { jobId, level, client, startMs, endMs, bytes } = job;
  return { jobId, job: job.job, level, client, startMs, endMs, bytes, action, reason, neededBy };
}
