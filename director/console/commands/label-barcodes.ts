/** `label barcodes`: a volume in every slot of a changer that has a barcode, under that name. */
import { catalogVolumes } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { operateDevice, sayConnecting } from "../drives.js";
import { parseIdList } from "../grammar.js";
import { yesNo } from "../prompts.js";
import { selectPool } from "../retention/volumes.js";
import { sayLabelled, sendLabel } from "./label.js";

export async function labelBarcodes(
  context: CommandContext,
  storage: string,
  drive: number | undefined,
): Promise<void> {
  await sayConnecting(context, storage);
  const reply = await operateDevice(context, storage, { operation: "list", drive });
  for (const line of reply.messages) await context.say(line);
  if (!reply.ok) return void (await context.fail(reply.error));
  const wanted = await wantedSlots(context);
  const slots = reply.list.filter(
    ({ slot, barcode }) => barcode !== "" && (wanted === undefined || wanted.includes(slot)),
  );
  if (slots.length === 0) return void (await context.fail("No Volumes found to label, or no barcodes."));
  const lines = slots.map(({ slot, barcode }) => `${String(slot).padStart(4)}  ${barcode}\n`);
  await context.print(
    `The following Volumes will be labeled:\nSlot  Volume\n==============\n${lines.join("")}`,
  );
  const sure =
    context.args.has("yes") || (await yesNo(context, "Do you want to label these Volumes? (yes|no): "));
  if (!sure) return;
  const pool = await selectPool(context);
  for (const { slot, barcode: name } of slots) {
    context.signal.throwIfAborted();
    if ((await catalogVolumes(context, { volume: name })).length > 0) {
      await context.say(`Media record for Slot ${slot} Volume "${name}" already exists.`);
      continue;
    }
    const order = { storage, name, pool, slot, drive };
    const labelled = await sendLabel(context, order);
    if (labelled.ok) await sayLabelled(context, order, labelled);
    else await context.say(`Label command failed for Volume ${name}: ${labelled.error}`);
  }
}

/** Slots of `slots=`; undefined: all. */
async function wantedSlots(context: CommandContext): Promise<number[] | undefined> {
  const text = context.args.value("slots", "slot");
  if (text === undefined) return undefined;
  return parseIdList(text) ?? (await context.fail(`Invalid slot list: ${text}`));
}
