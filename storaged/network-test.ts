/** storaged's side of `status network`: calls a file daemon as for a backup and measures the line between both. */

import { BackupError } from "../common/errors.js";
import { monotonicMs } from "../common/time.js";
import { encodeJson } from "../proto/data/backup.js";
import {
  checkNetworkStart,
  MAX_TEST_PACKETS,
  NetworkKind,
  sendFiller,
  takeFiller,
  takeKind,
} from "../proto/data/network.js";
import type { NetworkTest__Output } from "../proto/generated/basalt/v1/NetworkTest.js";
import type { NetworkTestResult__Output } from "../proto/generated/basalt/v1/NetworkTestResult.js";
import type { DataStream } from "../proto/rpc.js";

/**
 * Runs one test over a stream that nothing was said on yet, and ends it; the caller closes the connection. An abort of
 * the signal breaks the stream. @throws BackupError REQUEST_INVALID, PROTOCOL_ERROR, or when the stream breaks
 */
export async function runNetworkTest(
  stream: DataStream,
  { ticket, bytes, packets }: Pick<NetworkTest__Output, "ticket" | "bytes" | "packets">,
  signal: AbortSignal,
): Promise<NetworkTestResult__Output> {
  if (!Number.isInteger(packets) || packets < 1 || packets > MAX_TEST_PACKETS)
    throw new BackupError("REQUEST_INVALID", `a network test takes 1 to ${MAX_TEST_PACKETS} packets`);
  const start = checkNetworkStart({ ticket, bytes });
  const stop = (): void => stream.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    const incoming = stream.incoming[Symbol.asyncIterator]();
    await stream.send(encodeJson(NetworkKind.start, start));
    // The first answer waits for the connection to be made.
    await pingOnce(stream, incoming);
    const writeMs = await timed(async () => {
      await stream.send(Buffer.of(NetworkKind.give));
      await takeFiller(incoming, bytes);
    });
    const readMs = await timed(async () => {
      await sendFiller(stream, bytes);
      await takeKind(incoming, NetworkKind.taken);
    });
    const trips: number[] = [];
    for (let trip = 0; trip < packets; trip++) trips.push(await timed(() => pingOnce(stream, incoming)));
    await stream.end();
    const packetsMs = trips.reduce((sum, each) => sum + each, 0);
    return { writeMs, readMs, packetsMs, shortestMs: Math.min(...trips), longestMs: Math.max(...trips) };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function pingOnce(stream: DataStream, incoming: AsyncIterator<Buffer>): Promise<void> {
  await stream.send(Buffer.of(NetworkKind.ping));
  await takeKind(incoming, NetworkKind.ping);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begun = monotonicMs();
  await work();
  return monotonicMs() - begun;
}
