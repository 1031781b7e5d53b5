/** Drives and slots of autochangers: what commands ask for, and the storage daemon's answers about them. */
import type { OperateDeviceReply__Output } from "../../proto/generated/basalt/v1/OperateDeviceReply.js";
import { callStorage } from "./catalog.js";
import type { CommandContext } from "./context.js";

/** What is done with a device, as `OperateDevice` takes it. */
export interface DeviceOrder {
  operation: "info" | "mount" | "unmount" | "release" | "list" | "scan" | "update" | "update-scan";
  drive?: number | undefined;
  slot?: number;
}

/** Asks the storage daemon; a refusal is its own line. Commands of a changer may take minutes. */
export async function operateDevice(
  context: CommandContext,
  storage: string,
  { operation, drive, slot = 0 }: DeviceOrder,
): Promise<OperateDeviceReply__Output> {
  const { device } = context.config.storages.get(storage)!;
  const caller = await callStorage(context, storage);
  const request = { device, operation, slot, ...(drive === undefined ? {} : { drive }) };
  return await caller.unary<OperateDeviceReply__Output>("Storaged", "OperateDevice", request, {
    signal: context.signal,
  });
}

const isCount = (text: string): boolean => /^\d{1,5}$/.test(text);

/**
 * The drive of `drive=`; of an autochanger with several drives it is asked for, Enter stands for the first. Storages
 * that are none have no drives: whatever is given is passed over.
 */
export async function selectDrive(context: CommandContext, storage: string): Promise<number | undefined> {
  if (context.config.storages.get(storage)?.autochanger !== true) return undefined;
  let given = context.args.value("drive");
  if (given === undefined) {
    const { drives } = await operateDevice(context, storage, { operation: "info" });
    if (drives <= 1) return undefined;
  }
  for (;;) {
    given ??= await context.ask("Enter autochanger drive[0]: ");
    if (given.trim() === "") return 0;
    if (isCount(given)) return Number(given);
    await context.say(`Expected a positive integer, got: ${given}`);
    given = undefined;
  }
}

/** The slot of `slot=`; of an autochanger it is asked for. 0: none. */
export async function selectSlot(
  context: CommandContext,
  storage: string,
  question: string,
): Promise<number> {
  let given = context.args.value("slot");
  if (given === undefined && context.config.storages.get(storage)?.autochanger !== true) return 0;
  for (;;) {
    given ??= await context.ask(question);
    if (given.trim() === "") return 0;
    if (isCount(given)) return Number(given);
    await context.say(`Expected a positive integer, got: ${given}`);
    given = undefined;
  }
}

/** `Connecting to Storage daemon …`, before anything is asked of it. */
export async function sayConnecting(context: CommandContext, storage: string): Promise<void> {
  const { address, port } = context.config.storages.get(storage)!;
  await context.say(`Connecting to Storage daemon ${storage} at ${address}:${port} ...`);
}
