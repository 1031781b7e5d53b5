/** What operators do with drives and slots, and what the devices are doing, as the director passes it on. */

import { BackupError, describeError } from "../common/errors.js";
import { orderDebug, type TracePlace } from "../common/trace.js";
import type { DebugRequest__Output } from "../proto/generated/basalt/v1/DebugRequest.js";
import type { DeviceStatus } from "../proto/generated/basalt/v1/DeviceStatus.js";
import type { OperateDeviceRequest__Output } from "../proto/generated/basalt/v1/OperateDeviceRequest.js";
import type { Handlers } from "../proto/rpc.js";
import type { ChangerStore } from "./changer/changer-store.js";
import { type DeviceResource, isScripted } from "./device-config.js";
import type { VolumeDesk } from "./session/volume-desk.js";
import type { VolumeOrders } from "./session/volume-orders.js";

/** What the handlers work with. */
export interface DeviceHost {
  desk: VolumeDesk;
  config: () => TracePlace;
}

export function deviceHandlers({ desk, config }: DeviceHost): Handlers {
  return {
    SetDebug: async ({ level, trace }: DebugRequest__Output) => {
      orderDebug(config(), { level, trace });
      return {};
    },
    OperateDevice: async (request: OperateDeviceRequest__Output) => {
      const messages: string[] = [];
      const say = (text: string) => void messages.push(text);
      try {
        const found = await operate(desk.orders, request, say);
        return { ok: true, messages, ...found };
      } catch (error) {
        if (!(error instanceof BackupError)) throw error;
        return { ok: false, error: describeError(error), messages };
      }
    },
  };
}

async function operate(
  orders: VolumeOrders,
  { device, operation, drive, slot }: OperateDeviceRequest__Output,
  say: (text: string) => void,
): Promise<object> {
  const order = { device, drive, slot, say };
  switch (operation) {
    case "info": {
      const drives = orders.devices(device).filter((each) => each.drive !== undefined);
      return { drives: drives.length, scripted: drives.some(isScripted) };
    }
    case "mount":
      await orders.mount(order);
      return {};
    case "unmount":
      await orders.unmount(order);
      return {};
    case "release":
      await orders.release(order);
      return {};
    case "list":
    case "scan":
      return await orders.slots(order, operation === "scan");
    case "update":
    case "update-scan":
      return { slots: await orders.updateSlots(order, operation === "update-scan") };
    default:
      throw new BackupError("REQUEST_INVALID", `operation "${operation}" is not known to this storage`);
  }
}

/** One entry per open volume; a device without any has one that says so. */
export function deviceStates(
  devices: Iterable<DeviceResource>,
  desk: VolumeDesk,
  changers: ChangerStore | undefined,
): DeviceStatus[] {
  const open = [...desk.openVolumes];
  return [...devices].flatMap((device) => {
    const mine = open.filter((volume) => volume.device.name === device.name);
    const { name, mediaType, archiveDevice: path, drive } = device;
    const state = changers?.drivesOf(device)?.stateOf(name);
    const facts: DeviceStatus = {
      ...{ name, mediaType, path },
      ...(drive === undefined ? {} : { changer: drive.changer, drive: drive.index }),
      ...(state === undefined ? {} : { scripted: true, slot: state.slot ?? -1, unmounted: state.unmounted }),
    };
    if (mine.length === 0) return [facts];
    return mine.map(({ record, users, writer }) => ({
      ...facts,
      volume: record.name,
      pool: record.poolName,
      writers: users.size,
      volumeBytes: writer.bytes,
    }));
  });
}
