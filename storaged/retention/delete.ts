/**
 * Deletes jobs so that no crash brings one back or takes another along: the catalog marks them first, then a delete
 * record is synced on every volume that holds an end record of one, then their lists go. Content stays until nobody
 * needs its volume any more.
 */

import { describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob } from "../catalog/types.js";
import type { RecordPlace } from "../catalog/writer-gone.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import type { ChangeRecord } from "../volume/records.js";
import { appendChange } from "./change-records.js";

export interface DeleterOptions {
  catalog: Catalog;
  desk: Pick<VolumeDesk, "withWriter" | "admin">;
  log: Log;
}

export interface Deleted {
  /** Names of volumes that nobody needs any more. */
  purgedVolumes: string[];
  /** What the administrator should know, such as a volume that could not be written. */
  warnings: string[];
}

/** Volumes that are purged by themselves once nobody needs them; one that is still appended to is not. */
const ENDED = new Set(["Full", "Used", "Error"]);

export class JobDeleter {
  readonly #options: DeleterOptions;

  constructor(options: DeleterOptions) {
    this.#options = options;
  }

  /**
   * Deletes finished jobs, all or none of them.
   * @throws BackupError JOBS_NEEDED when a kept or running job outside the set needs one; STORE_ codes when no
   * delete record could be written: then nothing has changed
   */
  async delete(jobs: readonly LocalJob[]): Promise<Deleted> {
    const { writer } = this.#options.catalog;
    if (jobs.length === 0) return { purgedVolumes: [], warnings: [] };
    await writer.doom([...jobs]);
    return this.#finish(jobs, true);
  }

  /** At start: goes on with what a former process began, and settles failed jobs that may seem to have ended well. */
  async resume(): Promise<Deleted> {
    const { writer } = this.#options.catalog;
    const warnings: string[] = [];
    for (const job of await writer.endedInVain()) warnings.push(...(await this.settle(job)));
    const doomed = await writer.doomed();
    const done = await this.#finish(doomed, false);
    await this.#options.desk.admin.settlePurged();
    return { purgedVolumes: done.purgedVolumes, warnings: [...warnings, ...done.warnings] };
  }

  /** Goes on with deletions that failed half-way, such as on a full disk. Never throws; gives warnings. */
  async finishDoomed(): Promise<string[]> {
    const doomed = await this.#options.catalog.writer.doomed();
    if (doomed.length === 0) return [];
    try {
      return (await this.#finish(doomed, false)).warnings;
    } catch (error) {
      return [`${doomed.length} jobs are still being deleted: ${describeError(error)}`];
    }
  }

  /** A failed job whose end record may lie on a volume: a delete record takes it back. Gives warnings. */
  async settle(job: LocalJob): Promise<string[]> {
    const { writer } = this.#options.catalog;
    const { warnings, failed } = await this.#writeRecords(await writer.recordPlaces([job]));
    if (failed === undefined) await writer.endSettled(job);
    return failed === undefined ? warnings : [...warnings, describeError(failed)];
  }

  async #finish(jobs: readonly LocalJob[], undo: boolean): Promise<Deleted> {
    const { writer } = this.#options.catalog;
    const places = await writer.recordPlaces([...jobs]);
    const { warnings, failed, written } = await this.#writeRecords(places);
    if (failed !== undefined) {
      // Without a record anywhere the jobs are as they were; else the next start goes on.
      if (undo && !written) await writer.undoom([...jobs]);
      throw failed;
    }
    for (const job of jobs) while (!(await writer.bury(job))) await new Promise(setImmediate);
    return { purgedVolumes: jobs.length === 0 ? [] : await this.purgeUnneeded(), warnings };
  }

  async #writeRecords(
    places: readonly RecordPlace[],
  ): Promise<{ warnings: string[]; failed: unknown; written: boolean }> {
    const warnings: string[] = [];
    let written = false;
    const volumes = places.length === 0 ? [] : await this.#options.catalog.reader.listVolumes("", "");
    for (const place of places) {
      const volume = volumes.find(({ id }) => id === place.volume);
      if (volume === undefined) continue;
      try {
        const record: ChangeRecord = { op: "delete", timeMs: nowMs(), jobs: place.jobs };
        await appendChange(this.#options, volume, record, () => {
          written = true;
        });
      } catch (error) {
        if (!isOutOfReach(error)) return { warnings, failed: error, written };
        const text = `Volume "${volume.name}" could not be told that jobs on it were deleted: ${describeError(error)}`;
        warnings.push(`${text}; a scan of it would bring them back`);
      }
    }
    return { warnings, failed: undefined, written };
  }

  /** Marks the volumes that nobody needs as Purged and clears the catalog of them; gives their names. */
  async purgeUnneeded(): Promise<string[]> {
    const { catalog, desk } = this.#options;
    const purged: string[] = [];
    for (const volume of await catalog.reader.listVolumes("", "")) {
      if (!ENDED.has(volume.status) || volume.firstWrittenMs === 0) continue;
      if ((await desk.admin.purge(volume)).purged) purged.push(volume.name);
    }
    return purged;
  }
}

/** The volume is away or must not be written: the administrator's doing, which no retry changes. */
function isOutOfReach(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return [
    "STORE_NOT_FOUND",
    "STORE_DENIED",
    "VOLUME_READ_ONLY",
    "VOLUME_DAMAGED",
    "VOLUME_SHORT",
    "VOLUME_MISLABELED",
    // Of an autochanger: it is in no slot, or the changer does not get at it.
    "VOLUME_NOT_LOADED",
  ].includes(String(code));
}
