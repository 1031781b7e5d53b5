/**
 * Reads the lists of a FileSet when the walk begins: those that the director sent, and those that are made here. What the
 * director asks for here it gets only as far as filed's own configuration goes: a file below AllowedRoots, since all of
 * it could be backed up as well, and a command inside of HookDirectories, never run by a shell.
 */
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readlinkSync,
  realpathSync,
} from "node:fs";
import type { Readable } from "node:stream";
import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { bytesOfText, displayPath, isWithin, keyToPath, pathToKey } from "../../common/format/path.js";
import { splitWords } from "../../common/words.js";
import type { JobMessage } from "../../proto/data/backup.js";
import type { FileList__Output } from "../../proto/generated/basalt/v1/FileList.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import type { FiledConfig } from "../config.js";
import { programEnvironment } from "../hooks/hooks.js";
import { resolveProgram } from "../hooks/program.js";
import type { CompiledFileSet, CompiledList, WalkRoot } from "../walk/file-set.js";
import { nameProblem } from "../walk/place-root.js";
import type { NamesInbox } from "./inbox.js";
import { NameLines } from "./name-lines.js";
import { NameStore } from "./name-store.js";

export interface ListOptions {
  inbox: NamesInbox;
  /** Under which the director sent them. */
  key: string;
  config: FiledConfig;
  report: (type: JobMessage["type"], text: string) => void;
  signal: AbortSignal;
}

/** The names of all lists as roots; `close` when the walk has ended. */
export interface OpenLists {
  roots: Iterator<WalkRoot> | undefined;
  close(): void;
}

/** Bad lines of a list that are told one by one. */
const MAX_TOLD = 100;
/** Names of Exclude lists are patterns, which are in memory. */
const MAX_EXCLUDED = 100_000;

/** @throws BackupError FILESET_LIST, HOOK_FORBIDDEN when a list cannot be had; LISTS_UNUSABLE; the signal's reason */
export async function openLists(fileSet: CompiledFileSet, options: ListOptions): Promise<OpenLists> {
  if (fileSet.lists.length === 0) return { roots: undefined, close: () => undefined };
  const store = new NameStore(options.inbox.directory);
  try {
    for (const list of fileSet.lists) await readList(list, store, options);
    if (store.count === 0) options.report("warning", "The lists of files name nothing");
    let same = 0;
    const onSame = (key: string): void => {
      same++;
      const shown = displayPath(keyToPath(key).slice(0, 300));
      const text = `"${shown}" is not saved: another file is stored by the same name (StripPath)`;
      if (same <= MAX_TOLD) options.report("notsaved", text);
    };
    return { roots: store.roots(onSame), close: () => store.close() };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** The FileSet with the names of its Exclude lists put in. @throws BackupError as `openLists` */
export async function withExcludeLists(
  fileSet: FileSet__Output,
  options: Omit<ListOptions, "inbox" | "key">,
): Promise<FileSet__Output> {
  if ((fileSet.excludeLists ?? []).length === 0) return fileSet;
  const exclude = [...fileSet.exclude];
  for (const list of fileSet.excludeLists) {
    const onName = (name: string): void => {
      if (exclude.length >= MAX_EXCLUDED)
        throw new BackupError("FILESET_LIST", `Exclude lists of more than ${MAX_EXCLUDED} names`);
      exclude.push(Buffer.from(name, "latin1").toString("utf8"));
    };
    await readLines(
      list,
      new NameLines(onName, () => undefined),
      () => {
        throw new BackupError("FILESET_LIST", "an Exclude list cannot be sent");
      },
      options,
    );
  }
  return { ...fileSet, exclude };
}

async function readList(list: CompiledList, store: NameStore, options: ListOptions): Promise<void> {
  let bad = 0;
  const tell = (text: string): void => {
    bad++;
    if (bad <= MAX_TOLD) options.report("notsaved", text);
  };
  const onName = (name: string): void => {
    const problem = nameProblem(name);
    if (problem !== undefined)
      tell(`"${displayPath(name.slice(0, 300))}" of the list ${list.source} ${problem}`);
    else store.add(pathToKey(name), list.place);
  };
  const lines = new NameLines(onName, () => tell(`a line of the list ${list.source} is too long for a name`));
  await readLines(list, lines, () => options.inbox.read(options.key, list.number), options);
  if (bad > MAX_TOLD) options.report("notsaved", `and ${bad - MAX_TOLD} more lines of ${list.source}`);
}

type ListSource = Pick<FileList__Output, "kind" | "source">;

async function readLines(
  { kind, source }: ListSource,
  lines: NameLines,
  sent: () => Readable,
  options: Omit<ListOptions, "inbox" | "key">,
): Promise<void> {
  if (kind === "command") {
    await runList(source, lines, options);
  } else {
    const stream = kind === "sent" ? sent() : openListFile(source, options.config.allowedRoots);
    try {
      for await (const bytes of stream) {
        options.signal.throwIfAborted();
        lines.push(bytes as Buffer);
      }
    } catch (cause) {
      if (cause instanceof BackupError || options.signal.aborted) throw cause;
      throw cannotOpen(source, describeError(cause), cause);
    }
  }
  lines.end();
}

/** A list on this machine, as Bacula names the error. */
function cannotOpen(file: string, why: string, cause?: unknown): BackupError {
  const text = `Cannot open included file: ${file}. ERR=${why}`;
  return new BackupError("FILESET_LIST", text, cause === undefined ? {} : { cause });
}

function openListFile(file: string, allowedRoots: readonly string[] | undefined): Readable {
  let fd: number;
  try {
    const real = realpathSync(file);
    checkAllowed(real, allowedRoots);
    // It may have become a pipe, at which a plain open would hang.
    fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (cause) {
    throw cannotOpen(file, describeError(cause), cause);
  }
  try {
    // A directory on the way may have become a link meanwhile: what counts is what was opened.
    checkAllowed(readlinkSync(`/proc/self/fd/${fd}`), allowedRoots);
  } catch (cause) {
    closeSync(fd);
    throw cannotOpen(file, describeError(cause), cause);
  }
  const stream = createReadStream("", { fd });
  if (fstatSync(fd).isFile()) return stream;
  stream.destroy();
  throw cannotOpen(file, "it is no regular file");
}

function checkAllowed(real: string, allowedRoots: readonly string[] | undefined): void {
  const key = pathToKey(bytesOfText(real));
  const isAllowed = allowedRoots?.some((root) => isWithin(pathToKey(bytesOfText(realRoot(root))), key));
  if (isAllowed === false)
    throw new Error("AllowedRoots of the file daemon's configuration does not hold it");
}

function realRoot(root: string): string {
  try {
    return realpathSync(root);
  } catch {
    return root;
  }
}

async function runList(
  command: string,
  lines: NameLines,
  { config, report, signal }: Omit<ListOptions, "inbox" | "key">,
): Promise<void> {
  const words = splitWords(command);
  if (words[0] === undefined) throw new BackupError("FILESET_LIST", "a list is made by an empty command");
  const program = resolveProgram(words[0], config.hookDirectories);
  const timeoutMs = config.hookTimeoutSec * 1000;
  const result = await runCommand({
    words,
    program,
    env: programEnvironment(),
    timeoutMs,
    onOutput: async (bytes) => lines.push(bytes),
    onLine: (line) => report("info", `${words[0]}: ${line}`),
    signal,
    cwd: "/",
    maxLines: 200,
  });
  signal.throwIfAborted();
  const failure = describeFailure(result, timeoutMs);
  if (failure === undefined) return;
  const text = `Error running program: ${command}. stat=${result.code ?? 1}: ERR=${failure}`;
  throw new BackupError("FILESET_LIST", text);
}
