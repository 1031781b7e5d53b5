/** `update`: volumes, pools from their resources, slots, statistics, remarks of runs. */
import { nowMs } from "../../../common/time.js";
import { toPoolList } from "../../daemons/pools.js";
import { callStorage, storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { operateDevice, sayConnecting, selectDrive } from "../drives.js";
import { parseIdList } from "../grammar.js";
import { choose, RESOURCE, selectResource } from "../prompts.js";
import { visible } from "./list-jobs.js";
import { updateVolume, VOLUME_KEYWORDS } from "./update-volume.js";

const DAY_MS = 86_400_000;
/** Keywords that belong to `update volume` even when the word itself is missing. */
const OF_VOLUMES = ["volume", "volumename", "allfrompool", "fromallpools", "allfromallpools"];

export const update: Command = {
  name: "update",
  summary: "Update volumes, pools, slots or statistics",
  usage: [
    "update volume=NAME [volstatus=WORD] [volretention=TIME] [voluse=TIME] [maxvoljobs=N] [maxvolbytes=SIZE]",
    "       [recycle=yes|no] [slot=N] [inchanger=yes|no] [pool=NAME] [recyclepool=NAME] [enabled=yes|no]",
    "       [actiononpurge=truncate|none] [frompool]",
    "update volume=NAME   (a menu)",
    "update volume allfrompool=NAME | fromallpools",
    "update pool=NAME",
    "update slots [storage=NAME] [drive=N] [scan]",
    "update stats [days=N]",
    "update jobid=N comment=TEXT",
  ],
  keywords: [
    ...["volume=", ...VOLUME_KEYWORDS, "frompool", "allfrompool=", "fromallpools", "pool=", "slots", "scan"],
    ...["storage=", "stats", "days=", "jobid=", "comment="],
  ],
  async run(context) {
    await context.useCatalog();
    const { args } = context;
    if (args.has(...OF_VOLUMES)) return await updateVolume(context);
    if (args.has("pool")) return await updatePool(context);
    if (args.has("slots", "slot")) return await updateSlots(context);
    if (args.has("stats", "statistics")) return await updateStatistics(context);
    if (args.has("snap", "snapshot")) return await updateSnapshot(context);
    if (args.has("jobid")) return await updateJob(context);
    const items = [
      "Volume parameters",
      "Pool from resource",
      "Slots from autochanger",
      "Long term statistics",
      "Snapshot parameters",
    ];
    const heading = "Update choice:";
    const picked = await choose(context, { heading, items, question: "Choose catalog item to update" });
    await [updateVolume, updatePool, updateSlots, updateStatistics, updateSnapshot][picked]!(context);
  },
};

/** The pool's record in every storage daemon, from the resource; volumes keep their own limits. */
async function updatePool(context: CommandContext): Promise<void> {
  const { config, args } = context;
  const known = args.value("pool");
  const name = await selectResource(context, RESOURCE.pool, config.pools.keys());
  if (known === undefined) await context.say(`Pool: ${name}`);
  // All of them: the daemon takes the list as a whole.
  const list = toPoolList(context.whole.config);
  for (const storage of storageDaemons(context)) {
    const caller = await callStorage(context, storage);
    await caller.unary("Storaged", "SyncPools", list);
  }
  context.data.pool = name;
  await context.say("Pool DB record updated from resource.");
}

/** Which volume is in which slot of a changer, by barcodes or (scan) by the labels. */
async function updateSlots(context: CommandContext): Promise<void> {
  const { config, args } = context;
  const storage = await selectResource(context, RESOURCE.storage, config.storages.keys());
  const { device } = config.storages.get(storage)!;
  const drive = await selectDrive(context, storage);
  await sayConnecting(context, storage);
  const operation = args.has("scan") ? "update-scan" : "update";
  const reply = await operateDevice(context, storage, { operation, drive });
  const [first, ...lines] = reply.messages;
  if (first !== undefined) await context.say(first);
  context.data.slots = reply.slots;
  if (reply.ok) await context.say(`Device "${device}" has ${reply.slots} slots.`);
  for (const line of lines) await context.say(line);
  if (!reply.ok) return void (await context.fail(reply.error));
  if (reply.slots === 0) await context.say("No slots in changer to scan.");
}

/** Copies the figures of ended runs to where they outlive the runs. */
async function updateStatistics(context: CommandContext): Promise<void> {
  const days = context.args.value("days");
  if (days !== undefined && !/^\d{1,5}$/.test(days))
    return void (await context.fail(`Expected a positive integer, got: ${days}`));
  const count = context.director.db.history.update(nowMs() - Number(days ?? 0) * DAY_MS);
  context.data.updated = count;
  await context.say(`Updating ${count} job(s).`);
}

/** A job removes its snapshots when it ends, so that there is no record to change. */
async function updateSnapshot(context: CommandContext): Promise<void> {
  await context.say("No snapshots are kept: each job removes its own at its end.");
}

/** The remark of a run; everything else about it is history. */
async function updateJob(context: CommandContext): Promise<void> {
  const { args, director } = context;
  const ids = parseIdList(args.value("jobid") ?? "");
  if (ids === undefined)
    return void (await context.fail(`Expected a positive integer, got: ${args.value("jobid")}`));
  const records = visible(context, director.db.jobs.list({ jobIds: ids }));
  if (records.length === 0) return void (await context.fail(`JobId=${ids.join(",")} is not in the catalog.`));
  const comment = args.value("comment") ?? (await context.ask("Enter new Comment: "));
  for (const record of records) {
    director.db.jobs.update(record.jobId, { comment });
    await context.say(`New Comment of JobId=${record.jobId} is: ${comment}`);
  }
  context.data.jobIds = records.map((record) => record.jobId);
}
