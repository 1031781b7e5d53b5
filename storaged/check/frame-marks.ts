/** What a check changes about frames in the catalog, a bounded number of chunks at a time. */

import type { Catalog } from "../catalog/catalog.js";
import type { FoundFrame } from "../catalog/writer-repair.js";

/** Marks all chunks of a frame as damaged, or as good. */
export async function markFrame({ writer }: Catalog, frame: number, damaged: boolean): Promise<void> {
  for (let from: number | undefined = 0; from !== undefined; )
    from = await writer.setDamaged(frame, damaged, from);
}

/** Adds a frame that the catalog lacks, or the chunks of it that it lacks. */
export async function addFrame({ writer }: Catalog, found: FoundFrame): Promise<void> {
  for (let from: number | undefined = 0; from !== undefined; ) from = await writer.addFoundFrame(found, from);
}
