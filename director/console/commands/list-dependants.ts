/** `list dependants`: which runs need a run, or a volume. */
import { catalogJobs, isRestorable, levelOf, type StoredJob } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { listTime } from "../format.js";
import { parseIdList } from "../grammar.js";
import { findVolume } from "../retention/volumes.js";

const COLUMNS = ["JobId", "Name", "Client", "Level", "StartTime", "Needs", "As"];

/** Runs that need the runs of `jobid=` as parent or Base (also by way of others), or the content on `volume=`. */
export async function listDependants(context: CommandContext, long: boolean): Promise<void> {
  const volume = context.args.value("volume", "volumename");
  const jobs = (await catalogJobs(context, {})).filter(isRestorable);
  if (volume !== undefined) return await ofVolume(context, { jobs, name: volume, long });
  const text = context.args.value("jobid") ?? (await context.ask("Enter JobId(s), comma separated: "));
  const ids = parseIdList(text);
  if (ids === undefined) return void (await context.fail(`Expected a positive integer, got: ${text}`));
  const rows = jobs.flatMap((job) => {
    if (ids.includes(job.jobId)) return [];
    const parents = job.chain.filter((id) => ids.includes(id));
    const bases = job.bases.filter((id) => ids.includes(id));
    const row = (needs: readonly number[], as: string) =>
      needs.length === 0 ? [] : [rowOf(job, needs.join(","), as)];
    return [...row(parents, "parent"), ...row(bases, "Base")];
  });
  await context.records("dependants", COLUMNS, rows, long);
}

async function ofVolume(
  context: CommandContext,
  { jobs, name, long }: { jobs: readonly StoredJob[]; name: string; long: boolean },
): Promise<void> {
  const volume = await findVolume(context, name);
  if (volume === undefined) return void (await context.fail(`Volume "${name}" not found.`));
  const here = jobs.filter((job) => job.storage === volume.storage);
  const rows = here.flatMap((job) => {
    if (job.volumes.includes(volume.name)) return [rowOf(job, volume.name, "own data")];
    return job.needs.includes(volume.name) ? [rowOf(job, volume.name, "shared content")] : [];
  });
  await context.records("dependants", COLUMNS, rows, long);
}

function rowOf(job: StoredJob, needs: string, as: string) {
  return {
    JobId: job.jobId,
    Name: job.jobName,
    Client: job.client,
    Level: levelOf(job),
    StartTime: listTime(job.startMs),
    Needs: needs,
    As: as,
  };
}
