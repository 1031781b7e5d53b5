/** Counts what a FileSet holds, for the console's `estimate`. Nothing is read but metadata. */
import { setImmediate as turn } from "node:timers/promises";
import { BackupError } from "../common/errors.js";
import { ENTRY_TYPE_WORDS } from "../common/format/entry-words.js";
import { keyToPath } from "../common/format/path.js";
import { EntryType } from "../common/format/row.js";
import type { EstimateEvent } from "../proto/generated/basalt/v1/EstimateEvent.js";
import type { EstimateLine } from "../proto/generated/basalt/v1/EstimateLine.js";
import type { FiledEstimate__Output } from "../proto/generated/basalt/v1/FiledEstimate.js";
import type { FiledConfig } from "./config.js";
import type { NamesInbox } from "./lists/inbox.js";
import { openLists, withExcludeLists } from "./lists/open-lists.js";
import { type WalkEntry, WalkEvent } from "./walk/event.js";
import { compileFileSet } from "./walk/file-set.js";
import { Walker } from "./walk/walker.js";

const LINES_PER_EVENT = 256;
const ENTRIES_PER_TURN = 256;

export interface EstimateOptions {
  request: FiledEstimate__Output;
  inbox: NamesInbox;
  config: FiledConfig;
  send: (event: EstimateEvent) => Promise<void>;
  signal: AbortSignal;
}

/** Sends listing and counts; the last event is `done`. @throws BackupError */
export async function runEstimate(options: EstimateOptions): Promise<void> {
  const { request, inbox, config, signal } = options;
  const { namesKey: key } = request;
  if (request.fileSet === null) throw new BackupError("REQUEST_INVALID", "the director sent no FileSet");
  const problems: string[] = [];
  const report = (type: string, text: string): void => {
    if ((type === "notsaved" || type === "warning") && problems.length < 1000) problems.push(text);
  };
  inbox.hold(key);
  const context = { config, report, signal };
  try {
    const fileSet = compileFileSet(await withExcludeLists(request.fileSet, context));
    const lists = await openLists(fileSet, { ...context, inbox, key });
    try {
      const { allowedRoots } = config;
      await count(new Walker({ fileSet, listed: lists.roots, allowedRoots, report }), problems, options);
    } finally {
      lists.close();
    }
  } finally {
    inbox.remove(key);
  }
}

async function count(walker: Walker, problems: string[], options: EstimateOptions): Promise<void> {
  const { request, send, signal } = options;
  const counts = { files: 0, bytes: 0 };
  let lines: EstimateLine[] = [];
  try {
    walker.checkRoots();
    for (let seen = 1; ; seen++) {
      const event = walker.next();
      if (event === WalkEvent.done) break;
      if (event === WalkEvent.entry && isWanted(walker.entry, request.sinceMs)) {
        const { stat } = walker.entry;
        counts.files++;
        if (stat.type === EntryType.file) counts.bytes += stat.size;
        if (request.listing) lines.push(toLine(walker.entry));
      }
      for (const error of problems.splice(0)) await send({ error });
      if (lines.length >= LINES_PER_EVENT) await send({ lines: lines.splice(0) });
      if (seen % ENTRIES_PER_TURN === 0) await turn();
      signal.throwIfAborted();
    }
    for (const error of problems.splice(0)) await send({ error });
    await send({ lines, done: true, ...counts });
    lines = [];
  } finally {
    walker.close();
  }
}

/** As for an Incremental: changed since then. Directories always count as looked at, not as changed. */
function isWanted({ stat }: WalkEntry, sinceMs: number): boolean {
  // What changed in the second in which that run began may not be in it.
  const since = Math.floor(sinceMs / 1000);
  return since === 0 || stat.mtimeSec >= since || stat.ctimeSec >= since;
}

function toLine({ key, dir, name, stat }: WalkEntry): EstimateLine {
  return {
    path: Buffer.from(keyToPath(key), "latin1"),
    mode: stat.mode,
    type: ENTRY_TYPE_WORDS[stat.type as number] ?? "",
    links: stat.links,
    uid: stat.uid,
    gid: stat.gid,
    size: stat.size,
    mtimeSec: stat.mtimeSec,
    target: stat.type === EntryType.symlink ? targetOf(dir, name) : Buffer.alloc(0),
  };
}

function targetOf(dir: WalkEntry["dir"], name: string): Buffer {
  try {
    return Buffer.from(dir.readlink(name), "latin1");
  } catch {
    return Buffer.alloc(0);
  }
}
