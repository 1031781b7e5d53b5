/**
 * Lists of files that lie with the director or that a command here makes: read when the job starts and passed on to the
 * file daemon as they are, piece by piece. A list of a million names takes no more memory than one of ten.
 */
import { createReadStream } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { encodeNamesHeader } from "../../proto/data/names.js";
import type { DataStream } from "../../proto/rpc.js";
import { programEnvironment } from "./hooks.js";

/** `<FILE` or `|COMMAND` of a FileSet, with the number that the request calls it by. */
export interface DirectorList {
  number: number;
  entry: string;
}

export interface ListContext {
  /** Words of a command, %-codes replaced. */
  words: (command: string) => string[];
  /** What a command writes to its standard error. */
  onLine: (line: string) => void;
  signal: AbortSignal;
}

/** A command that makes a list may take this long. */
const COMMAND_MS = 6 * 3_600_000;

/** Sends the lists, one after the other, under a job's key. @throws BackupError FILESET_LIST; what the daemon answered */
export async function sendLists(
  channel: { data(service: "FiledData", method: string, options?: { signal: AbortSignal }): DataStream },
  key: string,
  lists: readonly DirectorList[],
  context: ListContext,
): Promise<void> {
  for (const { number, entry } of lists) {
    const stream = channel.data("FiledData", "Names", { signal: context.signal });
    try {
      await stream.send(encodeNamesHeader({ key, number }));
      await readList(entry, (bytes) => stream.send(bytes), context);
      await answered(stream);
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }
}

async function answered(stream: DataStream): Promise<void> {
  await stream.end();
  let count = 0;
  for await (const _ of stream.incoming) count++;
  if (count === 0) throw new BackupError("FILESET_LIST", "the file daemon did not take the list of files");
}

/** Hands on the bytes of a list. @throws BackupError FILESET_LIST, in Bacula's words */
export async function readList(
  entry: string,
  take: (bytes: Buffer) => Promise<void>,
  context: ListContext,
): Promise<void> {
  context.signal.throwIfAborted();
  const source = entry.slice(1).trim();
  if (entry.startsWith("|")) return runList(source, take, context);
  try {
    for await (const bytes of createReadStream(source, { signal: context.signal })) {
      await take(bytes as Buffer);
    }
  } catch (cause) {
    context.signal.throwIfAborted();
    if (cause instanceof BackupError) throw cause;
    const text = `Cannot open included file: ${source}. ERR=${describeError(cause)}`;
    throw new BackupError("FILESET_LIST", text, { cause });
  }
}

async function runList(
  command: string,
  take: (bytes: Buffer) => Promise<void>,
  { words, onLine, signal }: ListContext,
): Promise<void> {
  const result = await runCommand({
    words: words(command),
    env: programEnvironment(),
    timeoutMs: COMMAND_MS,
    onOutput: take,
    onLine,
    signal,
    maxLines: 200,
  });
  signal.throwIfAborted();
  const failure = describeFailure(result, COMMAND_MS);
  if (failure === undefined) return;
  const text = `Error running program: ${command}. stat=${result.code ?? 1}: ERR=${failure}`;
  throw new BackupError("FILESET_LIST", text);
}
