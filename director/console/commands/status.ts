/** `status` in all its forms. */
import { describeError } from "../../../common/errors.js";
import { storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { choose, RESOURCE, selectResource } from "../prompts.js";
import { clientStatus } from "../status/client.js";
import { directorStatus } from "../status/director.js";
import { networkStatus } from "../status/network.js";
import { scheduleStatus } from "../status/schedule.js";
import { storageStatus } from "../status/storage.js";

export const status: Command = {
  name: "status",
  summary: "Show the state of the director, a client, a storage daemon or the schedule",
  usage: [
    "status dir | client[=NAME] | storage[=NAME] | schedule [job=NAME] [days=N] | all",
    "status network client=NAME storage=NAME [bytes=SIZE] [rtt=N]",
  ],
  keywords: [
    ...["dir", "director", "client=", "storage=", "schedule", "network", "all", "days=", "job="],
    ...["bytes=", "rtt="],
  ],
  async run(context) {
    const { args, config } = context;
    if (args.has("network")) return await networkStatus(context);
    if (args.has("all")) return await allStatus(context);
    if (args.has("dir", "director")) return await directorStatus(context);
    if (args.has("schedule", "scheduled")) return await scheduleStatus(context);
    if (args.has("client", "fd")) {
      return await clientStatus(
        context,
        await selectResource(context, RESOURCE.client, config.clients.keys()),
      );
    }
    if (args.has("storage", "sd")) {
      return await storageStatus(
        context,
        await selectResource(context, RESOURCE.storage, config.storages.keys()),
      );
    }
    await ask(context);
  },
};

async function ask(context: CommandContext): Promise<void> {
  const items = ["Director", "Storage", "Client", "Scheduled", "Network", "All"];
  const heading = "Status available for:";
  const index = await choose(context, { heading, items, question: "Select daemon type for status" });
  const { config } = context;
  if (index === 0) await directorStatus(context);
  else if (index === 1) {
    await storageStatus(context, await selectResource(context, RESOURCE.storage, config.storages.keys()));
  } else if (index === 2) {
    await clientStatus(context, await selectResource(context, RESOURCE.client, config.clients.keys()));
  } else if (index === 3) await scheduleStatus(context);
  else if (index === 4) await networkStatus(context);
  else await allStatus(context);
}

/** Director, then every storage daemon and client; one that does not answer is told of, the others follow. */
async function allStatus(context: CommandContext): Promise<void> {
  await directorStatus(context);
  const each = async (names: Iterable<string>, show: (name: string) => Promise<void>) => {
    for (const name of names) {
      try {
        await show(name);
      } catch (error) {
        if (context.signal.aborted) throw error;
        await context.say(describeError(error));
      }
    }
  };
  const { acl, config } = context;
  await each(storageDaemons(context), (name) => storageStatus(context, name));
  await each(
    [...config.clients.keys()].filter((name) => acl.allowsClient(name)),
    (name) => clientStatus(context, name),
  );
}
