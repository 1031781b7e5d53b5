/**
 * What follows a successful backup, in Bacula's words: the expired runs of its client, then the expired file lists.
 * Volumes are pruned by the storage daemon when it needs one. Whatever goes wrong here, the backup is done: it is told
 * in the job's log and nothing more.
 */

import { describeError } from "../../common/errors.js";
import { formatDuration } from "../../common/units.js";
import type { RetentionItem__Output } from "../../proto/generated/basalt/v1/RetentionItem.js";
import type { RetentionReply__Output } from "../../proto/generated/basalt/v1/RetentionReply.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { JobRecord } from "../db/records.js";
import type { JobRun } from "../job/job-run.js";
import { pruneAt } from "./prune.js";
import { forgetExpired } from "./records.js";
import { keepText, pruneRules, type Rules, ruleFor } from "./rules.js";

/** How long a prune may take that waits for another one. */
const PRUNE_MS = 60_000;

/** Prunes after `run`, when its job or its client asks for it. Never rejects. */
export async function autoPrune(run: JobRun): Promise<void> {
  const { client, job, storage } = run.plan;
  if (client === undefined || storage === undefined) return;
  const automatic = job.autoPrune ?? client.autoPrune;
  const kinds: ("jobs" | "files")[] = [];
  if (automatic || job.pruneJobs) kinds.push("jobs");
  if (automatic || job.pruneFiles) kinds.push("files");
  if (kinds.length === 0) return;
  try {
    const rules = pruneRules(run.plan.config);
    const caller = await daemonOf(run);
    // Asked at once: on a long line each answer takes its time, and the job is only over behind the last.
    const asked = kinds.map((kind) => ask(run, kind, { rules, caller }));
    const answers = await Promise.allSettled(asked);
    for (const [index, kind] of kinds.entries()) {
      const answer = answers[index]!;
      run.info(beginText(run, kind, rules));
      if (answer.status === "fulfilled") tell(run, kind, answer.value);
      else warn(run, answer.reason);
    }
    run.info("End auto prune.");
  } catch (error) {
    warn(run, error);
  }
  run.services.messages.flush();
}

function warn(run: JobRun, error: unknown): void {
  run.services.messages.emit(run.source, "warning", `Pruning failed: ${describeError(error)}`);
}

/** The daemon has just ended the job: it is not greeted again unless the configuration has changed. */
async function daemonOf(run: JobRun): Promise<RpcChannel> {
  const { daemons, shutdown } = run.services;
  const storage = run.plan.storage!;
  return daemons.greeted(storage) ?? (await daemons.connectStoraged(storage, { signal: shutdown }));
}

interface Pruned {
  reply: RetentionReply__Output;
  count: number;
}

async function ask(
  run: JobRun,
  kind: "jobs" | "files",
  { rules, caller }: { rules: Rules; caller: RpcChannel },
): Promise<Pruned> {
  const client = run.plan.client!.name;
  const { db, shutdown } = run.services;
  const around = { records: db.jobs, signal: shutdown, timeoutMs: PRUNE_MS };
  const [reply, gone] = await Promise.all([
    pruneAt(caller, { kind, rules, client }, around),
    kind === "jobs" ? forget(run, rules, caller) : [],
  ]);
  const word = kind === "jobs" ? "delete" : "files";
  const changed = reply.items.filter((item) => item.action === word).map((item) => item.jobId);
  return { reply, count: new Set([...changed, ...gone.map(({ jobId }) => jobId)]).size };
}

function forget(run: JobRun, rules: Rules, caller: RpcChannel): Promise<JobRecord[]> {
  const { db, daemons, shutdown } = run.services;
  const { config, storage, client } = run.plan;
  const storaged = async (name: string) =>
    name === storage!.name ? caller : daemons.storaged(name, { signal: shutdown });
  return forgetExpired({ config, records: db.jobs, storaged, rules, filter: { client: client!.name } });
}

function tell(run: JobRun, kind: "jobs" | "files", { reply, count }: Pruned): void {
  for (const item of reply.items) if (item.action === "rebase") run.info(consolidatedText(item));
  for (const volume of reply.purgedVolumes) run.info(markingText(volume));
  run.info(prunedText(kind, count, run.plan.client!.name));
}

function beginText(run: JobRun, kind: "jobs" | "files", rules: Rules): string {
  if (kind === "files") return "Begin pruning Files.";
  const names = {
    jobName: run.plan.job.name,
    client: run.plan.client?.name ?? "",
    pool: run.plan.pool?.name ?? "",
  };
  const rule = ruleFor(rules, names);
  const keep = rule?.keep ?? undefined;
  if (keep !== undefined) return `Begin pruning Jobs beyond Keep ${keepText(keep)}.`;
  const seconds = Number(rule?.jobRetention ?? 0);
  // Bacula's form, the blank before the full stop included.
  return `Begin pruning Jobs older than ${seconds === 0 ? "for ever" : formatDuration(seconds)} .`;
}

/** `Pruned 3 Jobs for client x from catalog.`, `No Files found to prune.` */
export function prunedText(kind: "jobs" | "files", count: number, client: string): string {
  if (count === 0) return kind === "jobs" ? "No Jobs found to prune." : "No Files found to prune.";
  const jobs = `${count} Job${count === 1 ? "" : "s"}`;
  const of = client === "" ? "" : ` for client ${client}`;
  return `Pruned ${kind === "jobs" ? "" : "Files from "}${jobs}${of} from catalog.`;
}

/** What is said of a run that took over what it needs of older ones. */
export function consolidatedText(item: RetentionItem__Output): string {
  return `Consolidated JobId ${item.jobId}: it needs no older run any more.`;
}

/** What is said of a volume that nothing needs any more. */
export function markingText(volume: string): string {
  return `There are no more Jobs associated with Volume "${volume}". Marking it purged.`;
}
