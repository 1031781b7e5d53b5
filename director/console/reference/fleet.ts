/** The machines of a configuration, their newest runs, and the Bases that their next Full would lie over. */

import { BackupError } from "../../../common/errors.js";
import type { JobResource } from "../../config/types.js";
import { catalogJob, catalogJobs, isRestorable, levelOf, type StoredJob } from "../catalog.js";
import { withoutCopies } from "../chain.js";
import type { CommandContext } from "../context.js";
import type { ListName, Skipped } from "./types.js";

export interface Machine extends ListName {
  /** Where its newest run lies. */
  storage: string;
  bases: ListName[];
  /** Names in its `Base` that stand for nothing here. */
  notes: string[];
}

export class Fleet {
  readonly #context: CommandContext;
  readonly #runs = new Map<string, StoredJob[]>();
  readonly skipped: Skipped[] = [];

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** Jobs that back machines up: those that make no Base. */
  get jobs(): JobResource[] {
    return [...this.#context.config.jobs.values()].filter(
      ({ type, level }) => type === "Backup" && level !== "Base",
    );
  }

  /** Names of jobs that may have made Bases. */
  get references(): string[] {
    const jobs = [...this.#context.config.jobs.values()];
    const makers = jobs.filter(({ type, level }) => type === "Backup" && level === "Base");
    return [...new Set([...makers.map(({ name }) => name), ...jobs.flatMap(({ base }) => base)])];
  }

  /** The jobs that `job=` (or `vm=`) and `client=` name; without either all. @throws BackupError NOT_FOUND */
  selected(): JobResource[] {
    const { args } = this.#context;
    const names = args.values("job", "jobname", "vm");
    const client = args.value("client", "fd");
    const known = this.jobs;
    for (const name of names) {
      if (known.some((job) => job.name === name)) continue;
      const other = this.#context.config.jobs.get(name);
      const why =
        other === undefined ? "not found" : other.level === "Base" ? "makes a Base itself" : "is no backup";
      throw new BackupError("NOT_FOUND", `Job "${name}" ${why}`);
    }
    if (client !== undefined && !this.#context.config.clients.has(client))
      throw new BackupError("NOT_FOUND", `Client "${client}" not found`);
    return known.filter(
      (job) =>
        (names.length === 0 || names.includes(job.name)) && (client === undefined || job.client === client),
    );
  }

  /** Undefined, and noted among the skipped ones, without a finished run. */
  async machine(job: JobResource): Promise<Machine | undefined> {
    const newest = newestOf(await this.#runsOf(job.name), (run) => levelOf(run) !== "B");
    if (newest === undefined) {
      this.skipped.push({ machine: job.name, reason: "no finished backup of it is in the catalog" });
      return undefined;
    }
    return await this.#over(newest, job.base);
  }

  /**
   * As it was in one of its runs, over what its job's `Base` stands for today.
   * @throws BackupError NOT_FOUND
   */
  async machineAt(jobId: number): Promise<Machine> {
    const run = await catalogJob(this.#context, jobId);
    const job = this.jobs.find(({ name }) => name === run.jobName);
    if (!isRestorable(run) || levelOf(run) === "B" || job === undefined)
      throw new BackupError(
        "NOT_FOUND",
        `JobId ${jobId} is no finished backup of a Job that lies over Bases`,
      );
    return await this.#over(run, job.base);
  }

  async #over({ jobName, jobId, storage }: StoredJob, names: readonly string[]): Promise<Machine> {
    const machine: Machine = { name: jobName, jobId, storage, bases: [], notes: [] };
    for (const name of names) {
      const base = await this.base(name, storage);
      if (base !== undefined) {
        if (!machine.bases.some(({ jobId }) => jobId === base.jobId)) machine.bases.push(base);
      } else if (name !== jobName) machine.notes.push(await this.#unresolved(name, storage));
    }
    return machine;
  }

  /** The newest Base run of a job at a storage: what its name stands for in `Base`. */
  async base(name: string, storage: string): Promise<ListName | undefined> {
    const isBase = (run: StoredJob): boolean =>
      levelOf(run) === "B" && run.type === "B" && run.storage === storage;
    const run = newestOf(await this.#runsOf(name), isBase);
    return run === undefined ? undefined : { name, jobId: run.jobId };
  }

  async #unresolved(name: string, storage: string): Promise<string> {
    const elsewhere = newestOf(await this.#runsOf(name), (run) => levelOf(run) === "B");
    const text = `Base "${name}" stands for no run on Storage "${storage}"`;
    if (elsewhere === undefined) return text;
    return `${text}: its newest one, JobId ${elsewhere.jobId}, is on Storage "${elsewhere.storage}"`;
  }

  async #runsOf(name: string): Promise<StoredJob[]> {
    let runs = this.#runs.get(name);
    if (runs === undefined) {
      const all = await catalogJobs(this.#context, { jobName: name });
      runs = withoutCopies(all, false).filter(
        (run) => isRestorable(run) && (run.type === "B" || run.type === "C"),
      );
      this.#runs.set(name, runs);
    }
    return runs;
  }
}

/** The one that began last. `runs` are in that order. */
function newestOf(runs: readonly StoredJob[], fits: (run: StoredJob) => boolean): StoredJob | undefined {
  return runs.findLast(fits);
}
