/**
 * Gives a finished job another list for the same tree, one that lies over fewer or other lists; on the writing
 * thread. The new list is stored beside the one in force (list-number.ts) until `commit` lets the two change places in
 * one small step; `clearOld` removes what does not count, before and after. For everybody else it is a job that runs,
 * with the negative number of its own.
 */

import { BackupError } from "../../common/errors.js";
import { LayerQueries } from "./layers.js";
import { listNumber, removeBlocks } from "./list-number.js";
import { type Db, durably } from "./schema.js";
import type { JobCounts, JobExtent, LocalJob, VolumeProgress } from "./types.js";
import { type Contexts, type JobContext, newContext } from "./writer-context.js";
import type { JobStore } from "./writer-jobs.js";
import type { Needs } from "./writer-needs.js";

export interface RewriteRequest {
  job: LocalJob;
  /** What the new list will lie over: a run (with everything below that), or Bases alone. */
  parent: LocalJob | undefined;
  bases: LocalJob[];
  /** Jobs whose rows become part of the list: runs above this one no longer lie over them. */
  folds: LocalJob[];
}

export interface BegunRewrite {
  /** Stands for the list that is being written wherever a job is asked for. */
  list: LocalJob;
  /** Layers, top first, of the tree as it is. */
  wanted: LocalJob[];
  /** Layers, top first, that the new rows lie over. */
  lower: LocalJob[];
  revision: number;
  level: string;
  pool: string;
  parentUuids: string[];
  baseUuids: string[];
}

export interface RewriteCommit extends RewriteRequest {
  extents: JobExtent[];
  volumes: VolumeProgress[];
}

export class RewriteStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #jobs: JobStore;
  readonly #needs: Needs;
  readonly #layers: LayerQueries;

  constructor(db: Db, contexts: Contexts, jobs: JobStore, needs: Needs) {
    this.#db = db;
    this.#contexts = contexts;
    this.#jobs = jobs;
    this.#needs = needs;
    this.#layers = new LayerQueries(db);
  }

  /**
   * Takes the next revision and opens an empty list. Nothing may be left beside the one in force: see `clearOld`.
   * @throws BackupError NOT_FOUND, JOB_IN_USE
   */
  begin(request: RewriteRequest): BegunRewrite {
    const { job, parent, bases, folds } = request;
    const facts = this.#facts(job);
    if (this.#contexts.running.has(-job)) throw inUse(facts.job_id, "its list is being rewritten already");
    const list = listNumber(this.#db, -job)!;
    if (this.#db.prepare("SELECT 1 FROM list_block WHERE job = ? LIMIT 1").get(list) !== undefined)
      throw inUse(facts.job_id, "an older one is still being removed");
    const revision = facts.revision + 1;
    // Whatever becomes of this attempt: an end record of it must never be newer than what a delete record names.
    durably(this.#db, () => {
      this.#db.prepare("UPDATE job SET revision = ?, list_old = 1 WHERE id = ?").run(revision, job);
      this.#db.prepare("DELETE FROM frame WHERE job = ?").run(-job);
    });
    const wanted = this.#layers.effective(job).jobs;
    const lower = parent === undefined ? [...bases] : this.#layers.effective(parent).jobs;
    this.#contexts.add(this.#context(job, list, facts, new Set([...wanted, ...lower])));
    const uuids = (jobs: readonly LocalJob[]): string[] => jobs.map((id) => this.#facts(id).uuid);
    const chain = parent === undefined ? [] : [...this.#layers.chainOf(parent), parent];
    const parentUuids = uuids(chain.filter((id) => !folds.includes(id)));
    return {
      list: -job,
      wanted,
      lower,
      revision,
      level: levelOf(facts.level, parent),
      pool: facts.pool_name,
      parentUuids,
      baseUuids: uuids(parent === undefined ? bases : this.#layers.basesOf(parent)),
    };
  }

  #facts(job: LocalJob) {
    const facts = this.#db
      .prepare<
        [number],
        {
          uuid: string;
          job_id: number;
          level: string;
          revision: number;
          pool: number;
          pool_name: string;
          client: string;
        }
      >(
        `SELECT j.uuid, j.job_id, j.level, j.revision, j.pool, j.client, p.name AS pool_name
         FROM job j JOIN pool p ON p.id = j.pool WHERE j.id = ? AND j.status IN ('T', 'W')`,
      )
      .get(job);
    if (facts === undefined) throw new BackupError("NOT_FOUND", "the job was deleted meanwhile");
    return facts;
  }

  #context(
    job: LocalJob,
    list: number,
    facts: { pool: number; client: string },
    layers: Set<LocalJob>,
  ): JobContext {
    const pools = this.#db.prepare<[], number>("SELECT id FROM pool").pluck().all();
    const client = this.#db.prepare<[number], string>("SELECT client FROM job WHERE id = ?").pluck();
    return newContext({
      id: -job,
      list,
      pool: facts.pool,
      client: facts.client,
      deduplicate: true,
      selfContained: false,
      earlier: new Set(),
      clientOnly: false,
      // Its rows name nothing but what the present lists name, wherever that lies.
      pools: new Set(pools),
      clients: new Set([
        ...[...layers].map((layer) => client.get(layer) ?? ""),
        ...this.#needs.drawsOf(layers).map((draw) => draw.client),
      ]),
      layers,
    });
  }

  counts(list: LocalJob): JobCounts {
    return this.#contexts.get(list).counts;
  }

  /**
   * Puts the new list in force, in one durable transaction; its closing frames and end record must have been synced.
   * The blocks of the old one stay until `clearOld` has removed them.
   * @throws BackupError JOB_IN_USE while a running job reads the old one: call again later; the list stays open
   */
  commit(request: RewriteCommit): void {
    const { job, parent, bases, folds } = request;
    const context = this.#contexts.get(-job);
    for (const other of this.#contexts.running.values()) {
      if (other !== context && other.layers.has(job)) {
        throw inUse(
          this.#layers.jobIdOf(job),
          `JobId ${this.#layers.jobIdOf(Math.abs(other.id))} works with its list`,
        );
      }
    }
    durably(this.#db, () => {
      const run = (sql: string, ...values: unknown[]): unknown => this.#db.prepare(sql).run(...values);
      run("UPDATE frame SET job = ? WHERE job = ?", job, -job);
      this.#relink(job, parent, bases, folds);
      this.#needs.record(job, context);
      const level = levelOf(this.#facts(job).level, parent);
      const { rows } = context.counts;
      run("UPDATE job SET level = ?, rows = ?, list_turn = list_turn + 1 WHERE id = ?", level, rows, job);
      const last = this.#db
        .prepare<[number], number | null>("SELECT max(ord) FROM job_volume WHERE job = ?")
        .pluck();
      this.#jobs.recordExtents(job, request.extents, (last.get(job) ?? -1) + 1);
      this.#jobs.progress(request.volumes);
    });
    this.#contexts.remove(-job);
    this.#contexts.hidden.delete(-job);
  }

  /** The job lies over other lists now; runs that lie over it lose the ones that became part of its own. */
  #relink(
    job: LocalJob,
    parent: LocalJob | undefined,
    bases: readonly LocalJob[],
    folds: readonly LocalJob[],
  ): void {
    const chain = parent === undefined ? [] : [...this.#layers.chainOf(parent), parent];
    const kept = chain.filter((id) => !folds.includes(id));
    this.#db.prepare("DELETE FROM job_parent WHERE job = ?").run(job);
    this.#db.prepare("DELETE FROM job_base WHERE job = ?").run(job);
    const insert = this.#db.prepare("INSERT INTO job_parent VALUES (?, ?, ?)");
    for (const [ord, id] of kept.entries()) insert.run(job, ord, id);
    const base = this.#db.prepare("INSERT INTO job_base VALUES (?, ?, ?, 'overlay')");
    if (kept.length === 0) for (const [ord, id] of bases.entries()) base.run(job, ord, id);
    const above = this.#db
      .prepare<[number], number>("SELECT job FROM job_parent WHERE parent = ?")
      .pluck()
      .all(job);
    const drop = this.#db.prepare("DELETE FROM job_parent WHERE job = ? AND parent = ?");
    for (const id of above) for (const folded of folds) drop.run(id, folded);
  }

  /** Gives the new list up; the old one stays in force. `clearOld` removes what was written. */
  abandon(list: LocalJob): void {
    this.#contexts.remove(list);
    this.#contexts.hidden.delete(list);
    this.#db.prepare("DELETE FROM frame WHERE job = ?").run(list);
  }

  /** At start: closing frames of attempts that never ended. */
  dropFrames(): void {
    this.#db.prepare("DELETE FROM frame WHERE job < 0").run();
  }

  /** Jobs beside whose lists blocks may lie that do not count. */
  oldLists(): LocalJob[] {
    return this.#db.prepare<[], number>("SELECT id FROM job WHERE list_old = 1 ORDER BY id").pluck().all();
  }

  /**
   * Removes a part of what lies beside the list in force, left by a rewrite that ended either way; true when nothing
   * is left. @throws BackupError JOB_IN_USE while a rewrite writes there
   */
  clearOld(job: LocalJob): boolean {
    if (this.#contexts.running.has(-job))
      throw inUse(this.#layers.jobIdOf(job), "its list is being rewritten already");
    return this.#db.transaction(() => {
      const marked = this.#db.prepare("SELECT 1 FROM job WHERE id = ? AND list_old = 1").get(job);
      if (marked === undefined) return true;
      if (!removeBlocks(this.#db, "list_block", listNumber(this.#db, -job)!)) return false;
      this.#db.prepare("UPDATE job SET list_old = 0 WHERE id = ?").run(job);
      return true;
    })();
  }
}

/** Without a run below it, a list is a Full's. */
function levelOf(level: string, parent: LocalJob | undefined): string {
  return parent === undefined && (level === "Incremental" || level === "Differential") ? "Full" : level;
}

function inUse(jobId: number, why: string): BackupError {
  return new BackupError("JOB_IN_USE", `the list of JobId ${jobId} cannot be rewritten now: ${why}`);
}
