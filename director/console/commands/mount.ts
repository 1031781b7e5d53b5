/** `mount`, `unmount`, `release`: drives of autochangers; a directory is always mounted. The answers are Bacula's. */
import { toPoolList } from "../../daemons/pools.js";
import { callStorage } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { operateDevice, sayConnecting, selectDrive, selectSlot } from "../drives.js";
import { RESOURCE, selectResource } from "../prompts.js";

type Operation = "mount" | "unmount" | "release";

function command(name: string, summary: string, operation: Operation): Command {
  return {
    name,
    summary,
    usage: [`${name} [storage=NAME] [slot=N] [drive=N]`],
    keywords: ["storage=", "slot=", "drive="],
    run: async (context) => void (await tell(context, operation)),
  };
}

/** Does it with the device of a storage, prints the answers, and gives the storage's name. */
async function tell(context: CommandContext, operation: Operation): Promise<string> {
  await context.useCatalog();
  const { storages } = context.config;
  const storage = await selectResource(context, RESOURCE.storage, storages.keys());
  const { device, autochanger } = storages.get(storage)!;
  const drive = await selectDrive(context, storage);
  const slot = operation === "unmount" ? 0 : await selectSlot(context, storage, "Enter autochanger slot: ");
  context.data.storage = storage;
  context.data.device = device;
  if (autochanger === true) await sayConnecting(context, storage);
  const reply = await operateDevice(context, storage, { operation, drive, slot });
  for (const line of reply.messages) await context.say(line);
  if (!reply.ok) await context.fail(reply.error);
  return storage;
}

/** Jobs that wait for a volume look for one again: that is what a mount is for. */
export const mount: Command = {
  ...command("mount", "Load a drive; jobs that wait for a volume look again", "mount"),
  async run(context) {
    const storage = await tell(context, "mount");
    const caller = await callStorage(context, storage);
    await caller.unary("Storaged", "SyncPools", toPoolList(context.whole.config));
  },
};
export const unmount = command("unmount", "Take a drive out of use until it is mounted", "unmount");
export const umount = command("umount", "The same as unmount", "unmount");
export const release = command("release", "Empty a drive", "release");

/** `automount on|off`: whether `label` asks for a mount of what it labelled. */
export const automount: Command = {
  name: "automount",
  summary: "Mount what label has labelled: on, off",
  usage: ["automount on", "automount off"],
  keywords: ["on", "off"],
  async run(context) {
    const words = "on/off";
    const given =
      context.args.list[0]?.key ?? (await context.ask(`Turn on or off? (${words}): `)).toLowerCase();
    if (given !== "on" && given !== "off")
      return void (await context.fail('automount takes one of these: "on", "off"'));
    context.state.automount = given === "on";
    context.data.automount = context.state.automount;
  },
};
