/** What a crash leaves of a label that was being written. */

import { SKIPPABLE_MAGIC } from "../../common/format/frame.js";
import type { Store } from "../store/store.js";

/** Empty, all zeros (a file system may keep the length and lose the bytes), or the beginning of a record. */
export async function isTornLabel(store: Store, path: string, sizeBytes: number): Promise<boolean> {
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
