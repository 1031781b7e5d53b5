/** `add`: records of volumes in the catalog; they are labelled when a job first uses them. */
import type { LabelReply__Output } from "../../../proto/generated/basalt/v1/LabelReply.js";
import { callStorage, catalogPools } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { RESOURCE, selectResource, yesNo } from "../prompts.js";
import { selectPool } from "../retention/volumes.js";
import { validVolumeName } from "./label.js";

/** As in Bacula, in one command. */
const MOST = 1000;

export const add: Command = {
  name: "add",
  summary: "Add volumes to a pool without labelling them",
  usage: ["add [pool=NAME] [storage=NAME]"],
  keywords: ["pool=", "storage="],
  async run(context) {
    await context.useCatalog();
    await context.print(
      "You probably don't want to be using this command since it\n" +
        "creates database records without labeling the Volumes.\n" +
        'You probably want to use the "label" command.\n\n',
    );
    const pool = await selectPool(context);
    const storage = await selectResource(context, RESOURCE.storage, context.config.storages.keys());
    const names = await namesToAdd(context, await roomIn(context, pool));
    const place = await placeOf(context, storage);
    const created = await addAll(context, { pool, storage, names, ...place });
    context.data.volumes = created;
    await context.say(`${created.length} Volumes created in pool ${pool}`);
  },
};

/** How many more volumes a pool takes in one command. */
async function roomIn(context: CommandContext, pool: string): Promise<number> {
  const record = (await catalogPools(context, pool)).find(({ name }) => name === pool);
  const { maximumVolumes: most = 0, volumes = 0 } = record ?? {};
  if (most === 0) return MOST;
  if (volumes >= most)
    return await context.fail(
      `Pool already has maximum volumes=${most}\nTo increase it: change Maximum Volumes of the Pool, then "reload" and "update pool=${pool}"`,
    );
  return Math.min(MOST, most - volumes);
}

async function askNumber(context: CommandContext, question: string): Promise<number> {
  for (;;) {
    const answer = await context.ask(question);
    if (/^\d{1,9}$/.test(answer)) return Number(answer);
    await context.say(`Expected a positive integer, got: ${answer}`);
  }
}

async function namesToAdd(context: CommandContext, most: number): Promise<string[]> {
  let count: number;
  for (;;) {
    const question = `Enter number of Volumes to create. 0=>fixed name. Max=${most}: `;
    count = await askNumber(context, question);
    if (count <= most) break;
    await context.say(`The number must be between 0 and ${most}`);
  }
  const base = await validVolumeName(
    context,
    await context.ask(count === 0 ? "Enter Volume name: " : "Enter base volume name: "),
  );
  if (count === 0) return [base];
  let start = 0;
  while (start === 0) {
    start = await askNumber(context, "Enter the starting number: ");
    if (start === 0) await context.say("Start number must be greater than zero.");
  }
  return Array.from({ length: count }, (_, index) => `${base}${String(start + index).padStart(4, "0")}`);
}

async function placeOf(
  context: CommandContext,
  storage: string,
): Promise<{ slot: number; inChanger: boolean }> {
  if (context.config.storages.get(storage)?.autochanger !== true) return { slot: 0, inChanger: false };
  const slot = await askNumber(context, "Enter slot (0 for none): ");
  return { slot, inChanger: await yesNo(context, "InChanger? yes/no: ") };
}

/** As many as there can be; what is refused ends it with a line. */
async function addAll(
  context: CommandContext,
  wanted: { pool: string; storage: string; names: string[]; slot: number; inChanger: boolean },
): Promise<string[]> {
  const { pool, storage, names, inChanger } = wanted;
  const { device } = context.config.storages.get(storage)!;
  const caller = await callStorage(context, storage);
  const created: string[] = [];
  for (const [index, volume] of names.entries()) {
    // Further volumes go into the slots behind the first one.
    const slot = wanted.slot === 0 ? 0 : wanted.slot + index;
    const request = { device, volume, pool, slot, recordOnly: true, inChanger };
    const reply = await caller.unary<LabelReply__Output>("Storaged", "Label", request, {
      signal: context.signal,
    });
    if (reply.ok) created.push(volume);
    else {
      await context.say(reply.error);
      break;
    }
  }
  return created;
}
