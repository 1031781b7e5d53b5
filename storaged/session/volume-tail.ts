/** What lies behind the end that the catalog knows of a volume, before it is cut off. */

import { BackupError } from "../../common/errors.js";
import { RecordKind } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { Store } from "../store/store.js";
import { DamagedVolume, VolumeReader } from "../volume/reader.js";
import { decodeChange, decodeJobEnd } from "../volume/records.js";

export interface Behind {
  /** JobIds of committed jobs that this catalog has never heard of, or not of their newest list. */
  jobIds: number[];
  /** A vacuum has moved content there. */
  content: boolean;
}

/**
 * What lies behind `offset`. Every job is in the catalog before it writes, and so is the revision of every list: only
 * a catalog that is older than the volume (restored from a copy) meets what it does not know. Cutting that off would
 * lose it.
 */
export async function looksBehind(
  catalog: Catalog,
  store: Store,
  path: string,
  offset: number,
): Promise<Behind> {
  const found = new Map<string, { uuid: string; revision: number; jobId: number }>();
  let content = false;
  const reader = await VolumeReader.open(store, path);
  try {
    for await (const item of reader.scan({ from: offset, frames: false })) {
      if (item.type !== "record") continue;
      if (item.kind === RecordKind.catalog) content ||= decodeChange(item.body)?.op === "content";
      if (item.kind !== RecordKind.jobEnd) continue;
      const { jobUuid: uuid, jobId, revision } = decodeJobEnd(item.body);
      if (revision >= (found.get(uuid)?.revision ?? 0)) found.set(uuid, { uuid, revision, jobId });
    }
  } catch (error) {
    // The torn end of what was written last; what lies before it was looked at.
    if (!(error instanceof DamagedVolume) && !(error instanceof GarbledInput)) throw error;
  } finally {
    await reader.close();
  }
  const unknown = await catalog.reader.unknownJobs([...found.values()]);
  return { jobIds: unknown.map((uuid) => found.get(uuid)!.jobId), content };
}

/**
 * For a volume that no start has looked at. One that holds more than its catalog knows becomes Read-Only.
 * @throws BackupError VOLUME_READ_ONLY
 */
export async function checkTail(
  catalog: Catalog,
  store: Store,
  { volume, path }: { volume: VolumeRecord; path: string },
): Promise<void> {
  const stat = await store.stat(path);
  if (stat === undefined || stat.sizeBytes <= volume.bytes) return;
  const { jobIds, content } = await looksBehind(catalog, store, path, volume.bytes);
  if (jobIds.length === 0 && !content) return;
  await catalog.writer.setVolumeStatus(volume.id, "Read-Only");
  const what = jobIds.length > 0 ? `jobs (JobIds ${jobIds.slice(0, 10).join(", ")})` : "moved content";
  const hint = 'it is Read-Only now; "basalt volume scan --add" takes them in';
  throw new BackupError(
    "VOLUME_READ_ONLY",
    `Volume "${volume.name}" holds ${what} that the catalog does not know: ${hint}`,
  );
}
