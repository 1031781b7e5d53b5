/** `status network`: how fast the line between a client and a storage daemon is, each way, and how long a round trip takes. */
import { formatBytes, formatSpeed, parseSize } from "../../../common/units.js";
import { MAX_TEST_BYTES, MAX_TEST_PACKETS } from "../../../proto/data/network.js";
import type { CommandContext } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";

/** Bacula's defaults. */
const BYTES = 50 * 1024 * 1024;
const ROUND_TRIPS = 10;

/** A daemon that cannot be reached, or does not reach the other one, fails the command with its name. */
export async function networkStatus(context: CommandContext): Promise<void> {
  const { config, director, signal } = context;
  const bytes = await sizeOf(context);
  const packets = await countOf(context);
  const client = await selectResource(context, RESOURCE.client, config.clients.keys());
  const storage = await selectResource(context, RESOURCE.storage, config.storages.keys());
  const [at, to] = [config.clients.get(client)!, config.storages.get(storage)!];
  await context.say(`Connecting to Storage ${storage} at ${to.address}:${to.port}`);
  await context.say(`Connecting to Client ${client} at ${at.address}:${at.port}`);
  const load = `with ${formatBytes(bytes)} ...`;
  await context.say(`Running network test between Client=${client} and Storage=${storage} ${load}`);
  const found = await director.daemons.testNetwork(client, storage, { bytes, packets, signal });
  const { writeMs, readMs, packetsMs, shortestMs, longestMs } = found;
  context.data.network = {
    client,
    storage,
    bytes,
    writeMs,
    readMs,
    packets,
    packetsMs,
    shortestMs,
    longestMs,
  };
  const took = (ms: number): string => `duration=${Math.round(ms)}ms`;
  const speed = (ms: number): string => formatSpeed(bytes / Math.max(ms / 1000, 1e-6));
  const sent = `bytes=${bytes}`;
  await context.say(`2000 OK FD wrote ${sent} to SD ${took(writeMs)} write_speed=${speed(writeMs)}`);
  await context.say(`2000 OK FD read ${sent} from SD ${took(readMs)} read_speed=${speed(readMs)}`);
  const trip = `rtt=${(packetsMs / packets).toFixed(2)}ms min=${shortestMs.toFixed(2)}ms`;
  await context.say(`2000 OK packets=${packets} ${took(packetsMs)} ${trip} max=${longestMs.toFixed(2)}ms`);
}

async function sizeOf(context: CommandContext): Promise<number> {
  const given = context.args.value("bytes");
  const bytes = given === undefined ? BYTES : parseSize(given);
  if (bytes >= 1 && bytes <= MAX_TEST_BYTES) return bytes;
  return await context.fail(`bytes= takes a size from 1 to ${formatBytes(MAX_TEST_BYTES)}`);
}

async function countOf(context: CommandContext): Promise<number> {
  const given = context.args.value("rtt");
  const count = given === undefined ? ROUND_TRIPS : /^\d{1,6}$/.test(given) ? Number(given) : 0;
  if (count >= 1 && count <= MAX_TEST_PACKETS) return count;
  return await context.fail(`rtt= takes a number of round trips from 1 to ${MAX_TEST_PACKETS}`);
}
