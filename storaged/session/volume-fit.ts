/** Which device takes a volume, and whether a volume may be used: questions without side effects. */

import { nowMs } from "../../common/time.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { ChangerStore } from "../changer/changer-store.js";
import { type DeviceResource, isScripted } from "../device-config.js";
import type { OpenVolumes } from "./open-volumes.js";
import type { Reporter } from "./reporter.js";
import type { OpenVolume } from "./volume-messages.js";

/** Has the volume been written to for as long as it may be? */
export function isTimeUp({ useDuration, firstWrittenMs }: VolumeRecord): boolean {
  return useDuration > 0 && firstWrittenMs > 0 && firstWrittenMs + useDuration * 1000 <= nowMs();
}

export function canRecycle({ status, recycle, enabled }: VolumeRecord): boolean {
  return enabled && (status === "Recycle" || (status === "Purged" && recycle));
}

/** A record that was added without a label: its file is still to be made. */
export function isUnlabelled({ uuid, bytes, labelMs }: VolumeRecord): boolean {
  return uuid === "" && bytes === 0 && labelMs === 0;
}

/** Has an operator taken the drive out of use? */
export function isUnmounted(device: DeviceResource, changers: ChangerStore | undefined): boolean {
  return changers?.drivesOf(device)?.stateOf(device.name).unmounted === true;
}

/**
 * Can a device get at a volume? Several devices may stand for one directory; in an autochanger with a command every
 * drive takes every volume that is in a slot.
 */
export function reaches(
  device: DeviceResource,
  volume: VolumeRecord,
  home: DeviceResource | undefined,
): boolean {
  if (device.mediaType !== volume.mediaType) return false;
  if (isScripted(device)) {
    const mine = volume.device === device.name || home?.drive?.changer === device.drive?.changer;
    return mine && volume.inChanger && volume.slot > 0;
  }
  return volume.device === device.name || home?.archiveDevice === device.archiveDevice;
}

export interface FitOptions {
  open: OpenVolumes;
  devices: () => ReadonlyMap<string, DeviceResource>;
  changers?: ChangerStore | undefined;
}

/**
 * The device among `free` that a volume is to be used in, undefined: none. A volume that jobs write to stays in its
 * drive; another one comes into a drive that has none, the one it is in already if there is one.
 */
export function deviceFor(
  volume: VolumeRecord,
  free: readonly DeviceResource[],
  { open, devices, changers }: FitOptions,
): DeviceResource | undefined {
  const used = open.get(volume.id);
  if (used !== undefined && used.users.size > 0) return free.find(({ name }) => name === used.device.name);
  const home = devices().get(volume.device);
  const fitting = free.filter((device) => !open.isTaken(device) && reaches(device, volume, home));
  const isIn = (device: DeviceResource) =>
    changers?.drivesOf(device)?.stateOf(device.name).slot === volume.slot;
  const own = (device: DeviceResource) => device.drive === undefined && device.name === volume.device;
  return fitting.find(isIn) ?? fitting.find(own) ?? fitting[0];
}

/**
 * The status that a volume gets when it cannot take `need` more bytes of a job that has put so many frames on it;
 * undefined when it can. The job hears why.
 */
export async function endOfVolume(
  open: OpenVolume,
  frames: number,
  need: number,
  reporter: Reporter,
): Promise<string | undefined> {
  const { record, device } = open;
  // Somebody else has marked it: an operator, or another job that writes to it.
  if (record.status !== "Append") return record.status;
  if (isTimeUp(record)) {
    const text = `Max configured use duration=${record.useDuration} sec. exceeded.`;
    await reporter.message("info", `${text} Marking Volume "${record.name}" as Used.`);
    return "Used";
  }
  const limit = limitOf(open);
  const end = Math.max(open.plannedEnd, open.writer.bytes);
  // A volume without a frame takes one whatever its limit: otherwise none would ever take it.
  const first = frames === 0 && record.frames === 0 && open.users.size === 1;
  if (limit === 0 || end + need <= limit || first) return undefined;
  const place = `device "${device.name}" (${device.archiveDevice})`;
  const text = `User defined maximum volume size ${limit} will be exceeded on ${place}.`;
  await reporter.message("info", `${text} Marking Volume "${record.name}" as Full.`);
  return "Full";
}

/** The least of the volume's and the device's limit; 0: none. */
function limitOf({ record, device }: OpenVolume): number {
  const limits = [record.maxBytes, device.maximumVolumeSize].filter((limit) => limit > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}
