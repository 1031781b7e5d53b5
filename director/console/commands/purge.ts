/** `purge`: runs or their lists go whatever their age, but never what a kept run needs. */
import { type Command, type CommandContext, catalogName } from "../context.js";
import { parseIdList } from "../grammar.js";
import { choose, RESOURCE, selectResource } from "../prompts.js";
import { printEffects, printPlan } from "../retention/outcome.js";
import {
  type Purged,
  type PurgeOptions,
  purgeJobIds,
  purgeMatching,
  purgeVolume as purgeVolumeJobs,
  refuseLive,
} from "../retention/purge.js";
import { selectVolume } from "../retention/volumes.js";
import { truncateVolumes } from "./truncate.js";

const WARNING = `
This command can be DANGEROUS!!!

It removes jobs, or the file lists of jobs, from the catalog whatever their
retention says. Usually prune, which respects it, is what you want. What kept
jobs need is never removed: the command is refused then and names them.
`;

export const purge: Command = {
  name: "purge",
  summary: "Purge jobs or file lists regardless of retention",
  usage: [
    "purge jobs|files jobid=1,2,5-7 | client=NAME | job=NAME | volume=NAME [rebase] [dry]",
    "purge volume=NAME [rebase] [dry]",
    "purge volume action=truncate|all [volume=NAME | pool=NAME | allpools] [storage=NAME]",
  ],
  keywords: [
    ...["jobs", "files", "volume", "volume=", "jobid=", "client=", "job=", "action=", "pool=", "allpools"],
    ...["storage=", "rebase", "dry"],
  ],
  async run(context) {
    await context.useCatalog();
    const { args } = context;
    if (args.value("action") !== undefined) return await truncateVolumes(context);
    await context.print(WARNING);
    if (args.has("files")) return await purgeRuns(context, "files");
    if (args.has("jobs", "job", "jobname", "jobid", "client")) return await purgeRuns(context, "jobs");
    if (args.has("volume", "volumename")) return await purgeVolume(context, "jobs");
    const heading = "You have the following choices:";
    const items = ["Files", "Jobs", "Volume"];
    const picked = await choose(context, { heading, items, question: "Choose item to purge" });
    if (picked === 2) await purgeVolume(context, "jobs");
    else await purgeRuns(context, picked === 0 ? "files" : "jobs");
  },
};

type What = "jobs" | "files";

function optionsFor(context: CommandContext, what: What): PurgeOptions {
  const { args, line } = context;
  const volume = args.value("volume", "volumename");
  const hint = [`To move that content elsewhere:  vacuum volume=${volume} below=100`];
  const words = { what: "Nothing was purged", again: line.text, ...(volume === undefined ? {} : { hint }) };
  return { filesOnly: what === "files", dry: args.has("dry"), rebase: args.has("rebase"), words };
}

/** `purge jobs|files` by numbers, job, volume, or client, which is asked for when nothing is given. */
async function purgeRuns(context: CommandContext, what: What): Promise<void> {
  const { args, config } = context;
  const options = optionsFor(context, what);
  const ids = args.value("jobid");
  if (ids !== undefined) {
    const list = parseIdList(ids);
    if (list === undefined) return void (await context.fail(`Expected a positive integer, got: ${ids}`));
    await refuseLive(context, list);
    return await report(context, what, await purgeJobIds(context, list, options));
  }
  if (args.value("volume", "volumename") !== undefined) return await purgeVolume(context, what);
  const jobName = args.value("job", "jobname");
  if (jobName !== undefined) {
    return await report(context, what, await purgeMatching(context, { jobName }, options));
  }
  const client = await selectResource(context, RESOURCE.client, config.clients.keys());
  await context.say(`Begin purging ${what} for Client "${client}"`);
  const purged = await purgeMatching(context, { client }, options);
  if (countOf(purged) > 0) return await report(context, what, purged, ` for client ${client}`);
  const noun = what === "jobs" ? "Jobs" : "Files";
  await context.say(
    `No ${noun} found for client ${client} to purge from ${catalogName(context.whole)} catalog.`,
  );
}

/** `purge volume=V`: the runs with something on it; a volume that nothing needs any more is purged by that. */
async function purgeVolume(context: CommandContext, what: What): Promise<void> {
  const volume = await selectVolume(context);
  const purged = await purgeVolumeJobs(context, volume, optionsFor(context, what));
  await report(context, what, purged, ` on Volume "${volume.name}"`);
  if (context.args.has("dry")) return;
  for (const reply of purged.replies) await printEffects(context, reply);
  if (what === "files") return;
  const emptied = purged.replies.some((reply) => reply.purgedVolumes.includes(volume.name));
  context.data.purged = emptied;
  if (emptied || volume.status === "Purged") return;
  await context.say(
    `Volume "${volume.name}" still holds content that kept jobs need; it is not marked purged.`,
  );
  await context.say(`To move that elsewhere:  vacuum volume=${volume.name} below=100`);
}

function countOf(purged: Purged): number {
  return purged.jobIds.length + purged.records.length;
}

async function report(context: CommandContext, what: What, purged: Purged, where = ""): Promise<void> {
  const count = countOf(purged);
  const noun =
    what === "jobs"
      ? `${count} Job${count === 1 ? "" : "s"}`
      : `Files of ${count} Job${count === 1 ? "" : "s"}`;
  context.data.jobIds = [...purged.jobIds, ...purged.records.map((record) => record.jobId)];
  if (!context.args.has("dry")) return await context.say(`${noun}${where} purged from catalog.`);
  await printPlan(
    context,
    purged.replies.flatMap((reply) => reply.items),
  );
  await context.say(`${noun}${where} would be purged. Nothing was changed.`);
}
