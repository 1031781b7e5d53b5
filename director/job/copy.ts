/**
 * Jobs of type Copy and Migrate. One run works on one backup job; a run that chooses several starts one more run for
 * each of the others. The storage daemon of the Next Pool writes; it fetches from the one that has the original.
 */

import { randomUUID } from "node:crypto";
import { BackupError } from "../../common/errors.js";
import { signTicket } from "../../common/ticket.js";
import { baculaTime, nowMs } from "../../common/time.js";
import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { StorageCopy } from "../../proto/generated/basalt/v1/StorageCopy.js";
import type { VolumeList__Output as VolumeList } from "../../proto/generated/basalt/v1/VolumeList.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { StorageResource } from "../config/types.js";
import type { JobRecord } from "../db/records.js";
import { TICKET_LIFE_MS } from "./backup.js";
import { type CopyEnds, isOriginal, jobsAt } from "./copy-ends.js";
import { checkDependants, dropMigrated } from "./copy-originals.js";
import { copyWords, NO_COPY } from "./copy-report.js";
import { selectJobs } from "./copy-select.js";
import { runBeforeHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import { Pair } from "./pair.js";
import { nextPoolOf } from "./plan.js";
import { levelLetter } from "./register.js";
import type { RunRequest } from "./request.js";
import { connectStoraged, daemonName, need } from "./resources.js";
import { Side } from "./side.js";

/** Carries the run up to its end. @throws BackupError for what fails before the storage daemons work */
export async function runCopy(run: JobRun): Promise<void> {
  const { live, plan } = run;
  const { doing, verb } = copyWords(plan.job.type);
  run.copied = NO_COPY;
  run.info(`Start ${doing} JobId ${live.jobId}, Job=${live.job}`);
  await runBeforeHooks(run);
  const source = await connectStoraged(run);
  const ends = await connectEnds(run, source);
  const chosen = plan.request.jobIds ?? (await choose(run, ends));
  const [mine, ...others] = chosen;
  if (mine === undefined) {
    run.info(`No JobIds found to ${verb}.`);
    run.copied = { ...run.copied, nothing: true };
    return;
  }
  live.worksOn = mine;
  await startOthers(run, chosen, others);
  await copyOne(run, ends, mine, plan.request.copySet ?? chosen);
}

async function connectEnds(run: JobRun, source: RpcChannel): Promise<CopyEnds> {
  const { plan } = run;
  const next = nextPoolOf(plan);
  const pool = need(plan.pool, "Pool");
  if (next === undefined)
    throw new BackupError("USAGE", `No Next Pool specification found in Pool "${pool.name}".`);
  const read = need(plan.storage, "Storage");
  const named = next.resource.storage;
  const write = named === undefined ? read : plan.config.storages.get(named);
  if (write === undefined) throw new BackupError("NOT_FOUND", `Storage "${named}" not found`);
  run.copied = {
    ...NO_COPY,
    ...{ writePool: next.resource.name, writePoolOrigin: next.origin, writeStorage: write.name },
    writeStorageOrigin: named === undefined ? plan.origins.storage : "Next Pool resource",
  };
  const target = write === read ? source : await connectWriter(run, write);
  const here = daemonName(target) === daemonName(source);
  if (here && next.resource.name === pool.name)
    throw new BackupError("USAGE", `Pool "${pool.name}" is its own Next Pool: nothing to do.`);
  return { read, write, pool: next.resource, source, target, here };
}

async function connectWriter(run: JobRun, write: StorageResource): Promise<RpcChannel> {
  run.state(`is waiting on Storage "${write.name}"`);
  const channel = await run.services.daemons.connectStoraged(write, {
    signal: run.live.signal,
    timeoutMs: run.plan.config.director.sdConnectTimeoutSec * 1000,
    onRetry: (warning) => run.services.messages.emit(run.source, "warning", warning),
  });
  run.state("is running");
  return channel;
}

async function choose(run: JobRun, { source, target }: CopyEnds): Promise<number[]> {
  const { plan } = run;
  const jobs = await jobsAt(source);
  const { volumes } = await source.unary<VolumeList>("Storaged", "ListVolumes", {});
  const elsewhere = target === source ? [] : await jobsAt(target);
  const good = [...jobs, ...elsewhere].filter(({ status }) => status === "T" || status === "W");
  const copied = new Set(good.map(({ copyOf }) => copyOf));
  const listed = plan.job.selectionType === "SqlQuery" ? await listedBySql(run) : [];
  const from = { jobs, volumes, copied, nowMs: nowMs(), listed };
  return selectJobs(plan.job, need(plan.pool, "Pool"), from);
}

/** JobIds that the statement in the Selection Pattern gives in its first column. @throws BackupError USAGE, SQL_FAILED */
async function listedBySql(run: JobRun): Promise<number[]> {
  const { name, selectionPattern = "" } = run.plan.job;
  if (selectionPattern.trim() === "")
    throw new BackupError(
      "USAGE",
      `Job "${name}": Selection Type SQLQuery needs a statement as Selection Pattern.`,
    );
  return await run.services.selectJobIds(selectionPattern);
}

/** One run for each further job, in order: what a job lies over is copied before it. */
async function startOthers(run: JobRun, chosen: readonly number[], others: readonly number[]): Promise<void> {
  const { plan, live } = run;
  const { doing, done } = copyWords(plan.job.type);
  if (plan.request.copySet !== undefined) return;
  run.info(`The following ${chosen.length} JobIds were chosen to be ${done}: ${chosen.join(",")}`);
  for (const jobId of others) {
    live.signal.throwIfAborted();
    const { whenMs, jobIds, ...same } = plan.request;
    const request: RunRequest = { ...same, jobIds: [jobId], copySet: [...chosen] };
    const queued = await run.services.runJob(request);
    run.info(`Job queued. JobId=${queued}`);
    run.info(`${doing} JobId ${queued} started.`);
  }
}

async function copyOne(run: JobRun, ends: CopyEnds, jobId: number, set: readonly number[]): Promise<void> {
  const migrate = run.plan.job.type === "Migrate";
  const listed = await originalOf(ends, jobId);
  run.copied = { ...run.copied!, original: listed };
  run.info(`${copyWords(run.plan.job.type).doing} using JobId=${jobId} Job=${listed.job}`);
  await waitForParents(run, lowerOf(listed));
  // What it lies over may have been migrated meanwhile.
  const original = await originalOf(ends, jobId);
  const lower = lowerOf(original);
  if (migrate && !ends.here) await checkDependants(ends, original, set);
  const below = lower.length === 0 ? [] : await jobsAt(ends.source, lower);
  const parents = lower.flatMap((id) => below.find((job) => job.jobId === id && isGood(job)) ?? []);
  const record = newRecord(run, ends, original);
  run.copied = { ...run.copied, newJobId: record.jobId };
  try {
    await work(run, ends, { original, parents, record });
  } finally {
    settleRecord(run, record, original);
  }
  if (!run.storaged.result.ok || !migrate) return;
  run.services.db.jobs.update(jobId, { type: "M" });
  if (!ends.here) await dropMigrated(run, ends, set);
}

const isGood = ({ status }: CatalogJob): boolean => status === "T" || status === "W";

/** @throws BackupError NOT_FOUND */
async function originalOf({ source, read }: CopyEnds, jobId: number): Promise<CatalogJob> {
  const original = (await jobsAt(source, [jobId])).find(isOriginal);
  if (original !== undefined) return original;
  throw new BackupError("NOT_FOUND", `JobId ${jobId} is not a finished backup of Storage "${read.name}"`);
}

/** JobIds of what a job's rows lie over. */
const lowerOf = ({ chain, bases }: CatalogJob): number[] => (chain.length > 0 ? chain : bases);

/** Runs that copy what this one's original lies over come first, so that the copy can lie over theirs. */
async function waitForParents(run: JobRun, parents: readonly number[]): Promise<void> {
  const { queue } = run.services;
  for (const other of queue.list()) {
    const sooner = other.jobId < run.live.jobId && other.state === "running";
    if (!sooner || other.plan.job.name !== run.plan.job.name || !parents.includes(other.worksOn)) continue;
    run.state(`is waiting on JobId ${other.jobId}`);
    await queue.waitJob(other.jobId, run.live.signal);
  }
  run.state("is running");
}

/** The record of the new backup job, which has a JobId of its own. */
function newRecord(run: JobRun, ends: CopyEnds, original: CatalogJob): JobRecord {
  const { plan } = run;
  const { jobs } = run.services.db;
  const time = baculaTime(nowMs()).replace(" ", "_").replaceAll(":", ".");
  const record = jobs.create(
    {
      ...{ uuid: randomUUID(), name: original.jobName, type: plan.job.type === "Copy" ? "C" : "B" },
      level: levelLetter(original.level),
      ...{ client: original.client, fileSet: original.fileSet, pool: ends.pool.name },
      ...{ storage: ends.write.name, priority: plan.priority, schedMs: original.scheduledMs || plan.whenMs },
      ...{ comment: original.comment, request: "" },
    },
    (attempt) =>
      `${original.jobName}.${time}_${String(attempt % 100).padStart(2, "0")}${attempt < 100 ? "" : `_${attempt}`}`,
  );
  jobs.update(record.jobId, { status: "R", startMs: original.startMs, priorJobId: original.jobId });
  return record;
}

function settleRecord(run: JobRun, record: JobRecord, original: CatalogJob): void {
  const { result } = run.storaged;
  const { files, bytes, bytesStored: storedBytes, volSessionId, volSessionTime } = result;
  const status = result.ok ? (original.status === "W" ? "W" : "T") : run.live.canceled ? "A" : "E";
  run.services.db.jobs.update(record.jobId, {
    ...{ status, endMs: result.ok ? original.endMs : nowMs(), reason: run.reason },
    ...{ files, bytes, storedBytes, volumes: [...result.volumes], volSessionId, volSessionTime },
    errors: result.ok ? 0 : 1,
    baseJobIds: [...original.bases],
  });
}

interface CopyWork {
  original: CatalogJob;
  parents: CatalogJob[];
  record: JobRecord;
}

async function work(run: JobRun, ends: CopyEnds, { original, parents, record }: CopyWork): Promise<void> {
  const [from, to] = [daemonName(ends.source), daemonName(ends.target)];
  const { jobId, uuid: jobUuid, job } = record;
  const ticket = signTicket(
    {
      ...{ jobId, jobUuid, kind: "copy", director: run.plan.config.director.name },
      ...{ client: original.client, storage: to, from, pool: ends.pool.name },
      expiresMs: nowMs() + TICKET_LIFE_MS,
    },
    run.services.ticketKey(),
  );
  const pair = new Pair(run);
  const cancelUuid = jobUuid;
  if (!ends.here) {
    const request = { jobId, jobUuid, original: original.jobId, ticket, to, job };
    const side = { run, role: "storaged" as const, name: from, channel: ends.source, cancelUuid };
    const offer = pair.add(new Side({ ...side, method: "OfferCopy", request }));
    if (!(await offer.ready) || pair.failure !== undefined) return pair.finish();
  }
  const request: StorageCopy = {
    ...{
      jobId,
      jobUuid,
      jobName: original.jobName,
      job,
      pool: ends.pool.name,
      device: ends.write.device,
      ticket,
    },
    ...{
      migrate: run.plan.job.type === "Migrate",
      scheduledMs: original.scheduledMs,
      comment: original.comment,
    },
    ...{ original: original.jobId, originalUuid: original.uuid, originalJob: original, parents },
    ...(ends.here ? {} : { fromName: from, fromAddress: ends.read.address, fromPort: ends.read.port }),
  };
  pair.add(
    new Side({
      ...{ run, role: "storaged", name: to, channel: ends.target, method: "StartCopy", request, cancelUuid },
      onState: pair.onState.bind(pair),
    }),
  );
  await pair.finish();
}
