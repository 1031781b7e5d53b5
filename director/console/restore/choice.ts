/** The runs that a restore draws from. */
import { callStorage, levelOf, type StoredJob } from "../catalog.js";
import { idsOf, isFull } from "../chain.js";
import type { CommandContext } from "../context.js";
import { TreeView } from "../tree-view.js";

/** What a person wants by name, as typed. */
export interface Names {
  files: string[];
  directories: string[];
}

export interface Choice {
  /** Storage resource whose daemon holds all the runs. */
  storage: string;
  /** Client whose files they are. */
  client: string;
  /** Oldest first. */
  jobs: StoredJob[];
  /** Set when files were named: no tree then. */
  names: Names | undefined;
}

/** The files of a choice. */
export async function viewOf(context: CommandContext, choice: Choice): Promise<TreeView> {
  const [job, more] = choice.jobs;
  const partial = job !== undefined && more === undefined && !isFull(job) && levelOf(job) !== "B";
  return new TreeView(
    await callStorage(context, choice.storage),
    idsOf(choice.jobs),
    partial,
    context.signal,
  );
}

/**
 * Storage resource to restore from: `storage=`, else the one the runs went to, else the one they were found
 * through. All must be one daemon's.
 */
export async function storageOf(context: CommandContext, jobs: readonly StoredJob[]): Promise<string> {
  const { storages } = context.config;
  const at = (name: string): string => `${storages.get(name)?.address}:${storages.get(name)?.port}`;
  const found = jobs[0]!.storage;
  const other = jobs.find((job) => job.storage !== found);
  if (other !== undefined) {
    return await context.fail(
      `JobId ${jobs[0]!.jobId} lies in Storage "${found}" and JobId ${other.jobId} in "${other.storage}": restore them one by one.`,
    );
  }
  const given = context.args.value("storage", "sd");
  if (given !== undefined) {
    if (!storages.has(given)) return await context.fail(`Storage "${given}" not found`);
    if (at(given) === at(found)) return given;
    return await context.fail(`Storage "${given}" does not hold these jobs: they lie in "${found}".`);
  }
  const recorded = context.director.db.jobs.get(jobs.at(-1)!.jobId)?.storage ?? "";
  return storages.has(recorded) && at(recorded) === at(found) ? recorded : found;
}
