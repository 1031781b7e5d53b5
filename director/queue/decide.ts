/**
 * Which waiting jobs may start now, as a pure function of the queue: limits of director, job, client and storage,
 * priorities, start times, and the longest allowed delay.
 *
 * Priorities as in Bacula: while jobs run, only jobs of the same priority join them; one of a smaller number
 * joins when it and all running jobs allow mixing. A job held back by its priority holds back all behind it.
 */

import { baculaTime } from "../../common/time.js";

export interface QueueItem {
  jobId: number;
  running: boolean;
  priority: number;
  allowMixedPriority: boolean;
  /** Start time, ms. */
  whenMs: number;
  /** 0: no limit. */
  maxStartDelaySec: number;
  /** From the start time to the end of the run; 0: no limit. (Default: 0) */
  maxRunSchedTimeSec?: number;
  job: string;
  jobLimit: number;
  /** "" and limit 0: the job needs none. */
  client: string;
  clientLimit: number;
  /** It reads disk images: of such jobs a client may have fewer at a time. (Default: no) */
  readsImages?: boolean;
  /** 0: no limit but that of all its jobs. (Default: 0) */
  clientImageLimit?: number;
  storage: string;
  storageLimit: number;
}

export type Decision =
  | { readonly kind: "start" }
  | { readonly kind: "wait"; readonly detail: string }
  | { readonly kind: "cancel"; readonly reason: string };

export const START_DELAY_EXCEEDED = "Job canceled because max start delay time exceeded.";

export const SCHED_TIME_EXCEEDED = "Job canceled because max run sched time exceeded.";

/** Jobs in use of each limited thing. */
class Usage {
  #total = 0;
  readonly #jobs = new Map<string, number>();
  readonly #clients = new Map<string, number>();
  readonly #imageClients = new Map<string, number>();
  readonly #storages = new Map<string, number>();

  add(item: QueueItem): void {
    this.#total += 1;
    count(this.#jobs, item.job);
    if (item.client !== "") count(this.#clients, item.client);
    if (item.readsImages === true) count(this.#imageClients, item.client);
    if (item.storage !== "") count(this.#storages, item.storage);
  }

  /** Why the item cannot run beside those counted, undefined when it can. */
  obstacle(item: QueueItem, directorLimit: number): string | undefined {
    if (full(directorLimit, this.#total)) return "is waiting on max total jobs";
    if (item.storage !== "" && full(item.storageLimit, this.#storages.get(item.storage)))
      return "is waiting on max Storage jobs";
    if (item.client !== "" && full(item.clientLimit, this.#clients.get(item.client)))
      return "is waiting on max Client jobs";
    if (item.readsImages === true && full(item.clientImageLimit ?? 0, this.#imageClients.get(item.client)))
      return "is waiting on max Client image jobs";
    if (full(item.jobLimit, this.#jobs.get(item.job))) return "is waiting on max Job jobs";
    return undefined;
  }
}

function count(map: Map<string, number>, name: string): void {
  map.set(name, (map.get(name) ?? 0) + 1);
}

function full(limit: number, used = 0): boolean {
  return limit > 0 && used >= limit;
}

const WAIT_PRIORITY: Decision = { kind: "wait", detail: "is waiting for higher priority jobs to finish" };

/** A decision for every item that does not run, in any order of items. Ties go to the lower JobId. */
export function decide(
  items: readonly QueueItem[],
  directorLimit: number,
  nowMs: number,
): Map<number, Decision> {
  const decisions = new Map<number, Decision>();
  const running = items.filter((item) => item.running);
  const due: QueueItem[] = [];
  for (const item of items) {
    if (item.running) continue;
    if (item.whenMs > nowMs) {
      const detail = `is waiting for its start time (${baculaTime(item.whenMs)})`;
      decisions.set(item.jobId, { kind: "wait", detail });
    } else if (isOver(item.maxStartDelaySec, item, nowMs)) {
      decisions.set(item.jobId, { kind: "cancel", reason: START_DELAY_EXCEEDED });
    } else if (isOver(item.maxRunSchedTimeSec, item, nowMs)) {
      decisions.set(item.jobId, { kind: "cancel", reason: SCHED_TIME_EXCEEDED });
    } else due.push(item);
  }
  due.sort((a, b) => a.priority - b.priority || a.jobId - b.jobId);
  const usage = new Usage();
  for (const item of running) usage.add(item);
  let priority = running.length === 0 ? due[0]?.priority : Math.min(...running.map((item) => item.priority));
  let mixing = running.every((item) => item.allowMixedPriority);
  let held = false;
  for (const item of due) {
    const fits =
      item.priority === priority || (item.priority < (priority ?? 0) && item.allowMixedPriority && mixing);
    if (held || !fits) {
      held = true;
      decisions.set(item.jobId, WAIT_PRIORITY);
      continue;
    }
    const obstacle = usage.obstacle(item, directorLimit);
    if (obstacle !== undefined) {
      decisions.set(item.jobId, { kind: "wait", detail: obstacle });
      continue;
    }
    usage.add(item);
    priority = item.priority;
    mixing &&= item.allowMixedPriority;
    decisions.set(item.jobId, { kind: "start" });
  }
  return decisions;
}

function isOver(limitSec = 0, { whenMs }: QueueItem, nowMs: number): boolean {
  return limitSec > 0 && nowMs - whenMs > limitSec * 1000;
}

/** When decisions can change by the clock alone: the next start time or exceeded delay, ms; undefined: never. */
export function nextChangeMs(items: readonly QueueItem[], nowMs: number): number | undefined {
  let next: number | undefined;
  for (const item of items) {
    if (item.running) continue;
    const limits = [item.maxStartDelaySec, item.maxRunSchedTimeSec ?? 0].filter((limit) => limit > 0);
    for (const at of [item.whenMs, ...limits.map((limit) => item.whenMs + limit * 1000 + 1)]) {
      if (at > nowMs && (next === undefined || at < next)) next = at;
    }
  }
  return next;
}
