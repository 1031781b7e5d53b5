/** Rows as the console's listings see them. */
import type { Row } from "../../common/format/row.js";
import type { ListedEntry } from "./listing-types.js";

/** `jobId`: the job that the row comes from; `marked`: selected by the listing's rules. Safe to post to a thread. */
export function listedEntry(row: Row, jobId: number, marked: boolean): ListedEntry {
  const { key, type, flags, mode, uid, gid, size, mtimeSec, mtimeNsec, target, group } = row;
  const content = row.content === undefined ? undefined : new Uint8Array(row.content);
  const metadata = { key, type, flags, mode, uid, gid, size, mtimeSec, mtimeNsec, target, group };
  return { ...metadata, content, jobId, marked };
}
