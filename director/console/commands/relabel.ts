/** `relabel`: a purged volume begins anew under another name. */
import type { LabelReply__Output } from "../../../proto/generated/basalt/v1/LabelReply.js";
import { callStorage } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { deviceText, selectVolume } from "../retention/volumes.js";
import { validVolumeName } from "./label.js";

export const relabel: Command = {
  name: "relabel",
  summary: "Give a purged volume a new name and label",
  usage: ["relabel oldvolume=NAME volume=NAME [pool=NAME] [storage=NAME]"],
  keywords: ["oldvolume=", "volume=", "pool=", "storage=", "slot="],
  async run(context) {
    await context.useCatalog();
    const { args, config } = context;
    const old = await selectVolume(context, ["oldvolume"]);
    context.require("pool", old.pool, "Pool");
    if (old.status !== "Purged" && old.status !== "Recycle") {
      const rule = "It must be Purged or Recycled before relabeling.";
      return void (await context.fail(`Volume "${old.name}" has VolStatus ${old.status}. ${rule}`));
    }
    let name = args.value("volume", "volumename");
    const pool = args.value("pool") ?? old.pool;
    context.require("pool", pool, "Pool");
    const { address, port } = config.storages.get(old.storage)!;
    for (;;) {
      name = await validVolumeName(context, name);
      await context.say(`Connecting to Storage daemon ${old.storage} at ${address}:${port} ...`);
      await context.say(`Sending relabel command from "${old.name}" to "${name}" ...`);
      const caller = await callStorage(context, old.storage);
      const request = { volume: old.name, newName: name, pool };
      const reply = await caller.unary<LabelReply__Output>("Storaged", "Relabel", request, {
        signal: context.signal,
      });
      if (reply.ok) return await relabelled(context, { old: old.name, name, storage: old.storage, reply });
      if (!reply.exists)
        return void (await context.fail(`Relabel command failed for Volume ${old.name}: ${reply.error}`));
      await context.say(`Media record for new Volume "${name}" already exists.`);
      name = undefined;
    }
  },
};

async function relabelled(
  context: CommandContext,
  made: { old: string; name: string; storage: string; reply: LabelReply__Output },
): Promise<void> {
  const { old, name, storage, reply } = made;
  const device = await deviceText(context, storage, reply.device);
  context.data.volume = { name, old, bytes: reply.volumeBytes, device: reply.device };
  await context.say(`3000 OK label. VolBytes=${reply.volumeBytes} Volume="${name}" Device=${device}`);
  if (old !== name) await context.say(`Old volume "${old}" deleted from catalog.`);
  await context.say(`Catalog record for Volume "${name}", Slot 0  successfully created.`);
  await context.say(`Requesting to mount ${reply.device} ...`);
  await context.say(`3906 File device ${device} is always mounted.`);
}
