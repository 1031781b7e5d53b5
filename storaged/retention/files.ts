/** Lets file lists go that are wanted no more; the runs stay, and their lists come back when somebody needs them. */

import type { Catalog } from "../catalog/catalog.js";
import { isGood } from "./closure.js";
import { chosenBy, consideredBy, type PruneOrder, type PurgeOrder, type RetentionOutcome } from "./orders.js";
import type { Decision, PlanInput } from "./plan.js";
import { planFiles, planPurgeFiles } from "./plan-files.js";

/** Prune of kind `files`. @throws BackupError; what was done by then stands */
export async function pruneFiles(
  catalog: Catalog,
  input: PlanInput,
  order: PruneOrder,
  signal: AbortSignal,
): Promise<RetentionOutcome> {
  const outcome = outcomeOf(planFiles(input, consideredBy(order)));
  if (!order.dry) await dropAll(catalog, outcome, signal);
  return inOrder(outcome);
}

/**
 * Purge of the lists of these runs. Refused when none of them can go and one of them is needed; else those that are
 * needed stay, with the reason.
 * @throws as pruneFiles
 */
export async function purgeFiles(
  catalog: Catalog,
  order: PurgeOrder,
  signal: AbortSignal,
): Promise<RetentionOutcome> {
  const jobs = await catalog.retentionJobs();
  const [volume] = order.volume === "" ? [] : await catalog.reader.listVolumes("", order.volume);
  if (order.volume !== "" && volume === undefined) {
    const messages = [`Volume "${order.volume}" is not in the catalog.`];
    return { ...outcomeOf([]), refused: true, messages };
  }
  const chosen = jobs.filter(chosenBy(order, volume));
  const outcome = outcomeOf(planPurgeFiles(jobs, new Set(chosen.map(({ id }) => id))));
  for (const jobId of order.jobIds) {
    const job = chosen.find((one) => one.jobId === jobId && isGood(one));
    if (job === undefined) outcome.messages.push(`JobId ${jobId} has no file list on this storage.`);
    else if (job.listDropped === true) outcome.messages.push(`Files of JobId ${jobId} were purged before.`);
  }
  if (!order.dry) await dropAll(catalog, outcome, signal);
  inOrder(outcome);
  const stay = outcome.decisions.filter(({ action }) => action === "keep");
  if (stay.length > 0 && stay.length === outcome.decisions.length) {
    outcome.refused = true;
    outcome.decisions = stay.map((one) => ({ ...one, action: "refused", reason: reasonOf(one) }));
  } else {
    for (const one of stay)
      outcome.messages.push(`JobId ${one.job.jobId} keeps its file list: ${reasonOf(one)}.`);
  }
  return outcome;
}

const reasonOf = ({ reason }: Decision): string => reason.replace(/^kept: /, "");

function outcomeOf(decisions: Decision[]): RetentionOutcome {
  return { decisions, purgedVolumes: [], messages: [], refused: false, pruned: 0 };
}

/** Carries out the decisions, in their order; those that turn out to be impossible become `keep`. */
async function dropAll(catalog: Catalog, outcome: RetentionOutcome, signal: AbortSignal): Promise<void> {
  for (const [i, decision] of outcome.decisions.entries()) {
    if (decision.action !== "files") continue;
    signal.throwIfAborted();
    const { keeper } = catalog;
    const why =
      keeper === undefined ? "no list can be read again here" : await keeper.drop(decision.job.id, signal);
    if (why === undefined) outcome.pruned++;
    else outcome.decisions[i] = { ...decision, action: "keep", reason: `kept: ${why}` };
  }
}

/** Decisions in the order of the runs' numbers. */
function inOrder(outcome: RetentionOutcome): RetentionOutcome {
  outcome.decisions.sort((a, b) => a.job.id - b.job.id);
  return outcome;
}
