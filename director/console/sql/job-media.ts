/**
 * Bacula's table JobMedia: which of a job's files lie in which stretch of which volume. Here files are found by their
 * digests, and the catalog knows stretches only. So each gets a share of the job's files by its bytes, from 1 to
 * JobFiles and without a gap; which file that is in truth is no matter of order.
 */
import type { ExtentRow } from "./protocol.js";

export interface JobMediaRow {
  JobMediaId: number;
  JobId: number;
  MediaId: number;
  FirstIndex: number;
  LastIndex: number;
  /** Upper and lower 32 bits of the first and the last byte. */
  StartFile: number;
  EndFile: number;
  StartBlock: number;
  EndBlock: number;
  VolIndex: number;
}

const BLOCK = 2 ** 32;
/** Stretches of one job that have a number of their own. */
const MAX_EXTENTS = 2 ** 20;

/** Rows of one job. `extents` in the order of writing; `files`: its JobFiles, without which there are no rows. */
export function jobMediaOf(jobId: number, extents: readonly ExtentRow[], files: number): JobMediaRow[] {
  if (files <= 0) return [];
  const whole = merged(extents).slice(0, MAX_EXTENTS);
  const total = whole.reduce((sum, { firstOffset, endOffset }) => sum + endOffset - firstOffset, 0);
  let bytes = 0;
  let behind = 0;
  return whole.map(({ mediaId, firstOffset, endOffset }, at) => {
    bytes += endOffset - firstOffset;
    const share = total > 0 ? Math.floor((files * bytes) / total) : files;
    // A file that is larger than a stretch lies in several of them.
    const FirstIndex = Math.min(behind + 1, files);
    const LastIndex = at === whole.length - 1 ? files : Math.max(FirstIndex, Math.min(share, files));
    behind = LastIndex;
    const last = Math.max(firstOffset, endOffset - 1);
    return {
      ...{ JobMediaId: jobId * MAX_EXTENTS + at, JobId: jobId, MediaId: mediaId, FirstIndex, LastIndex },
      ...{ StartFile: Math.floor(firstOffset / BLOCK), EndFile: Math.floor(last / BLOCK) },
      ...{ StartBlock: firstOffset % BLOCK, EndBlock: last % BLOCK, VolIndex: at + 1 },
    };
  });
}

/** Volume after volume, on each upwards; stretches that touch or overlap are one. */
function merged(extents: readonly ExtentRow[]): ExtentRow[] {
  const volumes = new Map<number, ExtentRow[]>();
  for (const extent of extents) {
    const own = volumes.get(extent.mediaId);
    if (own === undefined) volumes.set(extent.mediaId, [extent]);
    else own.push(extent);
  }
  const whole: ExtentRow[] = [];
  for (const own of volumes.values()) {
    own.sort((a, b) => a.firstOffset - b.firstOffset);
    for (const extent of own) {
      const last = whole.at(-1);
      if (last?.mediaId === extent.mediaId && extent.firstOffset <= last.endOffset)
        last.endOffset = Math.max(last.endOffset, extent.endOffset);
      else whole.push({ ...extent });
    }
  }
  return whole;
}
