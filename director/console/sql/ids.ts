/**
 * Numbers by which Bacula's tables and its file browser speak of files and directories. They follow from what they
 * name, so that they are the same in every table and command, whenever they are asked for, and after the loss of any
 * database.
 */
import { hash } from "node:crypto";
import { BackupError } from "../../../common/errors.js";

/**
 * PathId of a directory (latin1 carrier, with a slash at its end) or FilenameId of a name: the first 63 bits of
 * its SHA-256. Ten million of them share a number with a probability of 5 in a million.
 */
export function textId(text: string): bigint {
  return hash("sha256", Buffer.from(text, "latin1"), "buffer").readBigUInt64BE(0) >> 1n;
}

/** What a FileId names: a row in the list of a run, counted from 1, while that list stays as it is. */
export interface FilePlace {
  jobId: number;
  row: number;
  /** How often the list was put in force anew, of which the last four bits count. */
  turn: number;
}

const ROW_BITS = 28n;
const TURN_BITS = 4n;
/** Rows of one list that have a FileId of their own. */
const MAX_ROW = (1 << Number(ROW_BITS)) - 1;

/** FileId of a row: 31 bits of JobId, 4 of turn, 28 of row. 0 for what has no row, and behind the 268,435,455th. */
export function fileId({ jobId, row, turn }: FilePlace): bigint {
  if (row <= 0 || row > MAX_ROW) return 0n;
  const list = (BigInt(jobId) << TURN_BITS) | (BigInt(turn) & 15n);
  return (list << ROW_BITS) | BigInt(row);
}

/** @throws BackupError REQUEST_INVALID for what is no FileId */
export function filePlace(text: string): FilePlace {
  const id = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  const place = {
    jobId: Number(id >> (ROW_BITS + TURN_BITS)),
    row: Number(id & ((1n << ROW_BITS) - 1n)),
    turn: Number((id >> ROW_BITS) & 15n),
  };
  if (place.row === 0 || place.jobId === 0 || place.jobId > 0x7fffffff)
    throw new BackupError("REQUEST_INVALID", `FileId ${text.slice(0, 40)} is not one of this catalog`);
  return place;
}
