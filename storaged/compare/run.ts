/** Carries out one comparison in a thread of its own: lists that were dropped are brought back, volumes stay while they are read. */

import { randomUUID } from "node:crypto";
import { codeOf, describeError } from "../../common/errors.js";
import { WorkerClient } from "../catalog/worker-rpc.js";
import { FrameSource, type FrameSourceOptions } from "../session/frame-source.js";
import type { CompareMethods, CompareOptions } from "./compare-worker.js";
import type { CompareReply, CompareStep } from "./steps.js";

/**
 * `tell` hears steps that need no answer, in order; it may make the thread wait. `jobIds`: all runs whose lists are read.
 * @throws BackupError NOT_FOUND, LIST_UNREADABLE, LIST_REWRITTEN; the signal's reason
 */
export async function runComparison(
  options: FrameSourceOptions,
  { jobIds, ...compare }: Pick<CompareOptions, "request"> & { jobIds: readonly number[] },
  tell: (step: CompareStep) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await options.catalog.withListsOf(jobIds, () => compareLists(options, compare, tell, signal), signal);
}

async function compareLists(
  options: FrameSourceOptions,
  { request }: Pick<CompareOptions, "request">,
  tell: (step: CompareStep) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const { catalog } = options;
  const worker = new WorkerClient(new URL("./compare-worker.js", import.meta.url), {
    compare: { catalogFile: catalog.file, request } satisfies CompareOptions,
  });
  const { step } = worker.remote<CompareMethods>();
  const source = new FrameSource(options, async () => undefined);
  const holder = `comparison ${randomUUID()}`;
  const held = new Set<number>();
  const stop = () => void worker.close();
  signal.addEventListener("abort", stop, { once: true });
  try {
    let reply: CompareReply;
    for (;;) {
      const next = await step(reply);
      reply = undefined;
      signal.throwIfAborted();
      if (next.ask === "end") return;
      if (next.ask === "read") {
        if (!held.has(next.volume) && (await catalog.writer.hold(holder, [...held, next.volume])))
          held.add(next.volume);
        reply = await read(source, next);
      } else await tell(next);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", stop);
    await Promise.allSettled([worker.close(), source.close()]);
    await catalog.writer.letGo(holder);
  }
}

/** The frame, or why it cannot be read. */
async function read(
  source: FrameSource,
  { volume, offset, bytes }: { volume: number; offset: number; bytes: number },
): Promise<CompareReply> {
  try {
    return new Uint8Array(await source.read(volume, offset, bytes));
  } catch (error) {
    if (codeOf(error) === "WORKER_ENDED") throw error;
    return { error: describeError(error) };
  }
}
