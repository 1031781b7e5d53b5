/** What a restore tells of the runs and volumes it uses. */
import type { StoredJob } from "../catalog.js";
import { catalogJobs, levelOf } from "../catalog.js";
import { idsOf } from "../chain.js";
import type { CommandContext } from "../context.js";
import { listTime } from "../format.js";
import type { Choice } from "./choice.js";

/** The table of runs used. */
export async function printRuns(context: CommandContext, jobs: readonly StoredJob[]): Promise<void> {
  const rows = jobs.flatMap((job) =>
    (job.volumes.length > 0 ? job.volumes : [""]).map((VolumeName) => ({
      JobId: job.jobId,
      Level: levelOf(job),
      JobFiles: job.files,
      JobBytes: job.bytes,
      StartTime: listTime(job.startMs),
      VolumeName,
    })),
  );
  await context.records("jobs", ["JobId", "Level", "JobFiles", "JobBytes", "StartTime", "VolumeName"], rows);
}

/** The line that names the runs used. */
export async function sayIds(context: CommandContext, jobs: readonly StoredJob[]): Promise<void> {
  const ids = idsOf(jobs);
  await context.say(`You have selected the following JobId${ids.length === 1 ? "" : "s"}: ${ids.join(",")}`);
}

/** The Bases that lie below. */
export async function printBases(context: CommandContext, choice: Choice): Promise<void> {
  const ids = [...new Set(choice.jobs.flatMap((job) => job.bases))];
  if (ids.length === 0) return;
  const found = new Map((await catalogJobs(context, { jobIds: ids })).map((job) => [job.jobId, job]));
  const rows = ids.map((id) => {
    const job = found.get(id);
    return {
      JobId: id,
      Name: job?.jobName ?? "",
      StartTime: listTime(job?.startMs ?? 0),
      JobFiles: job?.files ?? null,
    };
  });
  await context.say("The restore will use the following job(s) as Base");
  await context.records("bases", ["JobId", "Name", "StartTime", "JobFiles"], rows);
}

/** The volumes that will be read. */
export async function printVolumes(context: CommandContext, choice: Choice): Promise<void> {
  const bases = [...new Set(choice.jobs.flatMap((job) => job.bases))];
  const below = bases.length === 0 ? [] : await catalogJobs(context, { jobIds: bases });
  const volumes = [...new Set([...choice.jobs, ...below].flatMap((job) => job.volumes))].sort();
  context.data.volumes = volumes;
  const device = context.config.storages.get(choice.storage)?.device ?? "";
  const line = (volume: string) => `    ${volume.padEnd(25)} ${choice.storage.padEnd(25)} ${device}\n`;
  await context.print(
    "\nThe Job will require the following (*=>InChanger):\n" +
      `   ${"Volume(s)".padEnd(26)}${"Storage(s)".padEnd(26)}SD Device(s)\n${"=".repeat(75)}\n\n` +
      `${volumes.map(line).join("")}\nVolumes marked with "*" are in the Autochanger.\n\n`,
  );
}
