/** The runs that a bootstrap file means, and what of each. */

import { BackupError } from "../../common/errors.js";
import { type BootstrapBlock, isInRanges, type Range } from "./bootstrap.js";

/** A run of a catalog that can be restored. */
export interface KnownRun {
  jobId: number;
  jobName: string;
  job: string;
  client: string;
  startMs: number;
  /** Entries of its own list. */
  files: number;
  volumes: readonly string[];
  /** Of the session that wrote it, when the director knows it. */
  session: { id: number; time: number } | undefined;
}

export interface MeantRun<Run extends KnownRun> {
  run: Run;
  /** Undefined: all of it. */
  fileIndex: Range[] | undefined;
}

/**
 * Oldest first. A block with nothing but volumes means every run that lies there.
 * @throws BackupError BOOTSTRAP_INVALID when a block means nothing that is there
 */
export function meantRuns<Run extends KnownRun>(
  blocks: readonly BootstrapBlock[],
  runs: readonly Run[],
): MeantRun<Run>[] {
  const meant = new Map<number, MeantRun<Run>>();
  for (const block of blocks) {
    const found = runs.filter((run) => isMeant(block, run));
    if (found.length === 0)
      throw new BackupError("BOOTSTRAP_INVALID", `no run in the catalog fits ${wordsOf(block)}`);
    for (const run of found) {
      const before = meant.get(run.jobId);
      const { fileIndex } = block;
      const whole = fileIndex === undefined || (before !== undefined && before.fileIndex === undefined);
      const all = whole ? undefined : [...(before?.fileIndex ?? []), ...fileIndex];
      meant.set(run.jobId, { run, fileIndex: isWhole(all, run.files) ? undefined : all });
    }
  }
  return [...meant.values()].sort((a, b) => a.run.startMs - b.run.startMs || a.run.jobId - b.run.jobId);
}

function isWhole(ranges: readonly Range[] | undefined, files: number): boolean {
  return ranges?.some(([from, to]) => from <= 1 && to >= files) ?? true;
}

function isMeant(block: BootstrapBlock, run: KnownRun): boolean {
  if (!run.volumes.some((volume) => block.volumes.includes(volume))) return false;
  if (block.client !== undefined && block.client !== run.client) return false;
  if (block.job !== undefined && block.job !== run.jobName && block.job !== run.job) return false;
  // The number of a run outranks the session: a daemon counts its sessions anew at each start.
  if (block.jobIds !== undefined) return isInRanges(block.jobIds, run.jobId);
  if (block.sessionIds === undefined && block.sessionTimes === undefined) return true;
  const { session } = run;
  if (session === undefined) return false;
  return isInRanges(block.sessionIds, session.id) && isInRanges(block.sessionTimes, session.time);
}

function wordsOf({ volumes, jobIds, sessionIds, sessionTimes }: BootstrapBlock): string {
  const words = [`Volume "${volumes.join("|")}"`];
  const add = (name: string, ranges: readonly Range[] | undefined) => {
    if (ranges !== undefined) words.push(`${name}=${ranges.map((range) => range.join("-")).join(",")}`);
  };
  add("JobId", jobIds);
  add("VolSessionId", sessionIds);
  add("VolSessionTime", sessionTimes);
  return words.join(" ");
}
