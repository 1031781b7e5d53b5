/** `update volume`: status, limits, flags and pool of a volume, by keywords or by Bacula's menu. */
import { formatDuration, parseDuration, parseSize, parseYesNo } from "../../../common/units.js";
import type { UpdateVolumeRequest } from "../../../proto/generated/basalt/v1/UpdateVolumeRequest.js";
import type { VolumeListReply__Output } from "../../../proto/generated/basalt/v1/VolumeListReply.js";
import type { VolumeReply__Output } from "../../../proto/generated/basalt/v1/VolumeReply.js";
import { callStorage, catalogPools, type StoredVolume, storageDaemons } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { choose } from "../prompts.js";
import { selectPool, selectVolume } from "../retention/volumes.js";

/** Status words that an operator may set; Purged comes from purge and prune alone. */
export const VOLUME_STATUSES = [
  ...["Append", "Archive", "Disabled", "Full", "Used", "Cleaning", "Recycle", "Read-Only", "Error"],
] as const;

type Changes = Omit<UpdateVolumeRequest, "volume">;

/** One value of a volume: its keywords, its question, and what text means. */
interface Field {
  keywords: readonly string[];
  /** Item of the menu. */
  title: string;
  question: string;
  /** @throws Error with the line to print when the text is no value */
  read(text: string): Changes;
  /** The line that confirms a change. */
  told(changes: Changes): string;
}

function count(text: string): number {
  if (/^\d{1,9}$/.test(text.trim())) return Number(text);
  throw new Error(`Expected a positive integer, got: ${text}`);
}

function statusOf(text: string): string {
  const found = VOLUME_STATUSES.find((status) => status.toLowerCase() === text.trim().toLowerCase());
  if (found === undefined) throw new Error(`Invalid VolStatus specified: ${text}`);
  return found;
}

function enabledOf(text: string): boolean {
  // Bacula's third value: an archived volume is not written to either.
  return text.trim() === "2" || text.trim().toLowerCase() === "archived" ? false : parseYesNo(text);
}

function truncateOf(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (word === "truncate" || word === "none") return word === "truncate";
  throw new Error(`Invalid ActionOnPurge specified: ${text}. It is truncate or none.`);
}

const yesNoText = (value: boolean | undefined) => (value === true ? "yes" : "no");

/** In the order of the menu; the gaps of Bacula's list are filled where it is shown. */
const FIELDS = {
  status: {
    keywords: ["volstatus", "status"],
    title: "Volume Status",
    question: "",
    read: (text) => ({ status: statusOf(text) }),
    told: ({ status }) => `New Volume status is: ${status}`,
  },
  retention: {
    keywords: ["volretention"],
    title: "Volume Retention Period",
    question: "Enter Volume Retention period: ",
    read: (text) => ({ retention: parseDuration(text) }),
    told: ({ retention }) => `New retention period is: ${formatDuration(Number(retention))} `,
  },
  use: {
    keywords: ["voluse", "voluseduration"],
    title: "Volume Use Duration",
    question: "Enter Volume Use Duration: ",
    read: (text) => ({ useDuration: parseDuration(text) }),
    told: ({ useDuration }) => `New use duration is: ${formatDuration(Number(useDuration))} `,
  },
  jobs: {
    keywords: ["maxvoljobs"],
    title: "Maximum Volume Jobs",
    question: "Enter new Maximum Jobs: ",
    read: (text) => ({ maxJobs: count(text) }),
    told: ({ maxJobs }) => `New max jobs is: ${maxJobs}`,
  },
  bytes: {
    keywords: ["maxvolbytes"],
    title: "Maximum Volume Bytes",
    question: "Enter new Maximum Bytes: ",
    read: (text) => ({ maxBytes: parseSize(text) }),
    told: ({ maxBytes }) => `New Max bytes is: ${maxBytes}`,
  },
  recycle: {
    keywords: ["recycle"],
    title: "Recycle Flag",
    question: "Enter new Recycle status (yes/no): ",
    read: (text) => ({ recycle: parseYesNo(text) }),
    told: ({ recycle }) => `New Recycle flag is: ${yesNoText(recycle)}`,
  },
  slot: {
    keywords: ["slot"],
    title: "Slot",
    question: "Enter new Slot: ",
    read: (text) => ({ slot: count(text) }),
    told: ({ slot }) => `New Slot is: ${slot}`,
  },
  inChanger: {
    keywords: ["inchanger"],
    title: "InChanger Flag",
    question: "Set InChanger flag? (yes/no): ",
    read: (text) => ({ inChanger: parseYesNo(text) }),
    told: ({ inChanger }) => `New InChanger flag is: ${yesNoText(inChanger)}`,
  },
  pool: {
    keywords: ["pool"],
    title: "Pool",
    question: "Enter new Pool name: ",
    read: (text) => ({ pool: text }),
    told: ({ pool }) => `New Pool is: ${pool}`,
  },
  enabled: {
    keywords: ["enabled"],
    title: "Enabled",
    question: "Enter new Enabled (yes/no): ",
    read: (text) => ({ enabled: enabledOf(text) }),
    told: ({ enabled }) => `New Enabled is: ${enabled === true ? 1 : 0}`,
  },
  recyclePool: {
    keywords: ["recyclepool"],
    title: "RecyclePool",
    question: "Enter new RecyclePool name: ",
    read: (text) => ({ recyclePool: text }),
    told: ({ recyclePool }) => `New RecyclePool is: ${recyclePool}`,
  },
  purge: {
    keywords: ["actiononpurge"],
    title: "Action On Purge",
    question: "Enter new Action On Purge (truncate/none): ",
    read: (text) => ({ truncateOnPurge: truncateOf(text) }),
    told: ({ truncateOnPurge }) =>
      `New Action On Purge is: ${truncateOnPurge === true ? "Truncate" : "None"}`,
  },
} as const satisfies Record<string, Field>;

const NO_FILES = "Volumes have no file marks: a number of files has no effect.";
const NO_CACHE = "Volumes are local files: a cache retention has no effect.";

/** Keywords of `update volume`, for completion. */
export const VOLUME_KEYWORDS: readonly string[] = Object.values<Field>(FIELDS).flatMap((field) =>
  field.keywords.slice(0, 1).map((word) => `${word}=`),
);

const FROM_POOL = ["frompool"];
const ALL_FROM_POOL = ["allfrompool"];
const FROM_ALL_POOLS = ["fromallpools", "allfromallpools"];

/** `update volume=V …`. */
export async function updateVolume(context: CommandContext): Promise<void> {
  const { args } = context;
  if (args.has(...FROM_ALL_POOLS)) return await fromAllPools(context);
  if (args.has(...ALL_FROM_POOL)) {
    const pool = args.value(...ALL_FROM_POOL) ?? (await selectPool(context));
    return await fromPool(context, { pool, volume: "" });
  }
  const volume = await selectVolume(context);
  let changed = false;
  for (const field of Object.values<Field>(FIELDS)) {
    const text = args.value(...field.keywords);
    if (text === undefined) continue;
    changed = true;
    await change(context, { volume, field, text });
  }
  for (const [word, remark] of [
    ["maxvolfiles", NO_FILES],
    ["cacheretention", NO_CACHE],
  ] as const) {
    if (!args.has(word)) continue;
    changed = true;
    await context.say(remark);
  }
  if (args.has(...FROM_POOL)) {
    changed = true;
    await fromPool(context, { pool: volume.pool, volume: volume.name });
  }
  if (!changed) await menu(context, volume);
}

/** Sets one value; a text that is none ends the command. */
async function change(
  context: CommandContext,
  { volume, field, text }: { volume: StoredVolume; field: Field; text: string },
): Promise<void> {
  let changes: Changes;
  try {
    changes = field.read(text);
  } catch (error) {
    return void (await context.fail(error instanceof Error ? error.message : String(error)));
  }
  if (changes.pool !== undefined) context.require("pool", changes.pool, "Pool");
  const caller = await callStorage(context, volume.storage);
  const request = { ...changes, volume: volume.name };
  const reply = await caller.unary<VolumeReply__Output>("Storaged", "UpdateVolume", request, {
    signal: context.signal,
  });
  if (!reply.ok) return void (await context.fail(reply.error));
  Object.assign(context.data, { volume: volume.name }, changes);
  await context.say(field.told(changes));
}

/** Bacula's menu: comes again after each change until the last item, or `.`. */
async function menu(context: CommandContext, volume: StoredVolume): Promise<void> {
  const { status, retention, use, jobs, bytes, recycle, slot, inChanger, pool, enabled, recyclePool, purge } =
    FIELDS;
  const ask = (field: Field) => async () =>
    await change(context, { volume, field, text: await context.ask(field.question) });
  const say = (line: string) => () => context.say(line);
  const items: readonly (readonly [string, () => Promise<unknown>])[] = [
    [status.title, () => askStatus(context, volume)],
    ...[retention, use, jobs].map((field) => [field.title, ask(field)] as const),
    ["Maximum Volume Files", say(NO_FILES)],
    ...[bytes, recycle, slot, inChanger].map((field) => [field.title, ask(field)] as const),
    ["Volume Files", say(NO_FILES)],
    [pool.title, async () => await change(context, { volume, field: pool, text: await selectPool(context) })],
    ["Volume from Pool", () => fromPool(context, { pool: volume.pool, volume: volume.name })],
    [
      "All Volumes from Pool",
      async () => await fromPool(context, { pool: await selectPool(context), volume: "" }),
    ],
    ["All Volumes from all Pools", () => fromAllPools(context)],
    ...[enabled, recyclePool, purge].map((field) => [field.title, ask(field)] as const),
    ["Cache Retention", say(NO_CACHE)],
  ];
  for (;;) {
    await context.say(`Updating Volume "${volume.name}"`);
    const titles = [...items.map(([title]) => title), "Done"];
    const heading = "Parameters to modify:";
    const index = await choose(context, { heading, items: titles, question: "Select parameter to modify" });
    if (index >= items.length) return;
    await items[index]![1]();
  }
}

async function askStatus(context: CommandContext, volume: StoredVolume): Promise<void> {
  await context.say(`Current Volume status is: ${volume.status}`);
  // As in Bacula, Recycle is offered for a purged volume only.
  const words = VOLUME_STATUSES.filter(
    (word) => word !== "Error" && (word !== "Recycle" || volume.status === "Purged"),
  );
  const heading = "Possible Values are:";
  const index = await choose(context, { heading, items: words, question: "Choose new Volume Status" });
  await change(context, { volume, field: FIELDS.status, text: words[index]! });
}

/** Gives one volume, or (`volume` empty) all of a pool, the pool's present limits. */
async function fromPool(context: CommandContext, request: { pool: string; volume: string }): Promise<void> {
  context.require("pool", request.pool, "Pool");
  if (!(await catalogPools(context, request.pool)).some((pool) => pool.name === request.pool))
    return void (await context.fail(`Pool "${request.pool}" not found`));
  for (const storage of storageDaemons(context)) {
    const caller = await callStorage(context, storage);
    const reply = await caller.unary<VolumeListReply__Output>("Storaged", "UpdateVolumesFromPool", request);
    for (const volume of reply.volumes) context.append("volumes", volume.name);
    for (const error of reply.errors) await context.say(error);
  }
  const what = request.volume === "" ? "All Volume defaults" : "Volume defaults";
  await context.say(`${what} updated from "${request.pool}" Pool record.`);
}

async function fromAllPools(context: CommandContext): Promise<void> {
  for (const pool of await catalogPools(context)) await fromPool(context, { pool: pool.name, volume: "" });
}
