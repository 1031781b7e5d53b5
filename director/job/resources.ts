/** What every kind of job needs: its resources, and connections to its daemons with Bacula's words about them. */

import { BackupError } from "../../common/errors.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { ConnectOptions } from "../daemons/daemons.js";
import { after } from "../timers.js";
import type { JobRun } from "./job-run.js";

/** A resource that this kind of job cannot do without. @throws BackupError USAGE */
export function need<T>(resource: T | undefined, kind: string): T {
  if (resource === undefined) throw new BackupError("USAGE", `the job has no ${kind}`);
  return resource;
}

export function connectFiled(run: JobRun): Promise<RpcChannel> {
  const client = need(run.plan.client, "Client");
  const seconds = run.plan.config.director.fdConnectTimeoutSec;
  return connect(run, `is waiting on Client ${client.name}`, seconds, (options) =>
    run.services.daemons.connectFiled(client, options),
  );
}

export function connectStoraged(run: JobRun): Promise<RpcChannel> {
  const storage = need(run.plan.storage, "Storage");
  const seconds = run.plan.config.director.sdConnectTimeoutSec;
  return connect(run, `is waiting on Storage "${storage.name}"`, seconds, (options) =>
    run.services.daemons.connectStoraged(storage, options),
  );
}

/** The name in the certificate of a daemon that was connected to: a Storage resource may be called otherwise. */
export function daemonName(channel: RpcChannel): string {
  const name = channel.peer?.name;
  if (name === undefined) throw new BackupError("CONNECT_FAILED", `${channel.label} was never reached`);
  return name;
}

/** Tries until the time limit of the daemon, or the job's Max Wait Time when that is shorter. */
async function connect(
  run: JobRun,
  waiting: string,
  seconds: number,
  attempt: (options: ConnectOptions) => Promise<RpcChannel>,
): Promise<RpcChannel> {
  const limitSec = run.plan.job.maxWaitTimeSec;
  const stop = limitSec > 0 ? after(limitSec * 1000, () => waitedTooLong(run)) : () => undefined;
  run.state(waiting);
  try {
    return await attempt({
      signal: run.live.signal,
      timeoutMs: seconds * 1000,
      // Not counted: a daemon that came in time did no harm to the job.
      onRetry: (warning) => run.services.messages.emit(run.source, "warning", warning),
    });
  } finally {
    stop();
    run.state("is running");
  }
}

function waitedTooLong(run: JobRun): void {
  const reason = "Max wait time exceeded. Job canceled.";
  run.say("fatal", reason);
  run.live.cancel(reason);
}
