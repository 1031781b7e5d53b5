/**
 * Messages of the copy data stream: the storage daemon that writes a copy calls the one that has the original
 * (`/basalt.v1.StoragedData/Copy`, raw bytes both ways). It sends `request` once; from then on it speaks as storaged
 * does to filed in a backup, and the called daemon answers as filed does (proto/data/backup.ts). It asks for no lists:
 * whatever the copy lies over is a copy of what the original lies over, so both know these lists.
 */

export const CopyKind = {
  request: 1,
} as const;

/** Sent as JSON. */
export interface CopyRequest {
  protocol: { major: number; minor: number };
  ticket: string;
  /** UUID of the copy, under which the original was offered. */
  jobUuid: string;
  /**
   * UUIDs of the runs below the original, oldest first, or of its Bases: the copy lies over copies of these. Left out:
   * it stands alone.
   */
  parents?: string[];
  /** The original's state stream is wanted too. */
  withState: boolean;
}
