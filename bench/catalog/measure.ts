import { readFileSync } from "node:fs";
import type { Catalog } from "../../storaged/catalog/catalog.js";
import { type Fleet, keysOf } from "./generate.js";

export interface Figure {
  what: string;
  value: string;
}

const REPEAT = 30;
/** Milliseconds of each call, and what they are like. */
export class Times {
  readonly #all: number[] = [];

  async of<T>(work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.#all.push(performance.now() - started);
    }
  }

  toString(): string {
    const sorted = this.#all.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
    return `median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms (${sorted.length} calls)`;
  }
}

export async function measureAlone(catalog: Catalog, fleet: Fleet): Promise<Figure[]> {
  const figures: Figure[] = [{ what: "memory before", value: memory() }];
  const time = async (
    what: string,
    work: (i: number) => Promise<unknown>,
    repeat = REPEAT,
  ): Promise<void> => {
    const times = new Times();
    for (let i = 0; i < repeat; i++) await times.of(() => work(i));
    figures.push({ what, value: `${times}` });
    console.error(`  ${what}: ${times}`);
  };
  const newest = await newestRuns(catalog);
  await time("a directory of 500 in a restore tree", (i) =>
    listDirectory(catalog, newest[i % newest.length]!, pick(fleet, i)),
  );
  await time("a file by its whole path, one client", (i) =>
    find(catalog, `vm-${machine(i, fleet)}-fd`, pathOf(pick(fleet, i)), true),
  );
  await time(
    "files by a pattern, one client",
    (i) => find(catalog, `vm-${machine(i, fleet)}-fd`, "f0123", false),
    3,
  );
  await time("the last 20 jobs", () => listJobs(catalog, 20));
  await time("all jobs", () => listJobs(catalog, 0), 5);
  await time("first block of an accurate compare", (i) => startCompare(catalog, newest[i % newest.length]!));
  figures.push({ what: "memory after", value: memory() });
  await time(
    "deleting an Incremental",
    (i) => deleteNewest(catalog, newest[i]!),
    Math.min(10, newest.length),
  );
  figures.push({ what: "memory at the end", value: memory() });
  return figures;
}

export async function newestRuns(catalog: Catalog): Promise<number[]> {
  const none = { jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0 };
  // All of them: a catalog that was measured before holds newer runs of other machines.
  const all = await catalog.listJobs({ ...none, limit: 0 });
  const byMachine = new Map<string, number>();
  for (const { jobName, jobId, status } of all)
    if (status === "T" && jobName.startsWith("vm-") && !byMachine.has(jobName)) byMachine.set(jobName, jobId);
  return [...byMachine.values()];
}

export const pick = (fleet: Fleet, i: number): number => (i * 104_729) % fleet.entries;
const machine = (i: number, fleet: Fleet): string => String(i % fleet.machines).padStart(3, "0");
const pathOf = (i: number): string => `/${keysOf(i).file.replaceAll("\0", "/")}`;

export async function listDirectory(catalog: Catalog, jobId: number, entry: number): Promise<number> {
  const { reader } = catalog;
  const range = { directory: keysOf(entry).directory, children: true, after: undefined, limit: 0 };
  const handle = await reader.openEntries({
    ...{ jobIds: [jobId], ownRows: false, deleted: false, rules: [], baseOnly: false },
    ...range,
  });
  let count = 0;
  for await (const page of catalog.pages(handle, reader.nextEntries)) count += page.length;
  if (count === 0) throw new Error("the directory is empty");
  return count;
}

async function find(catalog: Catalog, client: string, pattern: string, exact: boolean): Promise<number> {
  const { reader } = catalog;
  const handle = await reader.openFind({ client, pattern, exact, jobIds: [], limit: 0 });
  let count = 0;
  for await (const page of catalog.pages(handle, reader.nextFind)) count += page.length;
  return count;
}

const EVERY_JOB = { jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };

export function listJobs(catalog: Catalog, limit: number) {
  return catalog.listJobs({ ...EVERY_JOB, limit });
}

async function startCompare(catalog: Catalog, jobId: number): Promise<void> {
  const [job] = await catalog.reader.listJobs({ ...EVERY_JOB, jobIds: [jobId], limit: 1 });
  const locals = await catalog.reader.listJobs({ ...EVERY_JOB, jobIds: job!.chain });
  for await (const block of catalog.blocks([job!.id, ...locals.map(({ id }) => id)])) {
    if (block.length > 0) return;
  }
}

async function deleteNewest(catalog: Catalog, jobId: number): Promise<void> {
  const [job] = await catalog.reader.listJobs({ ...EVERY_JOB, jobIds: [jobId], limit: 1 });
  await catalog.writer.doom([job!.id]);
  while (!(await catalog.writer.bury(job!.id)));
}

/** Resident memory of this process: both threads of the catalog are in it. */
export function memory(): string {
  const status = readFileSync("/proc/self/status", "latin1");
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
  return `${Math.round(process.memoryUsage().rss / 1e6)} MB (peak ${Math.round(peak / 1000)} MB)`;
}
