/** Why content cannot be named, and what helps. On the writing thread. */

import { BackupError } from "../../common/errors.js";
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";
import { violation } from "./writer-context.js";

/** Content that a job names: of a row, or a part of a large file whose name comes later. */
export interface NamedContent {
  /** Of the bytes, or the identity of a list of parts. */
  digest: Buffer;
  /** Of the row. */
  key?: string;
}

/** A damaged copy, or a note that the content is nowhere (`volume` is null). */
interface LostCopy {
  jobId: number;
  volume: string | null;
}

/**
 * What to do about damaged content on these volumes; `them`: `the file`, `the files`. A backup stores what was set
 * aside again, or finds that it has changed or gone.
 */
export function healAdvice(volumes: readonly string[], them: string): string {
  const where = volumes.length === 1 ? ` volume=${volumes[0]}` : "";
  return `run "check${where} repair" in the console, then a backup of a machine that still has ${them}, then this job again`;
}

/**
 * Why a job may not name this content: it was found damaged, or the client made it up. A VirtualFull is made here:
 * nothing can send it the content again.
 */
export function unknownContent(db: Db, job: LocalJob, { digest, key }: NamedContent): BackupError {
  const level = db.prepare<[number], string>("SELECT level FROM job WHERE id = ?").pluck().get(job);
  const lost = lostCopyOf(db, digest);
  const file = key === undefined ? "a large file" : displayPath(keyToPath(key));
  const stored = lost === undefined ? "" : ` (JobId ${lost.jobId})`;
  const volume = lost?.volume ?? undefined;
  const where = volume === undefined ? "is not on any volume" : `on Volume "${volume}" is damaged`;
  const text = `the content of ${file}${stored} ${where}`;
  if (level === "VirtualFull") {
    const advice = healAdvice(volume === undefined ? [] : [volume], "the file");
    return new BackupError("CONTENT_GONE", `${text}; ${advice}`);
  }
  if (lost !== undefined)
    return new BackupError("CONTENT_GONE", `${text}, as was found while the job ran; run it again`);
  const what = key === undefined ? "a list of parts" : "a row";
  return violation(`${what} with unknown content ${digest.toString("hex")}`);
}

function lostCopyOf(db: Db, content: Buffer): LostCopy | undefined {
  const copy = db.prepare<[Buffer], LostCopy>(
    `SELECT j.job_id AS jobId, v.name AS volume FROM chunk c JOIN job j ON j.id = c.job
     LEFT JOIN frame f ON f.id = c.frame LEFT JOIN volume v ON v.id = f.volume
     WHERE c.digest = ? AND c.damaged = 1 ORDER BY v.name IS NULL, c.job LIMIT 1`,
  );
  const whole = copy.get(content);
  if (whole !== undefined) return whole;
  const segments = db
    .prepare<[Buffer], Buffer>(
      `SELECT p.data FROM content_part p WHERE p.content =
         (SELECT id FROM content WHERE identity = ? ORDER BY job LIMIT 1) ORDER BY p.seq`,
    )
    .pluck();
  for (const list of segments.iterate(content)) {
    for (let at = 0; at < list.length; at += PART_BYTES) {
      const digest = list.subarray(at + 4, at + PART_BYTES);
      if (digest.equals(ZERO_DIGEST)) continue;
      const part = copy.get(digest);
      if (part !== undefined) return part;
    }
  }
  return undefined;
}
