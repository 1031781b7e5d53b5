/** What jobs lie over, and where they lie: the rest of a job's record once its list is in the catalog. */
import type { Db } from "../catalog/schema.js";
import type { JobEndRecord } from "../volume/records.js";

export interface LoadedJob {
  /** Scratch number. */
  job: number;
  local: number;
  record: JobEndRecord;
  /** Scratch number of the volume with the end record in force. */
  volume: number;
}

/** Number in the catalog of a job that can be restored. */
export type Find = (uuid: string) => number | undefined;

/** UUIDs that a job's list lies over directly: the last of its parents, or its Bases. */
export function directlyBelow({ parents, bases }: JobEndRecord): string[] {
  return parents.length > 0 ? parents.slice(-1) : bases;
}

/**
 * Writes down what a job lies over: the last of its parents, and what that one lies over now. False, and nothing, when
 * that one is not linked yet (`isLinked` says so).
 */
export function linkJob(
  db: Db,
  { local, record }: LoadedJob,
  find: Find,
  isLinked: (local: number) => boolean,
): boolean {
  const last = record.parents.at(-1);
  if (last === undefined) {
    const base = db.prepare("INSERT INTO job_base VALUES (?, ?, ?, 'overlay')");
    for (const [ord, uuid] of record.bases.entries()) base.run(local, ord, find(uuid));
    return true;
  }
  const parent = find(last)!;
  if (!isLinked(parent)) return false;
  const chain = db
    .prepare<[number], number>("SELECT parent FROM job_parent WHERE job = ? ORDER BY ord")
    .pluck();
  const insert = db.prepare("INSERT INTO job_parent VALUES (?, ?, ?)");
  for (const [ord, below] of [...chain.all(parent), parent].entries()) insert.run(local, ord, below);
  return true;
}

/**
 * Where the job's frames and its record in force lie. Places that hold only what was moved away or replaced since do
 * not keep a volume from being purged.
 */
export function placeJob(scratch: Db, db: Db, { job, local, volume }: LoadedJob): void {
  const placed = db.prepare<[number], { volume: number; first: number; last: number }>(
    "SELECT volume, min(offset) AS first, max(offset + bytes) AS last FROM frame WHERE job = ? GROUP BY volume",
  );
  const extents = new Map(placed.all(local).map((row) => [row.volume, row]));
  const endings = scratch
    .prepare<[number], { volume: number; id: number; offset: number; end: number }>(
      `SELECT v.local AS volume, v.id, e.offset, e.end FROM ending e JOIN volume v ON v.id = e.volume
       WHERE e.job = ? ORDER BY e.revision DESC`,
    )
    .all(job);
  const begins = scratch.prepare<[number, number], number | null>(
    `SELECT min(b.offset) FROM begin b JOIN volume v ON v.id = b.volume WHERE b.job = ? AND v.local = ?`,
  );
  // The record in force is looked for where an extent ends.
  const inForce = endings.find(({ id }) => id === volume);
  let own: { volume: number; first: number; last: number } | undefined;
  for (const ending of endings) {
    const extent = extents.get(ending.volume);
    const here = { volume: ending.volume, first: ending.offset, last: ending.end };
    if (extent === undefined && ending.id === volume) extents.set(ending.volume, here);
    else if (extent !== undefined && ending === inForce && extent.last > ending.end) own = here;
    else if (extent !== undefined) extent.last = Math.max(extent.last, ending.end);
  }
  const insert = db.prepare("INSERT INTO job_volume VALUES (?, ?, ?, ?, ?)");
  const order = [...extents.values()].sort((a, b) => a.volume - b.volume);
  for (const [ord, { volume: at, first, last }] of order.entries()) {
    const begin = begins.pluck().get(job, at);
    insert.run(local, ord, at, Math.min(first, begin ?? first), last);
  }
  if (own !== undefined) insert.run(local, order.length, own.volume, own.first, own.last);
  const record = db.prepare("INSERT OR IGNORE INTO job_record VALUES (?, ?)");
  for (const ending of endings) if (extents.has(ending.volume)) record.run(local, ending.volume);
}

/** Takes what placeJob wrote back. */
export function unplaceJob(db: Db, local: number): void {
  for (const table of ["job_volume", "job_record"])
    db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(local);
}

/** A copy stands back only while the job is there that it is a copy of. */
export function promoteCopies(db: Db): void {
  db.exec(`UPDATE job SET type = 'B' WHERE type = 'C' AND status IN ('T', 'W')
    AND copy_of NOT IN (SELECT uuid FROM job WHERE status IN ('T', 'W'))
    AND id = (SELECT max(c.id) FROM job c WHERE c.copy_of = job.copy_of AND c.status IN ('T', 'W'))`);
}
