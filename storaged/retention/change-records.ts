/** Change records (docs/volume-format.md, kind 5) on volumes that jobs may be writing to. */

import { RecordKind } from "../../common/format/frame.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import type { ChangeRecord } from "../volume/records.js";

/**
 * Appends a record that is never cut off again. `synced` is called as soon as it is on the volume for good, whatever
 * fails after that. @throws VOLUME_ and STORE_ codes
 */
export async function appendChange(
  { catalog, desk }: { catalog: Catalog; desk: Pick<VolumeDesk, "withWriter"> },
  volume: VolumeRecord,
  record: ChangeRecord,
  synced: () => void = () => undefined,
): Promise<void> {
  await desk.withWriter(volume, async (writer) => {
    await writer.appendRecord(RecordKind.catalog, record);
    const end = await writer.sync();
    synced();
    // Before anybody else may cut the volume back.
    await catalog.writer.recordEnd(volume.id, end);
  });
}
