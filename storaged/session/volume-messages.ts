/** What a job hears about the volumes it writes to, in Bacula's words. */

import type { LabelFacts } from "../../common/label-format.js";
import { nowMs, reportTime } from "../../common/time.js";
import type { LocalJob, PoolRecord, VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { VolumeWriter } from "../volume/writer.js";
import type { Reporter } from "./reporter.js";

/** A volume that is open for writing. */
export interface OpenVolume {
  record: VolumeRecord;
  device: DeviceResource;
  writer: VolumeWriter;
  users: Set<LocalJob>;
  /** Work other than jobs that is being done on it (`VolumeDesk.withWriter`). */
  holds: number;
  /** Bytes that appends already promised reach. */
  plannedEnd: number;
  /** A job that failed left bytes here that can be cut off once nobody writes. */
  leftovers: boolean;
}

export interface AcquireRequest {
  job: LocalJob;
  facts: Omit<LabelFacts, "numVols" | "timeMs" | "pool" | "mediaType">;
  pool: PoolRecord;
  /** "": any. */
  device: string;
  /** Drives that no job writes in are tried first. (Default: no) */
  spread?: boolean;
  reporter: Reporter;
  signal: AbortSignal;
  /** The job used another volume before: the message says so. */
  next: boolean;
  /** Devices without room, which this job no longer tries. */
  avoid?: ReadonlySet<string>;
  /** Set here: the device that the job's messages named last. */
  toldDevice?: string;
  /** Set here: why no new volume could be labelled, as the job heard it last. */
  toldNone?: string;
  /** Set by the desk: when retention was asked to make room for this job, and after how many operators' changes. */
  asked?: { atMs: number; changes: number } | undefined;
  /** Set here: volumes that could not be used for now, by name, with what was said about them. */
  refused?: Map<string, string>;
}

/** `File device "D" (PATH)` */
export const placeOf = (device: DeviceResource): string =>
  `File device "${device.name}" (${device.archiveDevice})`;

/** Says what the operator is to do; `devices` are those that the job may use. */
export async function tellWaiting(
  { facts, pool, reporter, refused }: AcquireRequest,
  storage: string,
  devices: readonly DeviceResource[],
): Promise<void> {
  const [wanted] = refused?.keys() ?? [];
  const why =
    wanted === undefined
      ? `Job ${facts.job} is waiting. Cannot find any appendable volumes.`
      : `Job ${facts.job} is waiting. Volume "${wanted}" cannot be used.`;
  const first =
    wanted === undefined
      ? 'Please use the "label" command to create a new Volume for:'
      : `Please mount append Volume "${wanted}" or label a new one for:`;
  const media = [...new Set(devices.map(({ mediaType }) => mediaType))].join(", ");
  const names = devices.map(({ name, archiveDevice }) => `"${name}" (${archiveDevice})`).join(", ");
  const details = [
    `    Job:          ${facts.job}`,
    `    Storage:      "${storage}", Device ${names}`,
    `    Pool:         ${pool.name}`,
    `    Media type:   ${media}`,
  ];
  await reporter.message("mount", [why, first, ...details].join("\n"));
  const what = wanted === undefined ? "for an appendable Volume" : "for a mount request";
  await reporter.setState("waiting", `is waiting ${what}`);
}

export async function tellBusy({ reporter }: AcquireRequest): Promise<void> {
  await reporter.setState("waiting", "is waiting: all Devices are in use by as many jobs as they take");
}

export async function tellUnmounted(
  { facts, reporter }: AcquireRequest,
  devices: readonly DeviceResource[],
): Promise<void> {
  const names = devices.map(({ name, archiveDevice }) => `"${name}" (${archiveDevice})`).join(", ");
  const text = `Job ${facts.job} is waiting. Please use the "mount" command for Device ${names}.`;
  await reporter.message("mount", text);
  await reporter.setState("waiting", "is waiting for a mount request");
}

export async function tellDevice(device: DeviceResource, request: AcquireRequest): Promise<void> {
  if (request.next || request.toldDevice === device.name) return;
  request.toldDevice = device.name;
  await request.reporter.message("info", `Using Device "${device.name}" to write.`);
}

export type MountedAs = "prelabeled" | "previously written" | "recycled";

export async function tellMounted(open: OpenVolume, request: AcquireRequest, how: MountedAs): Promise<void> {
  const { record, device, writer } = open;
  const { reporter, next } = request;
  const say = (text: string) => reporter.message("info", text);
  if (how === "prelabeled")
    await say(`Wrote label to prelabeled Volume "${record.name}" on ${placeOf(device)}`);
  if (how === "previously written") {
    await say(`Volume "${record.name}" previously written, moving to end of data.`);
    await say(`Ready to append to end of Volume "${record.name}" size=${writer.bytes}`);
  }
  if (how === "recycled")
    await say(`Recycled volume "${record.name}" on ${placeOf(device)}, all previous data lost.`);
  if (next) await say(`New volume "${record.name}" mounted on ${placeOf(device)} at ${reportTime(nowMs())}.`);
}

/** Hands an open volume to a job, and says so. */
export async function give(open: OpenVolume, request: AcquireRequest, how: MountedAs): Promise<OpenVolume> {
  open.users.add(request.job);
  request.refused?.delete(open.record.name);
  await tellMounted(open, request, how);
  return open;
}
