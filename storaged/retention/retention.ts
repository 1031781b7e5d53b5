/**
 * Carries out what is planned: prune, purge, rebase. One at a time, so that what a plan was made of is still so when
 * it is carried out; what running jobs began meanwhile is checked again by the catalog, which has the last word.
 */

import { codeOf } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import { Reporter } from "../session/reporter.js";
import type { VolumeRetention } from "../session/room-maker.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import { calendarOf, type Zone } from "./calendar.js";
import { isGood, type PlanJob } from "./closure.js";
import type { JobDeleter } from "./delete.js";
import { pruneFiles, purgeFiles } from "./files.js";
import {
  chosenBy,
  consideredBy,
  goingOf,
  isOver,
  jobsText,
  keptText,
  type PruneOrder,
  type PurgeOrder,
  type RetentionOutcome,
  reasonsOf,
  refusedFor,
} from "./orders.js";
import { type Decision, type PlanInput, type PruneRule, planJobs, planVolumes } from "./plan.js";
import { planPurge } from "./plan-purge.js";
import { rebaseAlone, rebaseAway } from "./rebase.js";

export interface RetentionOptions {
  catalog: Catalog;
  desk: VolumeDesk;
  deleter: JobDeleter;
  /** Name of this storage daemon. */
  storage: () => string;
  log: Log;
}

/** How often a plan is made anew because a job that began meanwhile was in its way. */
const ATTEMPTS = 5;
const LOCAL_ZONE: Zone = { timeZone: "", utcOffsetMinutes: 0 };
/** Volumes that a prune by name may look at; without a name only those that are written to no more. */
const PRUNABLE: readonly string[] = ["Append", "Full", "Used"];
const ENDED: readonly string[] = ["Full", "Used"];

export class Retention implements VolumeRetention {
  readonly #options: RetentionOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  /** The rules and the zone that the director named last. */
  #rules: readonly PruneRule[] = [];
  #zone: Zone = LOCAL_ZONE;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Runs `work` while nothing is pruned, purged or rebased. It must not ask for that itself. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const result = this.#turn.then(work).finally(() => {
      this.#waiting--;
      this.#options.desk.wake();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** What pruning for a job that needs a volume goes by, until the director says otherwise. */
  setRules(rules: readonly PruneRule[], zone?: Zone): void {
    this.#rules = rules;
    if (zone !== undefined) this.#zone = zone;
  }

  /** @throws BackupError when nothing could be done; what was done by then stands */
  async prune(order: PruneOrder, signal: AbortSignal): Promise<RetentionOutcome> {
    this.setRules(order.rules, order.zone);
    // Each list is looked at by itself when it goes: reading many manifests must not keep jobs from getting room. What
    // was asked before is done first: there is nothing to read of a run that goes as a whole.
    if (order.kind === "files") {
      await this.#turn;
      return pruneFiles(this.#options.catalog, await this.#input(order), order, signal);
    }
    return this.exclusively(() => this.#prune(order, signal));
  }

  async #prune(order: PruneOrder, signal: AbortSignal): Promise<RetentionOutcome> {
    const stuck = order.dry ? [] : await this.#options.deleter.finishDoomed();
    const considered = consideredBy(order);
    const volumes = order.kind === "volume" ? await this.#expired(order) : undefined;
    const plan = (input: PlanInput) =>
      volumes === undefined
        ? planJobs(input, considered)
        : planVolumes(input, reasonsOf(volumes.over), considered);
    const outcome = await this.#carryOut(plan, order, order.dry, signal);
    outcome.messages.push(...stuck);
    if (volumes !== undefined) {
      outcome.messages.unshift(...volumes.messages);
      if (!order.dry) await this.#purgeVolumes(volumes.over, outcome);
    }
    return outcome;
  }

  async #input(order: Pick<PruneOrder, "rules" | "zone">): Promise<PlanInput> {
    const jobs = await this.#options.catalog.retentionJobs();
    return { jobs, rules: order.rules, nowMs: nowMs(), periodsOf: calendarOf(order.zone) };
  }

  async #expired({ pool, volume: name }: Pick<PruneOrder, "pool" | "volume">) {
    const volumes = await this.#options.catalog.reader.listVolumes(pool, name);
    const messages: string[] = [];
    if (name !== "" && volumes.length === 0) messages.push(`Volume "${name}" is not in the catalog.`);
    const over = volumes.filter((volume) => {
      if (!(name === "" ? ENDED : PRUNABLE).includes(volume.status)) {
        if (name !== "")
          messages.push(`Volume "${name}" has Volume status "${volume.status}" and cannot be pruned.`);
        return false;
      }
      if (isOver(volume)) return true;
      if (name !== "") messages.push(keptText(volume));
      return false;
    });
    return { over, messages };
  }

  /** Makes the plan and does it; jobs that turn out to be in use by a running one stay. */
  async #carryOut(
    plan: (input: PlanInput) => Decision[],
    order: Pick<PruneOrder, "rules" | "zone">,
    dry: boolean,
    signal: AbortSignal,
  ): Promise<RetentionOutcome> {
    const messages: string[] = [];
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const input = await this.#input(order);
      const decisions = await this.#withoutBusy(input, plan);
      const outcome = { decisions, purgedVolumes: [] as string[], messages, refused: false, pruned: 0 };
      if (dry) return outcome;
      try {
        await this.#do(decisions, outcome, signal);
        return outcome;
      } catch (error) {
        // A job that began meanwhile builds on one of them.
        if (codeOf(error) !== "JOBS_NEEDED" || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Makes the plan again without jobs that running ones use in other ways than as parents (lists that vouch). */
  async #withoutBusy(input: PlanInput, plan: (input: PlanInput) => Decision[]): Promise<Decision[]> {
    const busy = new Map<number, number>();
    for (;;) {
      const jobs = input.jobs.map((job) =>
        busy.has(job.jobId) ? { ...job, busy: busy.get(job.jobId)! } : job,
      );
      const decisions = plan({ ...input, jobs });
      const going = goingOf(decisions);
      const before = busy.size;
      for (const { how, needed, jobId } of await this.#options.catalog.writer.dependants(going)) {
        if (how === "running") busy.set(needed, jobId);
      }
      if (busy.size === before) return decisions;
    }
  }

  async #do(decisions: readonly Decision[], outcome: RetentionOutcome, signal: AbortSignal): Promise<void> {
    const going = goingOf(decisions);
    if (going.length === 0) return;
    if (decisions.some(({ rebase }) => rebase !== undefined)) {
      const reporter = new Reporter(async ({ message }) => {
        if (message?.text !== undefined) outcome.messages.push(message.text);
      });
      await rebaseAway(this.#rebaseOptions(reporter, signal), going);
    }
    const { purgedVolumes, warnings } = await this.#options.deleter.delete(going);
    outcome.purgedVolumes.push(...purgedVolumes);
    outcome.messages.push(...warnings);
    outcome.pruned += going.length;
  }

  #rebaseOptions(reporter: Reporter, signal: AbortSignal) {
    const { catalog, desk, storage } = this.#options;
    return { catalog, desk, storage: storage(), reporter, signal };
  }

  /** Those of the volumes that nobody needs any more become Purged; the others are told. */
  async #purgeVolumes(volumes: readonly VolumeRecord[], outcome: RetentionOutcome): Promise<void> {
    for (const volume of volumes) {
      if (outcome.purgedVolumes.includes(volume.name)) continue;
      const { purged, neededBy, running } = await this.#options.desk.admin.purge(volume);
      if (purged) outcome.purgedVolumes.push(volume.name);
      const who = neededBy.length > 0 ? jobsText(neededBy) : running ? "a running job" : "";
      if (who !== "") outcome.messages.push(`Volume "${volume.name}" stays: needed by ${who}.`);
    }
  }

  /** For a job that needs a volume. Skipped while anything else is done: the job looks again later. */
  async pruneExpired(volumes: readonly VolumeRecord[]): Promise<boolean> {
    if (this.#waiting > 0) return false;
    const over = volumes.filter(isOver);
    const order = { rules: this.#rules, zone: this.#zone };
    await this.exclusively(async () => {
      const plan = (input: PlanInput) => planVolumes(input, reasonsOf(over), () => true);
      const outcome = await this.#carryOut(plan, order, false, new AbortController().signal);
      await this.#purgeVolumes(over, outcome);
      for (const text of outcome.messages) this.#options.log.info(text);
    });
    return true;
  }

  /** Purge Oldest Volume. Skipped as `pruneExpired` is. */
  async purge(volume: VolumeRecord): Promise<boolean> {
    if (this.#waiting > 0) return false;
    const order = { jobIds: [], client: "", jobName: "", volume: volume.name, rebase: false, dry: false };
    const outcome = await this.purgeJobs(order, new AbortController().signal);
    for (const text of outcome.messages) this.#options.log.info(text);
    return true;
  }

  /** Removes exactly these jobs, or nothing at all. */
  purgeJobs(order: PurgeOrder, signal: AbortSignal): Promise<RetentionOutcome> {
    return this.exclusively(() => this.#purge(order, signal));
  }

  async #purge(order: PurgeOrder, signal: AbortSignal): Promise<RetentionOutcome> {
    const messages = order.dry ? [] : await this.#options.deleter.finishDoomed();
    const jobs = await this.#options.catalog.retentionJobs();
    const outcome: RetentionOutcome = {
      decisions: [],
      purgedVolumes: [],
      messages,
      refused: false,
      pruned: 0,
    };
    const [volume] =
      order.volume === "" ? [] : await this.#options.catalog.reader.listVolumes("", order.volume);
    if (order.volume !== "" && volume === undefined) {
      return { ...outcome, refused: true, messages: [`Volume "${order.volume}" is not in the catalog.`] };
    }
    const chosen = jobs.filter(chosenBy(order, volume));
    for (const jobId of order.jobIds) {
      if (!chosen.some((job) => job.jobId === jobId))
        messages.push(`JobId ${jobId} is not in the catalog of this storage.`);
    }
    const plan = planPurge(jobs, new Set(chosen.map(({ id }) => id)), order.rebase);
    const going = goingOf(plan.decisions);
    const busy = (await this.#options.catalog.writer.dependants(going)).filter(
      ({ how }) => how === "running",
    );
    outcome.decisions =
      busy.length === 0 ? plan.decisions : plan.decisions.map((each) => refusedFor(each, busy));
    outcome.refused = plan.refused || busy.length > 0;
    if (!outcome.refused && volume !== undefined && !order.rebase) this.#refuseContent(jobs, volume, outcome);
    if (outcome.refused || order.dry) return outcome;
    await this.#do(outcome.decisions, outcome, signal);
    if (volume !== undefined) await this.#purgeVolumes([volume], outcome);
    return outcome;
  }

  /** A volume with content of other jobs cannot be purged: all of it or nothing. */
  #refuseContent(jobs: readonly PlanJob[], volume: VolumeRecord, outcome: RetentionOutcome): void {
    const going = new Set(goingOf(outcome.decisions));
    const others = jobs.filter((job) => isGood(job) && !going.has(job.id) && job.needs.includes(volume.id));
    if (others.length === 0) return;
    const neededBy = others.map(({ jobId }) => jobId);
    const reason = `content on Volume "${volume.name}" is needed by ${jobsText(neededBy)}`;
    outcome.refused = true;
    outcome.messages.push(
      `Volume "${volume.name}" was not purged: ${reason}; "vacuum" moves it to other Volumes.`,
    );
    outcome.decisions = outcome.decisions.map(({ job }) => ({ job, action: "refused", reason, neededBy }));
  }

  /** Removes the lists of these jobs from the catalog; the jobs stay. */
  purgeFiles(order: PurgeOrder, signal: AbortSignal): Promise<RetentionOutcome> {
    return purgeFiles(this.#options.catalog, order, signal);
  }

  /** Lists of these jobs, by JobId, stand on their own afterwards. Gives the JobIds that were rewritten. */
  rebase(jobIds: readonly number[], reporter: Reporter, signal: AbortSignal): Promise<number[]> {
    return this.exclusively(async () => {
      const jobs = await this.#options.catalog.retentionJobs();
      const alone = jobs.filter((job) => isGood(job) && jobIds.includes(job.jobId));
      for (const jobId of jobIds) {
        if (alone.some((job) => job.jobId === jobId)) continue;
        await reporter.message("warning", `JobId ${jobId} is not a finished backup of this storage.`);
      }
      return rebaseAlone(
        this.#rebaseOptions(reporter, signal),
        alone.map(({ id }) => id),
      );
    });
  }
}
