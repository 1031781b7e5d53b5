/** What a run builds on: level upgrades, the chain below it, its Bases, the list that vouches for unread files. */

import { incompleteRun, isCommitted } from "./incomplete.js";
import { LayerQueries } from "./layers.js";
import type { Db } from "./schema.js";
import type { LocalJob, ResolvedParents, ResolveInput } from "./types.js";

interface Run {
  id: LocalJob;
  job_id: number;
  level: string;
  start_ms: number;
  file_set_digest: string;
}

const COLUMNS = "id, job_id, level, start_ms, file_set_digest";
/**
 * Runs count by the order of their starts: what began later saw a later state of the machine. A VirtualFull has the
 * start of its newest layer and outranks it; a migrated run keeps its place.
 */
const NEWEST = "status IN ('T', 'W') AND type = 'B' ORDER BY start_ms DESC, id DESC LIMIT 1";
const FULL = "level IN ('Full', 'VirtualFull')";

export class Resolver {
  readonly #db: Db;
  readonly #layers: LayerQueries;
  readonly #newestFull;
  readonly #newestRun;
  readonly #newestState;
  readonly #newestBase;

  constructor(db: Db) {
    this.#db = db;
    this.#layers = new LayerQueries(db);
    const own = "job_name = @jobName AND client = @client AND file_set = @fileSet";
    const query = (where: string) =>
      db.prepare<object, Run>(`SELECT ${COLUMNS} FROM job WHERE ${where} AND ${NEWEST}`);
    this.#newestFull = query(`${own} AND ${FULL}`);
    this.#newestRun = query(`${own} AND level <> 'Base'`);
    this.#newestState = query(`${own} AND has_state = 1`);
    this.#newestBase = query("job_name = @name AND level = 'Base'");
  }

  resolve(input: ResolveInput): ResolvedParents {
    const { jobName, client, fileSet } = input;
    const own = { jobName, client, fileSet };
    const ownNewest = this.#newestState.get(own)?.job_id ?? 0;
    const partial = input.level === "Incremental" || input.level === "Differential";
    const result: ResolvedParents = {
      level: input.level,
      upgraded: "",
      chain: [],
      bases: [],
      unresolvedBases: [],
      ownNewest,
      baseInForce: input.level === "Base" ? (this.#newestBase.get({ name: jobName })?.job_id ?? 0) : 0,
      sinceMs: 0,
      incompleteFiles: this.#incompleteFiles(input.resumeJobId ?? 0),
      committed: isCommitted(this.#db, { jobId: input.jobId ?? 0, job: input.job ?? "" }),
    };
    if (partial) {
      const full = this.#newestFull.get(own);
      if (full === undefined) result.upgraded = "no-prior-full";
      else if (full.file_set_digest !== input.fileSetDigest && !input.ignoreFileSetChanges) {
        result.upgraded = "fileset-changed";
      } else return { ...result, ...this.#below(input.level, own, full) };
      result.level = "Full";
    }
    // A Base stands on nothing: everything that a Full on it overlays is in its own rows.
    if (result.level !== "Base") this.#resolveBases(input, result);
    return result;
  }

  #incompleteFiles(jobId: number): number {
    return jobId > 0 ? (incompleteRun(this.#db, jobId)?.files ?? 0) : 0;
  }

  /** Chain of a Differential or Incremental on `full`. */
  #below(level: string, own: object, full: Run): Pick<ResolvedParents, "chain" | "bases" | "sinceMs"> {
    const newest = this.#newestRun.get(own) ?? full;
    const since = level === "Differential" ? full : newest;
    // The newest run's own chain is what its rows were written against; a Full has none.
    const chain = [...this.#layers.chainOf(since.id), since.id];
    return {
      chain: chain.map((job) => this.#layers.jobIdOf(job)),
      bases: this.#layers.basesOf(full.id).map((job) => this.#layers.jobIdOf(job)),
      sinceMs: since.start_ms,
    };
  }

  #resolveBases(input: ResolveInput, result: ResolvedParents): void {
    const { jobName, client, fileSet } = input;
    const ownFull = this.#newestFull.get({ jobName, client, fileSet }) !== undefined;
    for (const name of input.base) {
      const base = this.#newestBase.get({ name });
      if (base !== undefined) {
        if (!result.bases.includes(base.job_id)) result.bases.push(base.job_id);
      } else if (!result.unresolvedBases.includes(name) && !(name === input.jobName && ownFull)) {
        // A job that names itself is content with its Full: that vouches as its own list, without a layer of its own.
        result.unresolvedBases.push(name);
      }
    }
  }
}
