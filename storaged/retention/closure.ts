/** What may go when some runs stay: pure. A list stays while a staying run lies over it. */

import type { LocalJob, StoredLevel } from "../catalog/types.js";

/** A run as planning sees it: kept, failed or running. */
export interface PlanJob {
  id: LocalJob;
  /** The director's number. */
  jobId: number;
  /** Unique name. */
  job: string;
  jobName: string;
  client: string;
  fileSet: string;
  level: StoredLevel;
  /** B backup, C copy, I incomplete backup, and others. */
  type: string;
  /** R running; T and W ended well; others failed. */
  status: string;
  pool: string;
  startMs: number;
  endMs: number;
  bytes: number;
  /** False when its file list is nowhere. */
  hasList: boolean;
  /** Its list is on its volumes only (File Retention). (Default: false) */
  listDropped?: boolean;
  /** Runs that its rows lie over, oldest first. */
  parents: readonly LocalJob[];
  /** Bases below it; only a run without parents has some. */
  bases: readonly LocalJob[];
  /** Numbers of volumes with frames of its own. */
  volumes: readonly number[];
  /** Numbers of volumes with content that its own rows name. */
  needs: readonly number[];
  /** JobId of a running job that works with its list without lying over it: it stays until that one has ended. */
  busy?: number;
}

/**
 * A run whose list is to lie over others than now: over `parent` with everything below that, or over Bases alone.
 * What it needed of `folds` becomes part of it, and runs above it lose those too.
 */
export interface Rebase {
  job: PlanJob;
  parent: LocalJob | undefined;
  bases: LocalJob[];
  folds: LocalJob[];
}

export interface Closure {
  going: ReadonlySet<LocalJob>;
  /** By run: the staying ones that lie over it, among those that could not go on without it. */
  neededBy: ReadonlyMap<LocalJob, readonly PlanJob[]>;
  /** Oldest first; to be done before anything goes. */
  rebases: readonly Rebase[];
}

export const isGood = ({ status }: Pick<PlanJob, "status">): boolean => status === "T" || status === "W";
/** Ended well, and whole: what a state can be restored from. An incomplete run is only there to be gone on with. */
export const isWhole = (job: Pick<PlanJob, "status" | "type">): boolean => isGood(job) && job.type !== "I";
export const isRunning = ({ status }: Pick<PlanJob, "status">): boolean => status === "R";

/** Which parents and Bases of a staying run are folded into it when they go, instead of staying. */
export interface Folding {
  parents: boolean;
  bases: boolean;
}

const STANDS = { parents: false, bases: false };

/**
 * Takes out of `wanted` (to go) what staying runs need. Running jobs and runs without a list are never folded.
 * The result is the largest subset of `wanted` that may go.
 */
export function close(
  jobs: readonly PlanJob[],
  wanted: ReadonlySet<LocalJob>,
  folding: (job: PlanJob) => Folding,
): Closure {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const going = new Set([...wanted].filter((id) => byId.has(id)));
  const neededBy = new Map<LocalJob, PlanJob[]>();
  const staying = jobs.filter((job) => !going.has(job.id) && (isGood(job) || isRunning(job)));
  const todo = [...staying];
  for (let job = todo.pop(); job !== undefined; job = todo.pop()) {
    const fold = isGood(job) && job.hasList ? folding(job) : STANDS;
    const bases = basesBelow(job, byId);
    const needs = [...(fold.parents ? [] : job.parents), ...(fold.bases ? [] : bases)];
    for (const id of needs) {
      const needed = byId.get(id);
      if (needed === undefined) continue;
      neededBy.set(id, [...(neededBy.get(id) ?? []), job]);
      if (going.delete(id)) {
        staying.push(needed);
        todo.push(needed);
      }
    }
  }
  return { going, neededBy, rebases: rebasesOf(staying, going, byId) };
}

/** Its own Bases, or those of the Full that it builds on. */
function basesBelow(job: PlanJob, byId: ReadonlyMap<LocalJob, PlanJob>): readonly LocalJob[] {
  const full = job.parents[0];
  return full === undefined ? job.bases : (byId.get(full)?.bases ?? []);
}

function rebasesOf(
  staying: readonly PlanJob[],
  going: ReadonlySet<LocalJob>,
  byId: ReadonlyMap<LocalJob, PlanJob>,
): Rebase[] {
  const rebases = new Map<LocalJob, Rebase>();
  for (const job of staying.filter((each) => !isRunning(each)).sort((a, b) => a.id - b.id)) {
    const folded = new Set(job.parents.flatMap((id) => rebases.get(id)?.folds ?? []));
    const folds = [...job.parents, ...job.bases].filter((id) => going.has(id) && !folded.has(id));
    if (folds.length === 0) continue;
    const parent = job.parents.findLast((id) => !going.has(id));
    // Over another run it reaches the Bases through that.
    const bases = parent === undefined ? basesBelow(job, byId).filter((id) => !going.has(id)) : [];
    rebases.set(job.id, { job, parent, bases, folds });
  }
  return [...rebases.values()];
}
