/**
 * Where the blocks of lists lie. A list that is written anew is stored beside the one in force and takes its place by
 * one changed field (job.list_turn): the two lie under the job's number and under the negative of that, in turn. Each
 * statement looks the number up itself, so that none ever sees blocks of both.
 */

import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

export type BlockTable = "list_block" | "state_block";

/**
 * SQL: the number in list_block of the list that `job` (a placeholder) stands for. A job's own number stands for its
 * list in force, the negative of that for the other one, which is being written or removed.
 */
export function listNumberSql(job: string): string {
  return `(SELECT ${job} * (1 - 2 * (list_turn & 1)) FROM job WHERE id = abs(${job}))`;
}

/** As `listNumberSql`; undefined when there is no such job. */
export function listNumber(db: Db, job: LocalJob): number | undefined {
  const number = db.prepare<{ job: number }, number | null>(`SELECT ${listNumberSql("@job")}`).pluck();
  return number.get({ job }) ?? undefined;
}

/** Blocks removed in one transaction, so that running jobs get their turn. */
const STEP = 32;

/** Removes some of the blocks under a number; true when none is left. Part of the caller's transaction. */
export function removeBlocks(db: Db, table: BlockTable, number: number): boolean {
  const { changes } = db
    .prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE job = ? LIMIT ${STEP})`)
    .run(number);
  return changes < STEP;
}
