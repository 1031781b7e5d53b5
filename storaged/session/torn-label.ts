/** What a crash leaves of a volume that was being labelled. */

import { SKIPPABLE_MAGIC } from "../../common/format/frame.js";
import type { Store } from "../store/store.js";
import { encodeLabel, type VolumeLabel } from "../volume/label.js";
import { VolumeReader } from "../volume/reader.js";

/**
 * Is the file what a labelling that a crash interrupted left behind? It then holds nothing but a label of the same volume
 * and storage, or a piece of one: nothing is lost when its name is used again. `label`: the one that it is to get.
 */
export async function isRemnant(store: Store, path: string, label: VolumeLabel): Promise<boolean> {
  const stat = await store.stat(path);
  // A little more than the new label: numbers and names in the old one may have been longer.
  if (stat === undefined || stat.sizeBytes > encodeLabel(label).length + 512) return false;
  const reader = await VolumeReader.open(store, path);
  let old: VolumeLabel | undefined;
  try {
    old = await reader.readLabel();
  } catch {
    return await isTornLabel(store, path, stat.sizeBytes);
  } finally {
    await reader.close();
  }
  const { volume, storage } = label;
  return old.volume === volume && old.storage === storage && encodeLabel(old).length === stat.sizeBytes;
}

/** Empty, all zeros (a file system may keep the length and lose the bytes), or the beginning of a record. */
async function isTornLabel(store: Store, path: string, sizeBytes: number): Promise<boolean> {
  const file = await store.open(path, "read");
  try {
    const bytes = Buffer.alloc(sizeBytes);
    const read = bytes.subarray(0, await file.readAt(bytes, 0));
    const magic = Buffer.alloc(4);
    magic.writeUInt32LE(SKIPPABLE_MAGIC, 0);
    const head = read.subarray(0, 4);
    return read.every((byte) => byte === 0) || head.equals(magic.subarray(0, head.length));
  } finally {
    await file.close();
  }
}
