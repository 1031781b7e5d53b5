/** `label`: a new volume in a pool, made by the storage daemon at once. */
import type { LabelReply__Output } from "../../../proto/generated/basalt/v1/LabelReply.js";
import { callStorage } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { operateDevice, sayConnecting, selectDrive, selectSlot } from "../drives.js";
import { RESOURCE, selectResource } from "../prompts.js";
import { selectPool } from "../retention/volumes.js";
import { labelBarcodes } from "./label-barcodes.js";

const NAME = /^[A-Za-z0-9_.:-]{1,127}$/;

export const label: Command = {
  name: "label",
  summary: "Label a new volume",
  usage: [
    "label storage=NAME volume=NAME [pool=NAME] [slot=N] [drive=N]",
    "label barcodes storage=NAME [pool=NAME] [slots=N,N-N] [drive=N] [yes]",
  ],
  keywords: ["storage=", "volume=", "pool=", "slot=", "drive=", "barcodes", "slots=", "yes"],
  async run(context) {
    const { args } = context;
    await context.useCatalog();
    const storage = await selectResource(context, RESOURCE.storage, context.config.storages.keys());
    const drive = await selectDrive(context, storage);
    if (args.has("barcodes", "barcode")) return await labelBarcodes(context, storage, drive);
    let name = await validVolumeName(context, args.value("volume", "volumename"));
    const slot = await selectSlot(context, storage, "Enter slot (0 or Enter for none): ");
    for (;;) {
      const pool = await selectPool(context);
      const wanted = { storage, name, pool, slot, drive };
      const reply = await sendLabel(context, wanted);
      if (reply.ok) {
        await sayLabelled(context, wanted, reply);
        return await requestMount(context, wanted, reply);
      }
      if (!reply.exists)
        return void (await context.fail(`Label command failed for Volume ${name}: ${reply.error}`));
      await context.say(`Media record for new Volume "${name}" already exists.`);
      name = await validVolumeName(context, undefined);
    }
  },
};

/** A volume to be labelled. */
export interface WantedLabel {
  storage: string;
  name: string;
  pool: string;
  slot: number;
  drive: number | undefined;
}

/** Has a volume labelled, and prints what the autochanger did for it. */
export async function sendLabel(context: CommandContext, wanted: WantedLabel): Promise<LabelReply__Output> {
  const { storage, name, pool, slot, drive } = wanted;
  const { device } = context.config.storages.get(storage)!;
  await sayConnecting(context, storage);
  const caller = await callStorage(context, storage);
  await context.say(`Sending label command for Volume "${name}" Slot ${slot} ...`);
  const request = { device, volume: name, pool, slot, ...(drive === undefined ? {} : { drive }) };
  const reply = await caller.unary<LabelReply__Output>("Storaged", "Label", request, {
    signal: context.signal,
  });
  for (const line of reply.messages ?? []) await context.say(line);
  return reply;
}

/** A valid name: the given one, or asked for until it is. */
export async function validVolumeName(context: CommandContext, given: string | undefined): Promise<string> {
  for (let name = given; ; name = undefined) {
    name ??= await context.ask("Enter new Volume name: ");
    if (NAME.test(name)) return name;
    await context.say(
      name === ""
        ? "Volume name must be at least one character long."
        : `Illegal Volume name "${name}": letters, digits and -_.: only, at most 127.`,
    );
  }
}

/** `"D" (PATH)` of the device that a label was written on. */
function placeOf({ name }: WantedLabel, reply: LabelReply__Output): string {
  // The device is a directory; the daemon tells the file in it.
  const path = reply.path.endsWith(`/${name}`) ? reply.path.slice(0, -name.length - 1) : reply.path;
  return `"${reply.device}" (${path})`;
}

/** The two lines about a volume that was labelled. */
export async function sayLabelled(
  context: CommandContext,
  wanted: WantedLabel,
  reply: LabelReply__Output,
): Promise<void> {
  const { name, pool, slot } = wanted;
  const { volumeBytes: bytes, device, path } = reply;
  context.data.volume = { name, pool, slot, bytes, device, path };
  await context.say(`3000 OK label. VolBytes=${bytes} Volume="${name}" Device=${placeOf(wanted, reply)}`);
  await context.say(`Catalog record for Volume "${name}", Slot ${slot}  successfully created.`);
}

/** The labelled volume is to be used at once; `automount off` leaves that out. */
async function requestMount(
  context: CommandContext,
  wanted: WantedLabel,
  reply: LabelReply__Output,
): Promise<void> {
  if (context.state.automount === false) return;
  const { storage, slot, drive } = wanted;
  const { device, autochanger } = context.config.storages.get(storage)!;
  await context.say(`Requesting to mount ${device} ...`);
  if (autochanger !== true)
    return await context.say(`3906 File device ${placeOf(wanted, reply)} is always mounted.`);
  const mounted = await operateDevice(context, storage, { operation: "mount", slot, drive });
  for (const line of mounted.messages) await context.say(line);
  if (!mounted.ok) await context.say(mounted.error);
}
