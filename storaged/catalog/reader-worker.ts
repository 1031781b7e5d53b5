/**
 * The thread that reads the catalog for lists and consoles, on a connection of its own. Long answers are handles
 * that are asked for one step after the other, so that no consumer holds up the others.
 */

import { parentPort, workerData } from "node:worker_threads";
import { BackupError } from "../../common/errors.js";
import { CopyQueries } from "./copy-queries.js";
import { Damage, MarkedBlocks } from "./damage.js";
import { Finder } from "./find.js";
import { KeptLists } from "./kept-lists.js";
import { LayerQueries, type Layers } from "./layers.js";
import { DifferenceBlocks } from "./list-difference.js";
import type { EntryQuery, FindQuery, SelectionRule } from "./listing-types.js";
import {
  type BlockSource,
  EntryPages,
  Lists,
  OverlayBlocks,
  SelectionCounter,
  VerbatimBlocks,
} from "./lists.js";
import { listPools, listVolumes } from "./pool-queries.js";
import { JobQueries } from "./queries.js";
import { Resolver } from "./resolve.js";
import { retentionJobs } from "./retention-queries.js";
import { RuleMatcher } from "./rules.js";
import { type Db, openForReading } from "./schema.js";
import type { JobListing, LocalJob, Splice } from "./types.js";
import { VerifyQueries } from "./verify-lists.js";
import { serveMade } from "./worker-rpc.js";

const COUNT_STEP_ROWS = 5000;

export interface SelectionCount {
  done: boolean;
  files: number;
  bytes: number;
  total: number;
}

/** What is being read, by handle. */
class Handles {
  readonly #open = new Map<number, unknown>();
  #next = 1;

  add(source: unknown): number {
    this.#open.set(this.#next, source);
    return this.#next++;
  }

  get<T>(handle: number): T {
    const source = this.#open.get(handle);
    if (source === undefined) throw new BackupError("HANDLE_CLOSED", "this list was closed");
    return source as T;
  }

  close(handle: number): void {
    this.#open.delete(handle);
  }
}

/** Methods of the reading thread; also used without a thread in tests. */
export function readerMethods(db: Db) {
  const lists = new Lists(db);
  const layers = new LayerQueries(db);
  const jobs = new JobQueries(db);
  const resolver = new Resolver(db);
  const copies = new CopyQueries(db);
  const handles = new Handles();
  const damage = new Damage(db);
  const verify = new VerifyQueries(db);
  const kept = new KeptLists(db);

  /** One JobId: its effective list; several: the layers themselves. */
  function layersOf(jobIds: readonly number[]): Layers {
    return jobIds.length === 1 ? layers.effective(layers.local(jobIds[0]!)) : layers.selection(jobIds);
  }

  /** Jobs to search, newest first. Dropped lists are read again only for jobs that are named. */
  function findable({ client, jobIds }: Pick<FindQuery, "client" | "jobIds">): JobListing[] {
    const listing = jobs.list({ jobIds, client, jobName: "", fileSet: "", beforeMs: 0, limit: 0 });
    return listing.filter(
      ({ status, listDropped }) => (status === "T" || status === "W") && (jobIds.length > 0 || !listDropped),
    );
  }

  /** What is looked up and the first blocks of what is opened are of one moment; cursors watch over the rest. */
  function opened(open: () => unknown): number {
    return handles.add(db.transaction(open)());
  }

  /** @throws BackupError LIST_REWRITTEN when a job does not lie over the same lists any more */
  function checkEffective(expected: readonly LocalJob[]): void {
    const [top] = expected;
    if (top === undefined || String(layers.effective(top).jobs) === String(expected)) return;
    const text = `the file list of JobId ${layers.jobIdOf(top)}, or one that it lay over, was rewritten (rebase) or deleted; do it again`;
    throw new BackupError("LIST_REWRITTEN", text, { retry: "now" });
  }

  return {
    open: () => undefined,
    resolve: resolver.resolve.bind(resolver),
    listJobs: jobs.list.bind(jobs),
    unknownJobs: jobs.unknownJobs.bind(jobs),
    extents: jobs.extents.bind(jobs),
    highestJobId: jobs.highestJobId.bind(jobs),
    retentionJobs: (after: LocalJob, limit: number) => retentionJobs(db, after, limit),
    chunkPlaces: jobs.chunkPlaces.bind(jobs),
    partsAfter: jobs.partsAfter.bind(jobs),
    effective: copies.effective.bind(copies),
    copiesOf: copies.copiesOf.bind(copies),
    volumesOf: copies.volumesOf.bind(copies),
    checkJob: copies.check.bind(copies),
    listsOf: kept.listsOf.bind(kept),
    listsToFind: (query: Pick<FindQuery, "client" | "jobIds">): LocalJob[] =>
      findable(query).map(({ id }) => id),
    droppedLists: kept.droppedLists.bind(kept),
    droppedOn: kept.droppedOn.bind(kept),
    jobsOver: kept.jobsOver.bind(kept),
    listFacts: kept.listFacts.bind(kept),
    closingFrames: kept.closingFrames.bind(kept),
    listPools: (name: string) => listPools(db, name),
    listVolumes: (pool: string, volume: string) => listVolumes(db, pool, volume),

    /**
     * Blocks of an overlay (`layers` top first); with `stateOf` the rows carry that run's state. `effective`: what the
     * first of these must still lie over, for callers whose job does not keep lists as they are.
     */
    openBlocks: (ids: LocalJob[], stateOf?: LocalJob, effective: LocalJob[] = [], splice?: Splice): number =>
      opened(() => {
        checkEffective(effective);
        const plain = ids.length === 1 && stateOf === undefined && splice === undefined;
        const source = plain
          ? new VerbatimBlocks(lists.rows, ids[0]!)
          : new OverlayBlocks(lists, ids, stateOf, splice);
        return damage.any ? new MarkedBlocks(source, damage) : source;
      }),
    /** The rows that make `wanted` out of `lower` (layers, top first), as blocks. */
    openDifference: (wanted: LocalJob[], lower: LocalJob[]): number =>
      opened(() => new DifferenceBlocks(lists.overlay(wanted), lists.overlay(lower))),
    /** A run's state stream as it is. */
    openStates: (job: LocalJob): number => handles.add(new VerbatimBlocks(lists.states, job)),
    nextBlock: (handle: number) => handles.get<BlockSource>(handle).next(),

    openEntries: (query: EntryQuery): number =>
      opened(() => {
        const { jobs: ids, firstBase } = query.ownRows
          ? { jobs: [layers.local(query.jobIds[0] ?? 0)], firstBase: 1 }
          : layersOf(query.jobIds);
        const numbers = ids.map((id) => layers.jobIdOf(id));
        return new EntryPages(lists, ids, numbers, firstBase, query);
      }),
    nextEntries: (handle: number) => handles.get<EntryPages>(handle).next(),

    openCount: (jobIds: number[], rules: SelectionRule[]): number =>
      opened(() => new SelectionCounter(lists, layers.selection(jobIds).jobs, new RuleMatcher(rules))),
    stepCount: (handle: number): SelectionCount => {
      const counter = handles.get<SelectionCounter>(handle);
      const done = counter.step(COUNT_STEP_ROWS);
      return { done, files: counter.files, bytes: counter.bytes, total: counter.total };
    },

    openFind: (query: FindQuery): number => handles.add(new Finder(lists, findable(query), query)),
    nextFind: (handle: number) => handles.get<Finder>(handle).next(),

    verified: verify.verified.bind(verify),
    newestInit: verify.newestInit.bind(verify),
    framesOf: verify.framesOf.bind(verify),
    recordVolumes: verify.recordVolumes.bind(verify),
    numberOf: verify.numberOf.bind(verify),

    closeHandle: (handle: number) => handles.close(handle),
    close: () => void db.close(),
  };
}
export type ReaderMethods = ReturnType<typeof readerMethods>;

if (parentPort !== null && (workerData as { readCatalog?: string } | null)?.readCatalog !== undefined) {
  const { readCatalog } = workerData as { readCatalog: string };
  serveMade(parentPort, () => readerMethods(openForReading(readCatalog)));
}
