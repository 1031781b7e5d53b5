/** Jobs of type Backup: what the run builds on, the client's request, the storage daemon's, and their common end. */

import { BackupError } from "../../common/errors.js";
import { signTicket } from "../../common/ticket.js";
import { monotonicMs, nowMs } from "../../common/time.js";
import { withCommas } from "../../common/units.js";
import type { ResolvedParents__Output as ResolvedParents } from "../../proto/generated/basalt/v1/ResolvedParents.js";
import type { ResolveRequest } from "../../proto/generated/basalt/v1/ResolveRequest.js";
import type { StorageBackup } from "../../proto/generated/basalt/v1/StorageBackup.js";
import { LISTS_APART_MINOR, type RpcChannel } from "../../proto/rpc.js";
import type { JobLevel } from "../config/types.js";
import { startClones } from "./clones.js";
import { filedRequest } from "./filed-request.js";
import { runBeforeHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import { Pair } from "./pair.js";
import { makePlan } from "./plan.js";
import { checkReferenceLevel, referenceRequest } from "./reference.js";
import { LEVEL_LETTERS } from "./register.js";
import { backupReport, levelText } from "./report.js";
import { connectFiled, connectStoraged, daemonName, need } from "./resources.js";
import { Side } from "./side.js";
import { takeOver } from "./take-over.js";
import { raiseLevel } from "./upgrade.js";
import { runVirtualFull } from "./virtual-full.js";

/** Tickets are taken when the data stream opens, after the client's hooks: a day is more than any of them needs. */
export const TICKET_LIFE_MS = 24 * 3_600_000;

/** How long a client that has answered counts as reached. */
const REACHED_MS = 5000;

/** Carries a backup up to its end at both daemons. @throws BackupError for what fails before they work. */
export async function runBackup(run: JobRun): Promise<void> {
  const { live, plan } = run;
  const level = raiseLevel(run);
  checkReferenceLevel(run);
  if (level === "VirtualFull") {
    if (plan.level !== "VirtualFull") usePoolOfLevel(run);
    run.services.db.jobs.update(live.jobId, { level: LEVEL_LETTERS.VirtualFull });
    return runVirtualFull(run);
  }
  const resumes = plan.request.resume === true;
  run.info(`${resumes ? "Restart Incomplete" : "Start"} Backup JobId ${live.jobId}, Job=${live.job}`);
  if (need(plan.client, "Client").dial === "client") {
    throw new BackupError("NOT_SUPPORTED", '"Dial: client" is not supported yet in this version');
  }
  await runBeforeHooks(run);
  const reached = reachEarly(run);
  const asked = askEarly(run);
  let storaged = await connectStoraged(run);
  run.parents = (await asked(storaged)) ?? (await resolveParents(run, storaged));
  if (run.parents.committed) return takeOver(run, storaged);
  live.level = run.parents.level as JobLevel;
  if (live.level !== plan.level && usePoolOfLevel(run)) {
    storaged = await connectStoraged(run);
    run.parents = await resolveParents(run, storaged);
  }
  run.services.db.jobs.update(live.jobId, parentColumns(run));
  tellParents(run, run.parents);
  await startClones(run);
  const filed = (await reached)() ?? (await connectFiled(run));
  await work(run, filed, storaged);
}

/**
 * Tries to reach the client while the storage daemon is asked: on a long line each answer takes its time. What it resolves
 * to gives the channel, unless that did not work or was long ago.
 */
async function reachEarly(run: JobRun): Promise<() => RpcChannel | undefined> {
  const client = need(run.plan.client, "Client");
  const { daemons } = run.services;
  const { signal } = run.live;
  const channel = await daemons.connectFiled(client, { signal }).catch(() => undefined);
  const untilMs = monotonicMs() + REACHED_MS;
  return () => (monotonicMs() < untilMs ? channel : undefined);
}

/**
 * Asks a storage daemon that answered before without greeting it first. What it returns gives the answer, unless there is
 * none, or the greeting led to another connection.
 */
function askEarly(run: JobRun): (storaged: RpcChannel) => Promise<ResolvedParents | undefined> {
  const known = run.services.daemons.greeted(need(run.plan.storage, "Storage"));
  const answer = known && resolveParents(run, known).catch(() => undefined);
  return async (storaged) => (storaged === known ? await answer : undefined);
}

/** An upgraded run goes to the pool of its new level; true when that lies in another storage daemon. */
function usePoolOfLevel(run: JobRun): boolean {
  const { plan, level } = run.live;
  const upgraded = makePlan(plan.config, { ...plan.request, level });
  const origins = { ...plan.origins, pool: upgraded.origins.pool, storage: upgraded.origins.storage };
  run.live.plan = { ...plan, pool: upgraded.pool, storage: upgraded.storage, origins };
  return upgraded.storage?.name !== plan.storage?.name;
}

async function resolveParents(run: JobRun, storaged: RpcChannel): Promise<ResolvedParents> {
  const { plan } = run;
  const fileSet = need(plan.fileSet, "FileSet");
  const client = need(plan.client, "Client");
  const request: ResolveRequest = {
    jobName: plan.job.name,
    client: client.name,
    filedAddress: client.address,
    filedPort: client.port,
    fileSet: fileSet.name,
    fileSetDigest: fileSet.digest,
    level: run.live.level,
    base: [...plan.job.base],
    ignoreFileSetChanges: fileSet.ignoreChanges,
    pool: need(plan.pool, "Pool").name,
    resumeJobId: plan.request.resume === true ? run.live.jobId : 0,
    jobId: run.live.jobId,
    job: run.live.job,
  };
  return storaged.unary<ResolvedParents>("Storaged", "ResolveParents", request, { signal: run.live.signal });
}

/** Messages on level and Bases, in Bacula's words. */
function tellParents(run: JobRun, parents: ResolvedParents): void {
  if (parents.upgraded === "no-prior-full") {
    run.info("No prior Full backup Job record found.");
    run.info("No prior or suitable Full backup found in catalog. Doing FULL backup.");
  } else if (parents.upgraded === "fileset-changed") {
    run.info(`No prior or suitable Full backup found in catalog for the current FileSet. Doing FULL backup.`);
  }
  const fresh = parents.level === "Full";
  for (const name of parents.unresolvedBases) {
    if (!fresh) break;
    // The very first run of a machine has no earlier one of its own: nothing to be warned of.
    if (name === run.plan.job.name) run.info(`No earlier backup of job "${name}" to use as its own Base.`);
    else
      run.say("warning", `Base job "${name}" has no successful Base backup on this storage; it is not used.`);
  }
  if (fresh && parents.bases.length > 0) run.info(`Using BaseJobId(s): ${parents.bases.join(",")}`);
  if (parents.incompleteFiles > 0) {
    run.info(`Found ${parents.incompleteFiles} files from prior incomplete Job.`);
  }
  const accurate = parents.ownNewest > 0 || parents.chain.length > 0 || parents.bases.length > 0;
  if (accurate) run.info("Sending Accurate information to the FD.");
}

function parentColumns(run: JobRun) {
  const parents = run.parents!;
  const level = LEVEL_LETTERS[run.live.level];
  return { level, baseJobIds: [...parents.bases], priorJobId: parents.chain.at(-1) ?? 0 };
}

async function work(run: JobRun, filed: RpcChannel, storaged: RpcChannel): Promise<void> {
  const ticket = signTicket(
    {
      jobId: run.live.jobId,
      jobUuid: run.live.uuid,
      kind: "backup",
      director: run.plan.config.director.name,
      client: need(run.plan.client, "Client").name,
      storage: daemonName(storaged),
      pool: need(run.plan.pool, "Pool").name,
      expiresMs: nowMs() + TICKET_LIFE_MS,
    },
    run.services.ticketKey(),
  );
  const parts = { level: run.live.level, ticket, storage: daemonName(storaged) };
  const request = await filedRequest(run, filed, parts);
  const reference = referenceRequest(run);
  const pair = new Pair(run);
  const onState = pair.onState.bind(pair);
  const client = pair.add(
    new Side({
      run,
      role: "filed",
      name: need(run.plan.client, "Client").name,
      channel: filed,
      method: "StartBackup",
      request: { ...request, sampleVerify: run.plan.job.verifySamplePercent, reference },
    }),
  );
  if ((await client.ready) && pair.failure === undefined) {
    pair.add(
      new Side({
        run,
        role: "storaged",
        name: daemonName(storaged),
        channel: storaged,
        method: "StartBackup",
        request: storageRequest(run, ticket, (filed.protocol?.minor ?? 0) >= LISTS_APART_MINOR),
        onState,
      }),
    );
  }
  if (run.plan.job.spoolData) run.info("Spooling data ...");
  await pair.finish();
  if (run.plan.job.spoolData) tellDespooled(run);
}

/** Nothing lies between client and volume: these are only the words. */
function tellDespooled(run: JobRun): void {
  const { result } = run.storaged;
  const volume = result.volumes.at(-1);
  if (!result.ok || volume === undefined) return;
  run.info(
    `Committing spooled data to Volume "${volume}". Despooling ${withCommas(result.bytesStored)} bytes ...`,
  );
}

function storageRequest(run: JobRun, ticket: string, listsApart: boolean): StorageBackup {
  const { live, plan } = run;
  const fileSet = need(plan.fileSet, "FileSet");
  const client = need(plan.client, "Client");
  return {
    jobId: live.jobId,
    jobUuid: live.uuid,
    jobName: plan.job.name,
    job: live.job,
    client: client.name,
    fileSet: fileSet.name,
    fileSetDigest: fileSet.digest,
    ticket,
    pool: need(plan.pool, "Pool").name,
    filedAddress: client.address,
    filedPort: client.port,
    parents: run.parents!,
    filedTimeoutSec: plan.config.director.fdConnectTimeoutSec,
    scheduledMs: plan.whenMs,
    device: need(plan.storage, "Storage").device,
    comment: plan.comment,
    spread: plan.job.preferMountedVolumes === false,
    // A reference machine that is built anew each time is saved whole or not at all.
    allowIncomplete: plan.job.allowIncompleteJobs && plan.job.reference === undefined,
    compared: plan.job.reference !== undefined,
    listsApart,
    resume: plan.request.resume === true && run.parents!.incompleteFiles > 0,
  };
}

/** The report of a backup that has ended, well or not. */
export function reportBackup(run: JobRun): string {
  const { live, plan, parents } = run;
  const filed = run.filed.result;
  const storaged = run.storaged.result;
  return backupReport({
    director: plan.config.director.name,
    version: run.services.version,
    jobId: live.jobId,
    job: live.job,
    startMs: run.startMs,
    endMs: run.endMs,
    status: run.status,
    level: levelText(live.level, plan.level, parents?.sinceMs ?? 0),
    client: plan.client?.name ?? "",
    fileSet: plan.fileSet?.name ?? "",
    pool: plan.pool?.name ?? "",
    poolOrigin: plan.origins.pool,
    storage: plan.storage?.name ?? "",
    storageOrigin: plan.origins.storage,
    scheduledMs: plan.whenMs,
    priority: plan.priority,
    filedFiles: filed.files,
    storagedFiles: storaged.files,
    filedBytes: filed.bytes,
    storagedBytes: storaged.bytes,
    readBytes: filed.bytesRead,
    sentBytes: filed.bytesSent,
    storedBytes: storaged.bytesStored,
    rawBytes: Math.max(filed.rawBytes, storaged.rawBytes),
    baseJobIds: live.level === "Full" ? (parents?.bases ?? []) : [],
    baseFiles: filed.baseFiles,
    usedFiles: filed.usedFiles,
    baseBytes: filed.baseBytes,
    accurate: plan.accurate,
    volumes: storaged.volumes,
    volSessionId: storaged.volSessionId,
    volSessionTime: storaged.volSessionTime,
    lastVolumeBytes: storaged.lastVolumeBytes,
    filedErrors: filed.errors + run.errors,
    storagedErrors: storaged.errors,
    filedStatus: run.filed.status,
    storagedStatus: run.storaged.status,
  });
}
