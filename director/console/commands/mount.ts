/** `mount`, `unmount`, `release`: a directory is always mounted; the answers are Bacula's for that. */
import { toPoolList } from "../../daemons/pools.js";
import { callStorage } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";
import { deviceText } from "../retention/volumes.js";

function command(name: string, summary: string, answer: (device: string) => string): Command {
  return {
    name,
    summary,
    usage: [`${name} [storage=NAME] [slot=N] [drive=N]`],
    keywords: ["storage=", "slot=", "drive="],
    run: async (context) => void (await tell(context, answer)),
  };
}

/** Answers for the device of a storage, and gives the storage's name. */
async function tell(context: CommandContext, answer: (device: string) => string): Promise<string> {
  await context.useCatalog();
  const { storages } = context.config;
  const storage = await selectResource(context, RESOURCE.storage, storages.keys());
  const { device } = storages.get(storage)!;
  const text = await deviceText(context, storage, device);
  context.data.storage = storage;
  context.data.device = device;
  await context.say(answer(text));
  return storage;
}

const mounted = (device: string) => `3906 File device ${device} is always mounted.`;

/** Jobs that wait for a volume look for one again: that is what a mount is for. */
export const mount: Command = {
  ...command("mount", "Let jobs that wait for a volume look again (directories are always mounted)", mounted),
  async run(context) {
    const storage = await tell(context, mounted);
    const caller = await callStorage(context, storage);
    await caller.unary("Storaged", "SyncPools", toPoolList(context.whole.config));
  },
};
const unmounted = (device: string) => `3901 Device ${device} is already unmounted.`;
export const unmount = command("unmount", "Unmount a volume (directories never are)", unmounted);
export const umount = command("umount", "The same as unmount", unmounted);
export const release = command(
  "release",
  "Release a device (nothing holds one)",
  (device) => `3921 Device ${device} already released.`,
);
