/** How a command comes to its volume: by keyword, else by pool and a list, as in Bacula. */
import { catalogPools, catalogVolumes, type StoredVolume } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { listTime } from "../format.js";
import { selectNamed } from "../prompts.js";

const COLUMNS = ["MediaId", "VolumeName", "VolStatus", "VolBytes", "VolJobs", "LastWritten", "Recycle"];

/** The volume with this name, or with this number as MediaId. */
export async function findVolume(context: CommandContext, text: string): Promise<StoredVolume | undefined> {
  const name = text.startsWith("*") ? "" : text;
  const named = name === "" ? [] : await catalogVolumes(context, { volume: name });
  const found = named.find((volume) => volume.name === name);
  const number = /^\*?(\d{1,9})$/.exec(text)?.[1];
  if (found !== undefined || number === undefined) return found;
  const all = await catalogVolumes(context, {});
  return all.find((volume) => volume.mediaId === Number(number));
}

/**
 * The volume of `volume=` (an unknown one ends the command), else one chosen from a pool's list.
 * @throws Abandoned
 */
export async function selectVolume(
  context: CommandContext,
  keywords: readonly string[] = ["volume", "volumename"],
): Promise<StoredVolume> {
  const given = context.args.value(...keywords);
  if (given !== undefined) {
    const found = await findVolume(context, given);
    return found ?? (await context.fail(`Volume "${given}" not found.`));
  }
  const pool = await selectPool(context);
  const volumes = (await catalogVolumes(context, { pool })).filter((volume) => volume.pool === pool);
  if (volumes.length === 0) return await context.fail(`No Volumes found in Pool "${pool}".`);
  await context.records("volumes", COLUMNS, volumes.map(volumeRow));
  for (;;) {
    const answer = await context.ask("Enter *MediaId or Volume name: ");
    const number = /^\*?(\d{1,9})$/.exec(answer)?.[1];
    const found =
      volumes.find((volume) => volume.name === answer) ??
      volumes.find((volume) => volume.mediaId === Number(number ?? 0));
    if (found !== undefined) return found;
    await context.say(`Volume "${answer}" not found.`);
  }
}

/** Pools come from the catalog, sorted by name; a single one is not asked for. */
export async function selectPool(context: CommandContext): Promise<string> {
  const pools = (await catalogPools(context)).map((pool) => pool.name);
  const names = pools.length > 0 ? pools : [...context.config.pools.keys()].sort();
  const words = { label: "Pool", heading: "Defined Pools:", question: "Select the Pool" };
  return await selectNamed(context, context.args.value("pool"), { ...words, names });
}

function volumeRow(volume: StoredVolume) {
  return {
    MediaId: volume.mediaId,
    VolumeName: volume.name,
    VolStatus: volume.status,
    VolBytes: volume.bytes,
    VolJobs: volume.jobs,
    LastWritten: listTime(volume.lastWrittenMs),
    Recycle: volume.recycle,
  };
}

/** `"FileStorage" (/srv/volumes)`: a device as Bacula's 3xxx lines name it. */
export async function deviceText(context: CommandContext, storage: string, device: string): Promise<string> {
  const { devices } = await context.director.daemons.storagedStatus(storage);
  return `"${device}" (${devices.find((each) => each.name === device)?.path ?? ""})`;
}
