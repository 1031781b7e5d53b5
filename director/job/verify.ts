/**
 * Jobs of type Verify. Data and VolumeToCatalog are the storage daemon's work alone; for the levels that look at the
 * machine's files the file daemon walks and compares, with a list that the storage daemon sends it.
 */

import { BackupError } from "../../common/errors.js";
import { signTicket } from "../../common/ticket.js";
import { nowMs } from "../../common/time.js";
import type { StorageVerify } from "../../proto/generated/basalt/v1/StorageVerify.js";
import type { VerifyLevel } from "../config/types.js";
import type { JobRecord } from "../db/records.js";
import { TICKET_LIFE_MS } from "./backup.js";
import { filedRequest } from "./filed-request.js";
import { runBeforeHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import { Pair } from "./pair.js";
import type { JobPlan } from "./request.js";
import { connectFiled, connectStoraged, daemonName, need } from "./resources.js";
import { Side, type SideOptions } from "./side.js";
import { verifyReport } from "./verify-report.js";

/** Level of a Verify run: as asked for, else the job's. */
export function verifyLevelOf(plan: JobPlan): VerifyLevel {
  return plan.request.verifyLevel ?? plan.job.verifyLevel ?? "VolumeToCatalog";
}

/** Levels that verify an earlier backup. */
const OF_A_BACKUP: readonly VerifyLevel[] = ["Data", "VolumeToCatalog", "DiskToCatalog"];
/** Levels for which the client is needed. */
const ON_DISK: readonly VerifyLevel[] = ["DiskToCatalog", "InitCatalog", "Catalog"];

/** Carries a Verify job up to its end. @throws BackupError for what fails before the daemons work. */
export async function runVerify(run: JobRun): Promise<void> {
  const { live } = run;
  const level = verifyLevelOf(run.plan);
  const target = OF_A_BACKUP.includes(level) ? findTarget(run) : undefined;
  run.verified = { level, jobId: target?.jobId ?? 0, job: target?.job ?? "" };
  if (target !== undefined) useResourcesOf(run, target);
  run.info(`Start Verify JobId=${live.jobId} Level=${level} Job=${live.job}`);
  if (target !== undefined) run.info(`Verifying against JobId=${target.jobId} Job=${target.job}`);
  await runBeforeHooks(run);
  const storaged = await connectStoraged(run);
  const storage = daemonName(storaged);
  const ticket = ticketOf(run, storage);
  const client = ON_DISK.includes(level) ? await clientPart(run, { level, ticket, storage }) : undefined;
  const pair = new Pair(run);
  if (client !== undefined) {
    const side = pair.add(new Side(client));
    if (!(await side.ready) || pair.failure !== undefined) return pair.finish();
  }
  pair.add(
    new Side({
      run,
      role: "storaged",
      name: storage,
      channel: storaged,
      method: "StartVerify",
      request: storageRequest(run, level, ticket),
      onState: pair.onState.bind(pair),
    }),
  );
  await pair.finish();
  countFiles(run);
}

/** The file daemon's part. @throws BackupError as filedRequest */
async function clientPart(
  run: JobRun,
  parts: { level: string; ticket: string; storage: string },
): Promise<SideOptions> {
  const { name } = need(run.plan.client, "Client");
  const channel = await connectFiled(run);
  const request = await filedRequest(run, channel, parts);
  return { run, role: "filed", name, channel, method: "StartBackup", request };
}

/** What lists of jobs show as files and bytes of a Verify job: what it looked at. */
function countFiles(run: JobRun): void {
  const { result, status } = run.filed;
  const { examined, bytes } = run.storaged.result;
  const counts = status === "" ? { files: examined, bytes } : { files: result.examined };
  run.filed = { result: { ...result, ...counts }, status };
}

/** The run to verify: the one asked for, else the newest good one of the Verify Job, else of the client. */
function findTarget(run: JobRun): JobRecord {
  const { request, job, client } = run.plan;
  const { jobs } = run.services.db;
  if (request.verifyJobId !== undefined) {
    const record = jobs.get(request.verifyJobId);
    if (record?.type !== "B" || (record.status !== "T" && record.status !== "W"))
      throw new BackupError("NOT_FOUND", `JobId ${request.verifyJobId} is not a finished backup`);
    return record;
  }
  const name = request.verifyJob ?? job.verifyJob;
  const whose = name === undefined ? { client: need(client, "Client").name } : { name };
  const [newest] = jobs.list({ ...whose, type: "B", status: ["T", "W"], order: "desc", limit: 1 });
  if (newest !== undefined) return newest;
  const what = name === undefined ? `client "${need(client, "Client").name}"` : `job "${name}"`;
  throw new BackupError("NOT_FOUND", `${what} has no finished backup that could be verified`);
}

/** Client, FileSet and Storage are those of the run that is verified, as far as they are configured still. */
function useResourcesOf(run: JobRun, target: JobRecord): void {
  const { plan } = run.live;
  const { clients, fileSets, storages } = plan.config;
  const asked = plan.request;
  run.live.plan = {
    ...plan,
    client: (asked.client === undefined ? clients.get(target.client) : undefined) ?? plan.client,
    fileSet: (asked.fileSet === undefined ? fileSets.get(target.fileSet) : undefined) ?? plan.fileSet,
    storage: (asked.storage === undefined ? storages.get(target.storage) : undefined) ?? plan.storage,
  };
}

function ticketOf(run: JobRun, storage: string): string {
  return signTicket(
    {
      jobId: run.live.jobId,
      jobUuid: run.live.uuid,
      kind: "verify",
      director: run.plan.config.director.name,
      client: need(run.plan.client, "Client").name,
      storage,
      pool: "",
      expiresMs: nowMs() + TICKET_LIFE_MS,
    },
    run.services.ticketKey(),
  );
}

function storageRequest(run: JobRun, level: VerifyLevel, ticket: string): StorageVerify {
  const { live, plan } = run;
  const client = need(plan.client, "Client");
  return {
    jobId: live.jobId,
    jobUuid: live.uuid,
    jobName: plan.job.name,
    job: live.job,
    client: client.name,
    level,
    verified: run.verified?.jobId ?? 0,
    ticket,
    filedAddress: client.address,
    filedPort: client.port,
    filedTimeoutSec: plan.config.director.fdConnectTimeoutSec,
    fileSet: plan.fileSet?.name ?? "",
    fileSetDigest: plan.fileSet?.digest ?? "",
    pool: plan.pool?.name ?? "",
  };
}

/** The report of a Verify job that has ended, well or not. */
export function reportVerify(run: JobRun): string {
  const { live, plan } = run;
  const filed = run.filed.result;
  const storaged = run.storaged.result;
  const level = run.verified?.level ?? verifyLevelOf(plan);
  const onDisk = ON_DISK.includes(level);
  return verifyReport({
    director: plan.config.director.name,
    version: run.services.version,
    jobId: live.jobId,
    job: live.job,
    startMs: run.startMs,
    endMs: run.endMs,
    status: run.status,
    fileSet: plan.fileSet?.name ?? "",
    level,
    client: plan.client?.name ?? "",
    verifiedJobId: run.verified?.jobId ?? 0,
    verifiedJob: run.verified?.job ?? "",
    accurate: plan.accurate,
    filesExpected: onDisk ? undefined : storaged.filesExpected,
    filesExamined: onDisk ? filed.examined : storaged.examined,
    differences: filed.differences + storaged.differences,
    filedErrors: filed.errors + run.errors,
    storagedErrors: onDisk ? undefined : storaged.errors,
    filedStatus: run.filed.status,
    storagedStatus: run.storaged.status,
  });
}
