/**
 * The side of a copy that has the original: plays filed toward the storage daemon that writes the copy. Nothing of
 * the original changes. A copy is whole or it fails: files whose content cannot be read are named.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob } from "../catalog/types.js";
import { healAdvice } from "../catalog/unknown-content.js";
import { asBuffer, type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import { CopyPlan } from "./copy-plan.js";
import { type CopyMethods, copyMethods } from "./copy-plan-worker.js";
import type { CopyPlanOptions, CopyReply, CopyStep, CopyTotals } from "./copy-steps.js";
import { FiledRole } from "./filed-role.js";
import { FrameSource, type FrameSourceOptions } from "./frame-source.js";

export interface CopySourceOptions extends FrameSourceOptions {
  /** Work in a thread of its own. (Default: true) */
  thread?: boolean;
}

/** What is to be copied, and how the copy lies at the target. */
export interface CopyWish {
  /** JobId and UUID of the original here, its client, and how often it was told of warnings. */
  original: number;
  originalUuid: string;
  client: string;
  warnings: number;
  baseFiles: number;
  /** JobId and UUID of the copy. */
  copy: number;
  copyUuid: string;
  /** UUIDs of what the original lies over, where the copy lies over copies of these; undefined: it stands alone. */
  parents: readonly string[] | undefined;
  withState: boolean;
}

/** Lost files that are named, and their volumes; the others are counted. */
const MAX_NAMED = 20;

/** Files whose content cannot be read. */
interface Lost {
  files: number;
  /** Path of the first one. */
  first: string;
  volumes: Set<string>;
}

/**
 * Serves one copy until it is committed at the target. `say` hears which volumes are read.
 * @throws BackupError NOT_FOUND, CONTENT_LOST, VOLUMES_PURGED, or why the stream broke
 */
export async function serveCopy(
  options: CopySourceOptions,
  wish: CopyWish,
  stream: DataStream,
  say: (text: string) => Promise<void>,
): Promise<CopyTotals> {
  const { catalog } = options;
  const role = new FiledRole(stream);
  const start = await role.begin(wish.client);
  await catalog.reader.checkJob(wish.original, wish.originalUuid);
  const { jobs } = await catalog.reader.effective(wish.original);
  const holder = `copy ${wish.copyUuid}`;
  await hold(catalog, holder, jobs);
  const plan = openPlan(options, wish, start.selfContained);
  const source = new FrameSource(options, say);
  // A stream that breaks while the thread works ends the thread.
  const abort = () => void plan.close();
  stream.signal.addEventListener("abort", abort, { once: true });
  try {
    return await catalog.withLists(jobs, () => drive(plan, source, role, wish), stream.signal);
  } catch (error) {
    if (stream.signal.aborted) throw stream.signal.reason;
    // The target fails its job with these words.
    await role.fail(describeError(error)).catch(() => undefined);
    throw error;
  } finally {
    stream.signal.removeEventListener("abort", abort);
    await Promise.allSettled([plan.close(), source.close()]);
    await catalog.writer.letGo(holder);
  }
}

interface OpenPlan extends Remote<CopyMethods> {
  close: () => Promise<void>;
}

function openPlan(
  { catalog, thread = true }: CopySourceOptions,
  wish: CopyWish,
  everyFile: boolean,
): OpenPlan {
  const { original, originalUuid, copy, parents, withState } = wish;
  const copyPlan: CopyPlanOptions = {
    ...{ catalogFile: catalog.file, original, originalUuid, copy, parents, everyFile, withState },
  };
  if (thread) {
    const worker = new WorkerClient(new URL("./copy-plan-worker.js", import.meta.url), { copyPlan });
    const { step } = worker.remote<CopyMethods>();
    return { step, close: () => worker.close() };
  }
  const plan = new CopyPlan(copyPlan);
  const methods = copyMethods(plan);
  return { step: async (reply) => methods.step(reply), close: async () => plan.close() };
}

/** Keeps the volumes that are about to be read. @throws BackupError VOLUMES_PURGED */
async function hold(catalog: Catalog, holder: string, jobs: readonly LocalJob[]): Promise<void> {
  const volumes = await catalog.reader.volumesOf([...jobs]);
  if (await catalog.writer.hold(holder, volumes)) return;
  throw new BackupError("VOLUMES_PURGED", "volumes that hold the original are purged");
}

async function drive(
  plan: OpenPlan,
  source: FrameSource,
  role: FiledRole,
  wish: CopyWish,
): Promise<CopyTotals> {
  const lost: Lost = { files: 0, first: "", volumes: new Set() };
  let reply: CopyReply;
  for (;;) {
    const step: CopyStep = await plan.step(reply);
    reply = undefined;
    switch (step.ask) {
      case "claim":
        reply = new Uint8Array(await role.claim(asBuffer(step.digests)));
        break;
      case "read":
        reply = await read(source, step);
        break;
      case "send":
        // A copy that cannot be whole any more only looks for what else is lost.
        if (lost.files === 0) await sendAll(role, step);
        break;
      case "lost":
        noteLost(lost, step);
        if (lost.files <= MAX_NAMED)
          await role.message({ type: "error", text: `Cannot copy ${step.path}: ${step.why}` });
        break;
      case "end": {
        if (lost.files > 0) throw lostError(wish, lost);
        const { baseFiles, warnings } = wish;
        await role.end({ ...step.totals, baseFiles, warnings, examined: step.totals.files });
        return step.totals;
      }
    }
  }
}

async function read(
  source: FrameSource,
  { volume, offset, bytes }: { volume: number; offset: number; bytes: number },
): Promise<CopyReply> {
  try {
    return new Uint8Array(await source.read(volume, offset, bytes));
  } catch (error) {
    if (codeOf(error) === "WORKER_ENDED") throw error;
    return { error: describeError(error) };
  }
}

async function sendAll(role: FiledRole, step: CopyStep & { ask: "send" }): Promise<void> {
  for (const message of step.messages) await role.send(asBuffer(message));
  const { files, bytesRead, bytesSent } = step.totals;
  await role.progress({ files, bytesRead, bytesSent, path: step.path });
}

function noteLost(lost: Lost, { path, volume }: CopyStep & { ask: "lost" }): void {
  if (lost.files++ === 0) lost.first = path;
  if (volume !== undefined && lost.volumes.size < MAX_NAMED) lost.volumes.add(volume);
}

function lostError({ original }: CopyWish, { files, first, volumes }: Lost): BackupError {
  const others = files === 2 ? " and 1 more file" : ` and ${files - 1} more files`;
  const what = `${first}${files === 1 ? "" : others} of JobId ${original}`;
  const names = [...volumes].map((name) => `"${name}"`).join(", ");
  const where = names === "" ? "" : ` on Volume ${names}`;
  const advice = healAdvice([...volumes], files === 1 ? "the file" : "the files");
  const text = `the content of ${what}${where} cannot be read: the copy would not be whole; ${advice}`;
  return new BackupError("CONTENT_LOST", text);
}
