/**
 * How a job's lists go to filed: in a call of their own, on a connection of their own, where filed takes them so (protocol
 * 1.3), else in the job's stream among all else.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import {
  BackupKind,
  type BackupStart,
  encodeJson,
  FREE_BLOCKS,
  type ListsStart,
} from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";
import { violation } from "../catalog/writer-context.js";
import { type ListPlan, ListSender } from "./backup-lists.js";
import type { FiledPlace, SessionDeps } from "./session-deps.js";

/** `credit` takes those that come in the job's stream; `close` is for when filed has ended the job, and may be called again. */
export type ListLine = Pick<ListSender, "credit" | "close">;

export interface ListLineOptions extends Pick<SessionDeps, "catalog" | "connect"> {
  /** Where filed is. */
  place: FiledPlace;
  plan: ListPlan;
  /** The job's stream; breaks when the lists cannot go on. */
  stream: DataStream;
  /** What it begins with. */
  start: BackupStart;
  /** Hears of nonsense from filed, and of a catalog that cannot be read. */
  fail: (error: unknown) => void;
}

/** How long the job's stream may take to say why the call with its lists ended. */
const GONE_MS = 5000;

/** Whether a job's lists get a call of their own. */
export function goApart({ listsApart }: { listsApart: boolean }, plan: ListPlan): boolean {
  return listsApart && plan.lists.length > 0;
}

export async function openListLine(options: ListLineOptions): Promise<ListLine> {
  const { catalog, connect, place, plan, stream, start, fail } = options;
  if (start.listsApart !== true) return new ListSender(catalog, plan, stream, fail);
  const call = await connect(place, "Lists");
  const sender = new ListSender(catalog, plan, call.stream, fail);
  let gone: NodeJS.Timeout | undefined;
  void serve(call.stream, { sender, lists: plan.lists.length, start }).catch((error: unknown) => {
    if (codeOf(error) === "PROTOCOL_VIOLATION") return fail(error);
    if (sender.done) return;
    const text = `the connection for lists broke: ${describeError(error)}`;
    // Whoever ends the job closes both; why is told in the other one.
    const lost = new BackupError("CONNECTION_LOST", text, { cause: error });
    gone = setTimeout(() => stream.destroy(lost), GONE_MS).unref();
  });
  const close = async (): Promise<void> => {
    clearTimeout(gone);
    await sender.close();
    call.stream.destroy();
    call.close();
  };
  return { credit: sender.credit.bind(sender), close };
}

/** Sends what is free, then by credits, until filed ends the call. @throws BackupError when it breaks, or on nonsense */
async function serve(
  stream: DataStream,
  { sender, lists, start }: { sender: ListSender; lists: number; start: BackupStart },
): Promise<void> {
  const { jobUuid, jobId, ticket } = start;
  const first: ListsStart = { jobUuid, jobId, ticket };
  await stream.send(encodeJson(BackupKind.lists, first));
  for (let list = 0; list < lists; list++) sender.credit(list, FREE_BLOCKS);
  for await (const message of stream.incoming) {
    if (message.length !== 3 || message[0] !== BackupKind.listCredit) throw violation("a garbled credit");
    sender.credit(message[1]!, message[2]!);
  }
}
