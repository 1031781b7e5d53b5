/** Worker side: reads a batch of small files into a slot. Synchronous calls: nothing is faster for small files. */
import { readSync } from "node:fs";
import { codeOf, describeError } from "../../common/errors.js";
import { contentDigest, MAX_WHOLE_BYTES } from "../../common/format/content.js";
import { EntryType } from "../../common/format/row.js";
import { closeFd } from "../../common/sys/files.js";
import { O_NOFOLLOW } from "../../common/sys/native.js";
import { newStat, O_NONBLOCK, openQuietly, type StatRecord, statFd } from "../sys/stat.js";
import { RESULT_BYTES, ReadStatus, writeResult } from "./protocol.js";
import type { FileIdentity, WorkerTask } from "./task.js";

export interface BatchReply {
  /** RESULT_BYTES per task. */
  results: Buffer<ArrayBuffer>;
  errors: string[];
}

const before = newStat();
const after = newStat();

/** Reads every task's file into `slot`, one behind the other. */
export function readBatch(tasks: readonly WorkerTask[], slot: Buffer): BatchReply {
  const results = Buffer.from(new ArrayBuffer(tasks.length * RESULT_BYTES));
  const errors: string[] = [];
  let used = 0;
  for (let i = 0; i < tasks.length; i++) {
    const result = { status: ReadStatus.ok as ReadStatus, unstable: false, error: 0, offset: used, size: 0 };
    let digest: Buffer | undefined;
    try {
      const fd = openFile(tasks[i]!);
      try {
        readOne(fd, tasks[i]!, slot, result);
      } finally {
        closeFd(fd);
      }
      if (result.size > 0) digest = contentDigest(slot.subarray(used, used + result.size));
      used += result.size;
    } catch (error) {
      result.status = isVanished(error) ? ReadStatus.vanished : ReadStatus.failed;
      result.size = 0;
      result.error = errors.length;
      errors.push(failureText(error));
    }
    writeResult(results, i, result, digest);
  }
  return { results, errors };
}

/** Opens without following a symlink, without waiting for a fifo's writer. @throws SysError */
export function openFile(task: WorkerTask): number {
  return openQuietly(task.dirFd, task.name, O_NOFOLLOW | O_NONBLOCK);
}

function readOne(
  fd: number,
  task: WorkerTask,
  slot: Buffer,
  result: { status: ReadStatus; unstable: boolean; offset: number; size: number },
): void {
  statFd(fd, before);
  if (before.type !== EntryType.file) throw new NotAFile();
  const expected = before.size;
  if (expected > MAX_WHOLE_BYTES) {
    result.status = ReadStatus.large;
    return;
  }
  if (result.offset + expected + 1 > slot.length) {
    result.status = ReadStatus.again;
    return;
  }
  // One byte more than expected shows growth without a further call.
  let got = 0;
  while (got <= expected) {
    const count = readSync(fd, slot, result.offset + got, expected + 1 - got, null);
    if (count === 0) break;
    got += count;
    if (got === expected) break;
  }
  statFd(fd, after);
  result.unstable = got !== expected || differs(task.identity, before) || changed(before, after);
  result.size = Math.min(got, expected);
}

/** The entry was replaced by something else. */
export class NotAFile extends Error {
  constructor(kind = "regular file") {
    super(`is not a ${kind} any more`);
  }
}

/** True when the walk saw another file or other content; a mere change of ctime is left to the next run. */
export function differs(seen: FileIdentity, now: StatRecord): boolean {
  return (
    seen.size !== now.size ||
    seen.mtimeSec !== now.mtimeSec ||
    seen.mtimeNsec !== now.mtimeNsec ||
    seen.inode !== now.inode
  );
}

/** True when an open file was written to between two looks. */
export function changed(first: StatRecord, second: StatRecord): boolean {
  return (
    first.size !== second.size ||
    first.mtimeSec !== second.mtimeSec ||
    first.mtimeNsec !== second.mtimeNsec ||
    first.ctimeSec !== second.ctimeSec ||
    first.ctimeNsec !== second.ctimeNsec
  );
}

export function isVanished(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ESTALE" || code === "ENOTDIR";
}

/** One line, without the path. */
export function failureText(error: unknown): string {
  const code = codeOf(error);
  if (code === "ELOOP" || code === "ENXIO") return new NotAFile().message;
  return describeError(error);
}
