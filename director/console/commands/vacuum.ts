/** `vacuum`: what lives is moved out of volumes that hold little of it, so that they can be recycled. */
import { formatBytes, parseSpeed } from "../../../common/units.js";
import { catalogVolumes, storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { follow } from "../retention/stream.js";
import { findVolume } from "../retention/volumes.js";

/** Share of live bytes below which a volume is worth the work, percent. */
const BELOW_PERCENT = 50;

const COLUMNS = ["MediaId", "VolumeName", "Pool", "VolStatus", "VolBytes", "LiveBytes", "Live"];

export const vacuum: Command = {
  name: "vacuum",
  summary: "Move live content out of nearly empty volumes",
  usage: ["vacuum [volume=NAME | pool=NAME] [below=PERCENT] [rate=SPEED] [storage=NAME] [dry]"],
  keywords: ["volume=", "pool=", "below=", "rate=", "storage=", "dry"],
  async run(context) {
    await context.useCatalog();
    const request = await requestOf(context);
    for (const storage of await storagesOf(context, request.volume)) {
      const result = await follow(context, storage, { method: "Vacuum", request });
      if (result?.ok !== true) {
        const why = result === undefined ? "the storage daemon ended without a result" : result.reason;
        return void (await context.fail(`Vacuum failed: ${why}`));
      }
      context.append("results", { storage, volumes: result.files, bytes: result.bytesStored });
      if (!request.dry) await context.say(`${storage}: ${formatBytes(result.bytesStored)} moved.`);
    }
    await shares(context, request);
  },
};

interface Request {
  pool: string;
  volume: string;
  belowPercent: number;
  bytesPerSec: number;
  dry: boolean;
}

async function requestOf(context: CommandContext): Promise<Request> {
  const { args, acl } = context;
  const pool = args.value("pool") ?? "";
  const volume = args.value("volume", "volumename") ?? "";
  if (pool !== "") context.require("pool", pool, "Pool");
  else if (volume === "" && !acl.grantsAll("pool")) context.require("pool", "*all*", "Pool");
  const below = /^(\d{1,3})%?$/.exec(args.value("below") ?? String(BELOW_PERCENT))?.[1];
  if (below === undefined || Number(below) > 100)
    return await context.fail(`below=${args.value("below")}: not a percentage from 0 to 100`);
  const rate = args.value("rate");
  const bytesPerSec = rate === undefined ? 0 : parseSpeed(rate);
  return { pool, volume, belowPercent: Number(below), bytesPerSec, dry: args.has("dry") };
}

async function storagesOf(context: CommandContext, volume: string): Promise<string[]> {
  const { args } = context;
  if (volume !== "") {
    const found = await findVolume(context, volume);
    if (found === undefined) return await context.fail(`Volume "${volume}" not found.`);
    return [found.storage];
  }
  const storage = args.value("storage", "sd");
  if (storage === undefined) return storageDaemons(context);
  context.require("storage", storage, "Storage");
  return [storage];
}

/** The volumes with their live share, as counted just now. */
async function shares(context: CommandContext, { pool, volume }: Request): Promise<void> {
  const volumes = await catalogVolumes(context, { pool, volume });
  const rows = volumes.map((each) => ({
    MediaId: each.mediaId,
    VolumeName: each.name,
    Pool: each.pool,
    VolStatus: each.status,
    VolBytes: each.bytes,
    LiveBytes: each.liveBytes < 0 ? null : each.liveBytes,
    Live:
      each.liveBytes < 0 || each.bytes === 0 ? null : `${Math.round((each.liveBytes * 100) / each.bytes)}%`,
  }));
  await context.records("volumes", COLUMNS, rows);
}
