/** `truncate`, and `purge volume action=truncate`: files of purged volumes are cut down to their label. */
import type { VolumeListReply__Output } from "../../../proto/generated/basalt/v1/VolumeListReply.js";
import { callStorage, storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { deviceText, findVolume } from "../retention/volumes.js";

export const truncate: Command = {
  name: "truncate",
  summary: "Truncate purged volumes to their label",
  usage: ["truncate volume=NAME [storage=NAME]", "truncate pool=NAME | allpools [storage=NAME]"],
  keywords: ["volume=", "pool=", "allpools", "storage=", "drive="],
  async run(context) {
    await context.useCatalog();
    await truncateVolumes(context);
  },
};

/** Which volumes, at which daemons. */
interface Target {
  storage: string;
  request: { volume: string; pool: string; allPools: boolean; device: string };
}

/** Truncates what the keywords name. Only volumes in status Purged whose ActionOnPurge is Truncate are. */
export async function truncateVolumes(context: CommandContext): Promise<void> {
  let count = 0;
  for (const { storage, request } of await targets(context)) {
    const caller = await callStorage(context, storage);
    const reply = await caller.unary<VolumeListReply__Output>("Storaged", "Truncate", request, {
      signal: context.signal,
    });
    count += reply.volumes.length;
    for (const volume of reply.volumes) {
      context.append("truncated", volume.name);
      const device = await deviceText(context, storage, volume.device);
      await context.say(`3000 OK label. VolBytes=${volume.bytes} Volume="${volume.name}" Device=${device}`);
      await context.say(`The volume "${volume.name}" has been truncated`);
    }
    for (const line of reply.errors) await context.say(line);
    count += reply.errors.length;
  }
  if (count === 0) await context.fail("No Volumes found to perform the command.");
}

async function targets(context: CommandContext): Promise<Target[]> {
  const { args, config } = context;
  const storage = args.value("storage", "sd");
  if (storage !== undefined) {
    context.require("storage", storage, "Storage");
    if (!config.storages.has(storage)) return await context.fail(`Storage "${storage}" not found`);
  }
  const name = args.value("volume", "volumename");
  if (name !== undefined) {
    const volume = await findVolume(context, name);
    if (volume === undefined) return await context.fail(`Volume "${name}" not found.`);
    return [
      { storage: volume.storage, request: { volume: volume.name, pool: "", allPools: false, device: "" } },
    ];
  }
  const pool = args.value("pool");
  if (pool !== undefined) context.require("pool", pool, "Pool");
  else if (!context.acl.grantsAll("pool")) context.require("pool", "*all*", "Pool");
  const device = storage === undefined ? "" : config.storages.get(storage)!.device;
  const allPools = pool === undefined || args.has("allpools", "allfrompool");
  const request = { volume: "", pool: allPools ? "" : pool, allPools, device };
  return (storage === undefined ? storageDaemons(context) : [storage]).map((each) => ({
    storage: each,
    request,
  }));
}
