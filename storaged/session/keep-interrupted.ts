/**
 * Jobs in whose middle the storage daemon was killed, or its machine lost power: each is kept as far as its last
 * checkpoint, in the way of one that was stopped. Part of the start, behind the look at all volumes and before any job.
 */

import { BackupError, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { InterruptedJob } from "../catalog/checkpoint-types.js";
import type { JobExtent, LocalJob, VolumeRecord } from "../catalog/types.js";
import { JobVolumes } from "./job-volumes.js";
import { closeKept } from "./keep-incomplete.js";
import { Reporter } from "./reporter.js";
import type { VolumeDesk } from "./volume-desk.js";

export interface InterruptedDeps {
  catalog: Catalog;
  desk: VolumeDesk;
  log: Log;
  /** Name of this storage daemon. */
  storage: string;
}

/**
 * Frames behind the checkpoint may still lie between what other jobs have committed, with numbers from the checkpoint's
 * on. They are fewer than this: a checkpoint comes after 256 MiB, and a frame with its index has more than 16 bytes.
 */
const NUMBERS_LOST = 2 ** 24;

/** Statuses in which a volume is what the catalog says of it. */
const SOUND = new Set(["Append", "Full", "Used", "Archive"]);

/**
 * Takes away what the catalog has of them behind their checkpoints. It comes before any volume is looked at: a frame that
 * the catalog names may not have reached the disk.
 */
export async function trimInterrupted({ writer }: Pick<Catalog, "writer">): Promise<void> {
  for (const id of await writer.interrupted())
    while (!(await writer.trimInterrupted(id))) await new Promise(setImmediate);
}

/** Keeps what can be kept of each interrupted job, after `trimInterrupted`; what cannot has failed. Resolves to how many have. */
export async function keepInterrupted(deps: InterruptedDeps): Promise<number> {
  const { catalog, log } = deps;
  let failed = 0;
  for (const id of await catalog.writer.interrupted()) {
    try {
      const job = await catalog.writer.takeUp(id);
      const files = await keep(deps, job);
      const what = `JobId ${job.session.begin.jobId}, which was interrupted,`;
      log.warn(`${what} has been kept with ${files} files as an incomplete job`);
    } catch (error) {
      failed++;
      await fail(deps, id, describeError(error));
      log.warn("a job that was interrupted could not be kept: it has failed", { run: id, err: error });
    }
  }
  return failed;
}

async function keep(deps: InterruptedDeps, job: InterruptedJob): Promise<number> {
  const { catalog, desk, storage } = deps;
  const { begin, device, spread, bytesStored, frames, rawBytes } = job.session;
  if (job.earlierTo !== undefined && job.keptTo <= job.earlierTo)
    throw new BackupError(
      "JOB_FAILED",
      "the storage daemon ended before the job was further than the time before",
    );
  const before = { ...writtenBefore(job, await catalog.reader.listVolumes("", "")), bytesStored };
  const { signal } = new AbortController();
  // Nobody listens yet. What an operator would have to do is told when the job is run again.
  const reporter = new Reporter(async () => undefined);
  const { job: name, jobName, jobId, level, client } = begin;
  const facts = { job: name, jobName, jobId, level, client, storage };
  const volumes = new JobVolumes({
    ...{ desk, catalog, job: job.id, begin, before },
    acquire: { job: job.id, facts, pool: job.pool, device, spread, reporter, signal },
    firstSequence: frames + NUMBERS_LOST,
  });
  volumes.waitNoMore(new BackupError("JOB_FAILED", "no volume is there to write the end of the job to"));
  let failed = true;
  try {
    const closing = { job, volumes, begin, catalog, signal, marked: job.keptTo, rawBytes };
    const { files } = await closeKept(closing, () => undefined);
    failed = false;
    return files;
  } finally {
    await volumes.release(failed);
  }
}

/**
 * Where it lies. A volume that was found to be another one than the catalog knows, or to hold more, tells that the catalog
 * is older than the volumes: the job may have ended long ago, on volumes that this catalog does not know.
 * @throws BackupError JOB_FAILED
 */
function writtenBefore({ session }: InterruptedJob, known: readonly VolumeRecord[]) {
  const extents: JobExtent[] = [];
  const volumes: string[] = [];
  for (const extent of session.extents) {
    const volume = known.find(({ id }) => id === extent.volume);
    const status = volume?.status ?? "not in the catalog";
    if (volume === undefined || !SOUND.has(status)) {
      const name = volume === undefined ? "on which it lies" : `"${volume.name}", on which it lies,`;
      throw new BackupError("JOB_FAILED", `the Volume ${name} is ${status}`);
    }
    // Where nothing but its begin stood, that was cut off.
    if (extent.endOffset > volume.bytes) continue;
    extents.push(extent);
    volumes.push(volume.name);
  }
  return { extents, volumes };
}

async function fail({ catalog }: InterruptedDeps, job: LocalJob, reason: string): Promise<void> {
  await catalog.writer.fail(job, "E", reason, nowMs());
  while (!(await catalog.writer.clean(job))) await new Promise(setImmediate);
}
