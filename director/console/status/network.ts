/** `status network`: how long a client and a storage daemon take to answer the director. */
import type { CommandContext } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";

/** The fastest of so many answers counts: the first one may have to connect. */
const QUESTIONS = 5;

/** Asks both; a daemon that does not answer fails the command with its name. */
export async function networkStatus(context: CommandContext): Promise<void> {
  const { config, director } = context;
  const client = await selectResource(context, RESOURCE.client, config.clients.keys());
  const storage = await selectResource(context, RESOURCE.storage, config.storages.keys());
  const [at, to] = [config.clients.get(client)!, config.storages.get(storage)!];
  await context.say(`Connecting to Storage ${storage} at ${to.address}:${to.port}`);
  const storageMs = await fastest(() => director.daemons.storagedStatus(storage));
  await context.say(`Connecting to Client ${client} at ${at.address}:${at.port}`);
  const clientMs = await fastest(() => director.daemons.filedStatus(client));
  context.data.network = { client, clientMs, storage, storageMs };
  await context.say(`OK Storage ${storage} answers the director within ${storageMs.toFixed(1)} ms`);
  await context.say(`OK Client ${client} answers the director within ${clientMs.toFixed(1)} ms`);
  await context.say("====");
}

async function fastest(ask: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let number = 0; number < QUESTIONS; number++) {
    const start = performance.now();
    await ask();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
