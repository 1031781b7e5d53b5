/** The lists of the jobs against what the volumes hold: which files are lost, and what a job needs without the catalog's knowing. */

import type { VolumeRecord } from "../catalog/types.js";
import type { CheckRun } from "./check.js";
import { loadDropped } from "./dropped-lists.js";
import type { WalkStep } from "./list-walk.js";
import { NOWHERE } from "./types.js";

/** Files named for each job; the rest are counted. */
const FILES_PER_JOB = 20;

export class ListCheck {
  readonly #run: CheckRun;

  /** To be used when all bad frames are known. */
  constructor(run: CheckRun) {
    this.#run = run;
  }

  /** `all`: not only some volumes are checked. */
  async check(volumes: readonly VolumeRecord[], all: boolean): Promise<void> {
    const only = !all && volumes.length === 1 ? volumes[0]!.id : 0;
    const { deps, thread, signal } = this.#run;
    const bad = { volumes: await thread.badVolumes(), jobs: [...this.#run.badClosing] };
    for (const { text, jobIds } of await loadDropped(deps.catalog, bad, signal)) {
      await this.#run.find({ ...NOWHERE, kind: "damaged", text, jobIds });
      for (const jobId of jobIds) this.#affected(jobId);
    }
    await thread.openWalk(only);
    const names = new Map((await deps.catalog.reader.listVolumes("", "")).map(({ id, name }) => [id, name]));
    let files = 0;
    for (;;) {
      const step = await thread.stepWalk();
      if (step.job === undefined) return;
      signal.throwIfAborted();
      files = await this.#step(step, files, names);
    }
  }

  /** One step of a job's list; `files` lost so far. */
  async #step(step: WalkStep, files: number, names: ReadonlyMap<number, string>): Promise<number> {
    const { jobId, id } = step.job!;
    const { deps, options } = this.#run;
    const { repair } = options;
    const { writer } = deps.catalog;
    const at = { ...NOWHERE, jobIds: [jobId] };
    for (const text of step.garbled)
      await this.#run.find({ ...at, kind: "catalog", text: `JobId ${jobId}: ${text}` });
    const again = repair ? "stored again by the next backup that meets it" : "";
    let count = files;
    // Runs over this one show the file too, unless they replaced it.
    const over = step.lost.length === 0 ? [] : await deps.catalog.reader.jobsOver(id);
    const jobIds = [jobId, ...over.filter((other) => other !== jobId)];
    for (const { path, nowhere, chunks } of step.lost) {
      if (repair && chunks.length > 0)
        await writer.noteNowhere(chunks.map((chunk) => ({ ...chunk, job: id })));
      if (count++ >= FILES_PER_JOB) continue;
      const text = nowhere ? `JobId ${jobId}: content is on no volume` : `JobId ${jobId}: content is damaged`;
      await this.#run.find({
        ...at,
        jobIds,
        kind: nowhere ? "missing" : "damaged",
        text,
        path,
        repaired: again,
      });
    }
    if (step.garbled.length > 0 || count > 0) this.#affected(jobId);
    // Chunks that moved or were stored anew since the list was written: the job holds on to them from now on.
    if (step.needs.length > 0 && repair) await writer.addNeeds(step.needs);
    for (const { volume } of step.needs) {
      const text = `JobId ${jobId} needs Volume "${names.get(volume) ?? volume}", which the catalog did not know`;
      await this.#run.find({ ...at, kind: "catalog", text, repaired: repair ? "added to the catalog" : "" });
    }
    if (!step.last) return count;
    if (count > FILES_PER_JOB) {
      const text = `JobId ${jobId}: ${count - FILES_PER_JOB} more files are lost`;
      await this.#run.find({ ...at, jobIds, kind: "damaged", text, repaired: again });
    }
    return 0;
  }

  #affected(jobId: number): void {
    const { jobIds } = this.#run.summary;
    if (jobIds.at(-1) !== jobId && !jobIds.includes(jobId)) jobIds.push(jobId);
  }
}
