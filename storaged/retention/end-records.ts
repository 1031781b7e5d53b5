/** Finds the end record of a job that is in force, on whichever volume it lies. */

import {
  decodeRecord,
  MAX_RECORD_BYTES,
  RecordKind,
  SKIPPABLE_HEADER_BYTES,
  SKIPPABLE_MAGIC,
} from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Store, StoreFile } from "../store/store.js";
import { decodeJobEnd, type JobEndRecord } from "../volume/records.js";

/** An end record is rarely longer than the first of these; the second is the longest that there may be. */
const WINDOWS = [64 * 1024, MAX_RECORD_BYTES + SKIPPABLE_HEADER_BYTES];

export interface FoundEnd {
  record: JobEndRecord;
  volume: number;
}

/**
 * The end record with the highest revision among those that end at one of `ends`; `pathOf` gives undefined for a
 * volume that is out of reach.
 * @throws STORE_ codes
 */
export async function findEndRecord(
  store: Store,
  pathOf: (volume: number) => string | undefined,
  uuid: string,
  ends: readonly { volume: number; end: number }[],
): Promise<FoundEnd | undefined> {
  let found: FoundEnd | undefined;
  for (const { volume, end } of ends) {
    const path = pathOf(volume);
    const record = path === undefined ? undefined : await readEnd(store, path, uuid, end);
    if (record !== undefined && (found === undefined || record.revision > found.record.revision)) {
      found = { record, volume };
    }
  }
  return found;
}

async function readEnd(
  store: Store,
  path: string,
  uuid: string,
  end: number,
): Promise<JobEndRecord | undefined> {
  const file = await store.open(path, "read");
  try {
    for (const window of WINDOWS) {
      const start = Math.max(0, end - window);
      const bytes = await readRange(file, start, end - start);
      const record = endRecordIn(bytes, uuid);
      if (record !== undefined || start === 0) return record;
    }
    return undefined;
  } finally {
    await file.close();
  }
}

async function readRange(file: StoreFile, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, await file.readAt(bytes, position));
}

const MAGIC = (() => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(SKIPPABLE_MAGIC);
  return bytes;
})();

/** The record that takes up the end of `bytes`, when it is an end record of this job. */
function endRecordIn(bytes: Buffer, uuid: string): JobEndRecord | undefined {
  for (let at = bytes.lastIndexOf(MAGIC); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(MAGIC, at - 1)) {
    const payload = at + SKIPPABLE_HEADER_BYTES;
    if (payload > bytes.length || payload + bytes.readUInt32LE(at + 4) !== bytes.length) continue;
    try {
      const { kind, body } = decodeRecord(bytes.subarray(payload));
      if (kind !== RecordKind.jobEnd) return undefined;
      const record = decodeJobEnd(body);
      return record.jobUuid === uuid ? record : undefined;
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
    }
  }
  return undefined;
}
