/** What a job hears about the volumes it writes to, in Bacula's words. */

import { nowMs, reportTime } from "../../common/time.js";
import type { LocalJob, PoolRecord, VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { VolumeWriter } from "../volume/writer.js";
import type { LabelFacts } from "./label-format.js";
import type { Reporter } from "./reporter.js";

/** A volume that is open for writing. */
export interface OpenVolume {
  record: VolumeRecord;
  device: DeviceResource;
  writer: VolumeWriter;
  users: Set<LocalJob>;
  /** Bytes that appends already promised reach. */
  plannedEnd: number;
  /** A job that failed left bytes here that can be cut off once nobody writes. */
  leftovers: boolean;
}

export interface AcquireRequest {
  job: LocalJob;
  facts: Omit<LabelFacts, "numVols" | "timeMs" | "pool">;
  pool: PoolRecord;
  /** "": any. */
  device: string;
  reporter: Reporter;
  signal: AbortSignal;
  /** The job used another volume before: the message says so. */
  next: boolean;
  /** Set here: the device that the job's messages named last. */
  toldDevice?: string;
}

/** `File device "D" (PATH)` */
export const placeOf = (device: DeviceResource): string =>
  `File device "${device.name}" (${device.archiveDevice})`;

export async function tellWaiting({ facts, pool, reporter }: AcquireRequest, storage: string): Promise<void> {
  const text = `Job ${facts.job} is waiting. Cannot find any appendable volumes.`;
  const hint = `Please use the "label" command to create a new Volume for: Storage "${storage}", Pool "${pool.name}".`;
  await reporter.message("mount", `${text}\n${hint}`);
  await reporter.setState("waiting", text);
}

export async function tellDevice(device: DeviceResource, request: AcquireRequest): Promise<void> {
  if (request.next || request.toldDevice === device.name) return;
  request.toldDevice = device.name;
  await request.reporter.message("info", `Using Device "${device.name}" to write.`);
}

export async function tellMounted(open: OpenVolume, request: AcquireRequest, how: string): Promise<void> {
  const { record, device, writer } = open;
  const { reporter, next } = request;
  const say = (text: string) => reporter.message("info", text);
  if (how === "prelabeled")
    await say(`Wrote label to prelabeled Volume "${record.name}" on ${placeOf(device)}`);
  if (how === "previously written") {
    await say(`Volume "${record.name}" previously written, moving to end of data.`);
    await say(`Ready to append to end of Volume "${record.name}" size=${writer.bytes}`);
  }
  if (next) await say(`New volume "${record.name}" mounted on ${placeOf(device)} at ${reportTime(nowMs())}.`);
}
