/**
 * What follows a successful backup, in Bacula's words: the expired runs of its client, then the expired file lists.
 * Volumes are pruned by the storage daemon when it needs one. Whatever goes wrong here, the backup is done: it is told
 * in the job's log and nothing more.
 */

import { describeError } from "../../common/errors.js";
import { formatDuration } from "../../common/units.js";
import type { RetentionItem__Output } from "../../proto/generated/basalt/v1/RetentionItem.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { JobRun } from "../job/job-run.js";
import { pruneAt } from "./prune.js";
import { forgetExpired } from "./records.js";
import { keepText, pruneRules, type Rules, ruleFor } from "./rules.js";

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
    for (const kind of kinds) await pruneKind(run, kind, { rules, caller });
    run.info("End auto prune.");
  } catch (error) {
    run.services.messages.emit(run.source, "warning", `Pruning failed: ${describeError(error)}`);
  }
  run.services.messages.flush();
}

/** Asked for once: on a long line each Hello is a round trip that the job would wait for. */
function daemonOf(run: JobRun): Promise<RpcChannel> {
  const { daemons, shutdown } = run.services;
  return daemons.connectStoraged(run.plan.storage!, { signal: shutdown });
}

async function pruneKind(
  run: JobRun,
  kind: "jobs" | "files",
  { rules, caller }: { rules: Rules; caller: RpcChannel },
): Promise<void> {
  const client = run.plan.client!.name;
  const { db, daemons, shutdown } = run.services;
  const { config } = run.plan;
  run.info(beginText(run, kind, rules));
  const reply = await pruneAt(caller, { kind, rules, client }, { records: db.jobs, signal: shutdown });
  for (const item of reply.items) if (item.action === "rebase") run.info(consolidatedText(item));
  for (const volume of reply.purgedVolumes) run.info(markingText(volume));
  const word = kind === "jobs" ? "delete" : "files";
  let count = reply.items.filter((item) => item.action === word).length;
  if (kind === "jobs") {
    const own = run.plan.storage!.name;
    const storaged = async (name: string) =>
      name === own ? caller : daemons.storaged(name, { signal: shutdown });
    const gone = await forgetExpired({ config, records: db.jobs, storaged, rules, filter: { client } });
    count += gone.length;
  }
  run.info(prunedText(kind, count, client));
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
