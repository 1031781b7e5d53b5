/** Jobs of type Restore: the storage daemon plans, then the client fetches. */

import { BackupError } from "../../common/errors.js";
import { Relocation } from "../../common/relocation.js";
import { signTicket } from "../../common/ticket.js";
import { nowMs } from "../../common/time.js";
import type { FiledRestore } from "../../proto/generated/basalt/v1/FiledRestore.js";
import type { StorageRestore } from "../../proto/generated/basalt/v1/StorageRestore.js";
import { TICKET_LIFE_MS } from "./backup.js";
import { clientHooks, runBeforeHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import { Pair } from "./pair.js";
import { restoreReport } from "./report.js";
import type { RestoreRequest } from "./request.js";
import { connectFiled, connectStoraged, daemonName, need } from "./resources.js";
import { restoreTarget } from "./restore-target.js";
import { Side } from "./side.js";

function wanted(run: JobRun): RestoreRequest {
  const restore = run.plan.request.restore;
  if (restore === undefined || restore.selection.jobIds.length === 0) {
    throw new BackupError("USAGE", "no files were selected; start restores with the restore command");
  }
  return restore;
}

/** @throws BackupError REGEX_WHERE, USAGE before anything is begun */
function checkTarget(run: JobRun): void {
  const { where, regexWhere } = restoreTarget(run.plan);
  if (regexWhere !== "") new Relocation(regexWhere);
  else if (where !== "" && !where.startsWith("/"))
    throw new BackupError("USAGE", `Where "${where}" is not an absolute path on the client`);
}

/** Carries a restore up to its end at both daemons. @throws BackupError for what fails before they work. */
export async function runRestore(run: JobRun): Promise<void> {
  const restore = wanted(run);
  run.info(`Start Restore Job ${run.live.job}`);
  checkTarget(run);
  await runBeforeHooks(run);
  run.info(`Restoring files from JobId(s) ${restore.selection.jobIds.join(",")}`);
  const storaged = await connectStoraged(run);
  const filed = await connectFiled(run);
  const ticket = signTicket(
    {
      jobId: run.live.jobId,
      jobUuid: run.live.uuid,
      kind: "restore",
      director: run.plan.config.director.name,
      client: need(run.plan.client, "Client").name,
      storage: daemonName(storaged),
      pool: "",
      expiresMs: nowMs() + TICKET_LIFE_MS,
    },
    run.services.ticketKey(),
  );
  const pair = new Pair(run);
  const store = pair.add(
    new Side({
      run,
      role: "storaged",
      name: daemonName(storaged),
      channel: storaged,
      method: "StartRestore",
      request: storageRequest(run, restore, ticket),
      onState: pair.onState.bind(pair),
    }),
  );
  if ((await store.ready) && pair.failure === undefined) {
    pair.add(
      new Side({
        run,
        role: "filed",
        name: need(run.plan.client, "Client").name,
        channel: filed,
        method: "StartRestore",
        request: filedRequest(run, ticket, daemonName(storaged)),
      }),
    );
  }
  await pair.finish();
}

function storageRequest(run: JobRun, restore: RestoreRequest, ticket: string): StorageRestore {
  return {
    jobId: run.live.jobId,
    jobUuid: run.live.uuid,
    job: run.live.job,
    ticket,
    client: need(run.plan.client, "Client").name,
    selection: { jobIds: [...restore.selection.jobIds], rules: [...restore.selection.rules] },
    filedTimeoutSec: run.plan.config.director.fdConnectTimeoutSec,
    images: restore.inImages !== undefined,
  };
}

function filedRequest(run: JobRun, ticket: string, daemon: string): FiledRestore {
  const { live, plan } = run;
  const storage = need(plan.storage, "Storage");
  const { paths = [], partition = 0 } = plan.request.restore?.inImages ?? {};
  return {
    jobId: live.jobId,
    jobUuid: live.uuid,
    jobName: plan.job.name,
    job: live.job,
    ticket,
    storage: daemon,
    storageAddress: storage.address,
    storagePort: storage.port,
    ...restoreTarget(plan),
    replace: plan.request.restore?.replace ?? plan.job.replace,
    hooks: clientHooks(run),
    reportFiles: run.services.messages.wants(plan.messages, "restored"),
    inImages: paths.map(({ path, recursive }) => ({ path: Buffer.from(path, "latin1"), recursive })),
    partition,
  };
}

/** Entries that were to come back: as marked, else as the storage daemon planned. */
export function filesExpected(run: JobRun): number {
  const marked = run.plan.request.restore?.filesExpected ?? 0;
  return marked > 0 ? marked : Math.max(run.storaged.result.filesExpected, run.filed.result.filesExpected);
}

/** The report of a restore that has ended, well or not. */
export function reportRestore(run: JobRun): string {
  const filed = run.filed.result;
  return restoreReport({
    director: run.plan.config.director.name,
    version: run.services.version,
    jobId: run.live.jobId,
    job: run.live.job,
    startMs: run.startMs,
    endMs: run.endMs,
    status: run.status,
    client: run.plan.client?.name ?? "",
    ...restoreTarget(run.plan),
    replace: run.plan.request.restore?.replace ?? run.plan.job.replace,
    filesExpected: filesExpected(run),
    filesRestored: filed.files,
    bytesRestored: filed.bytes,
    filedErrors: filed.errors + run.errors,
    filedStatus: run.filed.status,
    storagedStatus: run.storaged.status,
  });
}
