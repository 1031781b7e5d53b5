/** `label`: a new volume in a pool, made by the storage daemon at once. */
import type { LabelReply__Output } from "../../../proto/generated/basalt/v1/LabelReply.js";
import { callStorage } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";
import { selectPool } from "../retention/volumes.js";

const NAME = /^[A-Za-z0-9_.:-]{1,127}$/;

export const label: Command = {
  name: "label",
  summary: "Label a new volume",
  usage: ["label storage=NAME volume=NAME [pool=NAME] [slot=N] [drive=N]"],
  keywords: ["storage=", "volume=", "pool=", "slot=", "drive=", "barcodes"],
  async run(context) {
    const { args } = context;
    if (args.has("barcodes", "barcode")) {
      return void (await context.fail(
        "label barcodes: needs an autochanger, which this version does not drive.",
      ));
    }
    await context.useCatalog();
    const storage = await selectResource(context, RESOURCE.storage, context.config.storages.keys());
    const resource = context.config.storages.get(storage)!;
    const slot = slotOf(args.value("slot"));
    let name = args.value("volume", "volumename");
    for (;;) {
      name = await validVolumeName(context, name);
      const pool = await selectPool(context);
      await context.say(
        `Connecting to Storage daemon ${storage} at ${resource.address}:${resource.port} ...`,
      );
      const caller = await callStorage(context, storage);
      await context.say(`Sending label command for Volume "${name}" Slot ${slot} ...`);
      const request = { device: resource.device, volume: name, pool, slot };
      const reply = await caller.unary<LabelReply__Output>("Storaged", "Label", request, {
        signal: context.signal,
      });
      if (reply.ok) return await labelled(context, { name, pool, slot, reply });
      if (!reply.exists)
        return void (await context.fail(`Label command failed for Volume ${name}: ${reply.error}`));
      await context.say(`Media record for new Volume "${name}" already exists.`);
      name = undefined;
    }
  },
};

function slotOf(text: string | undefined): number {
  const slot = Number(text ?? "0");
  return Number.isSafeInteger(slot) && slot >= 0 && slot < 100_000 ? slot : 0;
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

async function labelled(
  context: CommandContext,
  made: { name: string; pool: string; slot: number; reply: LabelReply__Output },
): Promise<void> {
  const { name, pool, slot, reply } = made;
  // The device is a directory; the daemon tells the file in it.
  const path = reply.path.endsWith(`/${name}`) ? reply.path.slice(0, -name.length - 1) : reply.path;
  const device = `"${reply.device}" (${path})`;
  context.data.volume = {
    name,
    pool,
    slot,
    bytes: reply.volumeBytes,
    device: reply.device,
    path: reply.path,
  };
  await context.say(`3000 OK label. VolBytes=${reply.volumeBytes} Volume="${name}" Device=${device}`);
  await context.say(`Catalog record for Volume "${name}", Slot ${slot}  successfully created.`);
  await context.say(`Requesting to mount ${reply.device} ...`);
  await context.say(`3906 File device ${device} is always mounted.`);
}
