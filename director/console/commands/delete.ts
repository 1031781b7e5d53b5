/** `delete`: records of volumes, pools, runs. Files of volumes stay where they are unless asked otherwise. */
import type { PoolList__Output } from "../../../proto/generated/basalt/v1/PoolList.js";
import type { RetentionReply__Output } from "../../../proto/generated/basalt/v1/RetentionReply.js";
import type { VolumeListReply__Output } from "../../../proto/generated/basalt/v1/VolumeListReply.js";
import { callStorage, storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import { choose, RESOURCE, selectResource, yesNo } from "../prompts.js";
import { printEffects, refuse } from "../retention/outcome.js";
import { purgeJobIds, purgeMatching, refuseLive } from "../retention/purge.js";
import { selectPool, selectVolume } from "../retention/volumes.js";

const REMARK =
  "In general it is not a good idea to delete either a\nPool or a Volume since they may contain data.\n\n";

/** Called `remove` here: `delete` is a word of the programming language. */
export const remove: Command = {
  name: "delete",
  summary: "Delete volumes, pools or jobs from the catalog",
  usage: [
    "delete jobid=1,2,5-7 [rebase] [yes]",
    "delete job=NAME [yes] | client=NAME [yes]   (all runs)",
    "delete volume=NAME [file] [yes]   (with `file`: the file of the volume too)",
    "delete pool=NAME [yes]",
  ],
  keywords: ["jobid=", "job=", "client=", "volume=", "pool=", "file", "rebase", "yes"],
  async run(context) {
    await context.useCatalog();
    const { args } = context;
    if (args.has("jobid")) return await deleteJobIds(context, args.value("jobid"));
    if (args.has("volume", "volumename")) return await deleteVolume(context);
    if (args.has("pool")) return await deletePool(context);
    if (args.has("client")) return await deleteRunsOf(context, "client");
    if (args.has("job", "jobname")) return await deleteRunsOf(context, "job");
    await context.print(REMARK);
    const heading = "You have the following choices:";
    const items = ["Volume", "Pool", "JobId", "Client"];
    const picked = await choose(context, { heading, items, question: "Choose catalog item to delete" });
    if (picked === 0) return await deleteVolume(context);
    if (picked === 1) return await deletePool(context);
    if (picked === 2) return await deleteJobIds(context, undefined);
    await deleteRunsOf(context, "client");
  },
};

function words(context: CommandContext, hint?: readonly string[]) {
  const words = { what: "Nothing was deleted", again: context.line.text };
  return { words: hint === undefined ? words : { ...words, hint }, rebase: context.args.has("rebase") };
}

async function confirmed(context: CommandContext, question: string): Promise<boolean> {
  return context.args.has("yes") || (await yesNo(context, question));
}

async function deleteJobIds(context: CommandContext, given: string | undefined): Promise<void> {
  const text = given ?? (await context.ask("Enter JobId to delete: "));
  const ids = parseIdList(text);
  if (ids === undefined) return void (await context.fail(`Expected a positive integer, got: ${text}`));
  await refuseLive(context, ids);
  if (
    ids.length > 1 &&
    !(await confirmed(context, `Are you sure you want to delete ${ids.length} JobIds ? (yes/no): `))
  )
    return;
  const purged = await purgeJobIds(context, ids, words(context));
  await reportDeleted(context, [...purged.jobIds, ...purged.records.map((record) => record.jobId)]);
}

async function reportDeleted(context: CommandContext, jobIds: readonly number[]): Promise<void> {
  const sorted = [...jobIds].sort((a, b) => a - b);
  context.data.jobIds = sorted;
  for (const jobId of sorted)
    await context.say(`JobId=${jobId} and associated records deleted from the catalog.`);
}

async function deleteRunsOf(context: CommandContext, kind: "client" | "job"): Promise<void> {
  const { args, config } = context;
  let limits: { client?: string; jobName?: string };
  let title: string;
  if (kind === "job") {
    // Runs outlive the resource they ran by, so the name need not be in the configuration.
    const given = args.value("job", "jobname");
    const jobName = given ?? (await selectResource(context, RESOURCE.job, config.jobs.keys()));
    context.require("job", jobName, "Job");
    limits = { jobName };
    title = `Job "${jobName}"`;
  } else {
    const client =
      args.value("client") ?? (await selectResource(context, RESOURCE.client, config.clients.keys()));
    limits = { client };
    title = `Client "${client}"`;
  }
  const live = context.director.queue
    .list()
    .filter(({ plan }) => plan.job.name === limits.jobName || plan.client?.name === limits.client);
  await refuseLive(
    context,
    live.map((job) => job.jobId),
  );
  if (!(await confirmed(context, `Are you sure you want to delete all Jobs of ${title}? (yes/no): `))) return;
  const purged = await purgeMatching(context, limits, words(context));
  const jobIds = [...purged.jobIds, ...purged.records.map((record) => record.jobId)];
  await reportDeleted(context, jobIds);
  if (jobIds.length === 0) await context.say(`No Jobs of ${title} found.`);
}

async function deleteVolume(context: CommandContext): Promise<void> {
  const volume = await selectVolume(context);
  context.require("pool", volume.pool, "Pool");
  const file = context.args.has("file", "removefile");
  await context.say(`\nThis command will delete volume ${volume.name}`);
  await context.say(
    `${file ? "and its file" : "from the catalog; its file stays"}. It is refused while a Job needs it.`,
  );
  if (!(await confirmed(context, `Are you sure you want to delete Volume "${volume.name}"? (yes/no): `)))
    return;
  const caller = await callStorage(context, volume.storage);
  const request = { volume: volume.name, removeFile: file };
  const reply = await caller.unary<RetentionReply__Output>("Storaged", "DeleteVolume", request, {
    signal: context.signal,
  });
  if (reply.refused) {
    const hint = [
      `To move what they need elsewhere:  vacuum volume=${volume.name} below=100`,
      `To delete those Jobs instead:  purge volume=${volume.name}`,
    ];
    return await refuse(context, reply, words(context, hint).words);
  }
  context.data.volume = volume.name;
  if (reply.messages.length === 0) await context.say(`Volume "${volume.name}" deleted from the catalog.`);
  await printEffects(context, reply);
}

async function deletePool(context: CommandContext): Promise<void> {
  const pool = await selectPool(context);
  context.require("pool", pool, "Pool");
  if (!(await confirmed(context, `Are you sure you want to delete Pool "${pool}"? (yes/no): `))) return;
  if (context.config.pools.has(pool)) {
    await context.say(
      `Pool "${pool}" is in the configuration: it will be made again at the next start or reload.`,
    );
  }
  for (const storage of storageDaemons(context)) {
    const caller = await callStorage(context, storage);
    const { pools } = await caller.unary<PoolList__Output>("Storaged", "ListPools", { name: pool });
    if (!pools.some((each) => each.name === pool)) continue;
    const reply = await caller.unary<VolumeListReply__Output>("Storaged", "DeletePool", { pool });
    if (reply.errors.length > 0) return void (await context.fail(reply.errors.join("\n")));
  }
  context.data.pool = pool;
  await context.say(`Pool "${pool}" deleted from the catalog.`);
}
