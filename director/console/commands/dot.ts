/** The machine interface: `.api`, names one a line, `.defaults`, and the table of dot-commands. */

import type { AclKind } from "../acl.js";
import { BVFS_COMMANDS } from "../bvfs/commands.js";
import { catalogVolumes } from "../catalog.js";
import { type Command, type CommandContext, catalogName } from "../context.js";
import { isAt } from "../host-address.js";
import { SOFTWARE_VERSION } from "../version.js";
import { dotEstimate, dotLs } from "./dot-files.js";
import { dotStatus } from "./dot-status.js";
import { messages } from "./messages.js";
import { dotPutfile } from "./putfile.js";
import { exit, quit } from "./quit.js";
import { dotSql } from "./sqlquery.js";
import { VOLUME_STATUSES } from "./update-volume.js";

/** A command that prints names, one a line. */
function names(name: string, summary: string, list: (context: CommandContext) => Iterable<string>): Command {
  return {
    name,
    summary,
    usage: [name],
    keywords: [],
    async run(context) {
      const found = [...list(context)];
      context.data.names = found;
      await context.print(found.map((each) => `${each}\n`).join(""));
    },
  };
}

function resources(
  name: string,
  kind: AclKind,
  list: (context: CommandContext) => Iterable<string>,
): Command {
  return names(name, `Names: ${name.slice(1)}`, (context) =>
    [...list(context)].filter((each) =>
      kind === "client" ? context.acl.allowsClient(each) : context.acl.allows(kind, each),
    ),
  );
}

const api: Command = {
  name: ".api",
  summary:
    "Form of the answers: 1 or 2 for key=value in .status, json for one JSON object per command, 0 or text",
  usage: [".api 2", ".api json", ".api text", ".api 0"],
  keywords: ["json", "text", "0", "1", "2"],
  async run(context) {
    const word = context.args.list[0]?.key ?? "1";
    const json = word === "json";
    if (!json && !["text", "0", "1", "2"].includes(word))
      return void (await context.fail(`.api ${word}: must be 0, 1, 2, json or text`));
    context.state.json = json;
    context.state.terse = word === "1" || word === "2";
    if (!json) return;
    // Switching on is itself answered in JSON; printed text of this command would be lost in between.
    context.data.api = "json";
    context.data.version = SOFTWARE_VERSION;
  },
};

const defaults: Command = {
  name: ".defaults",
  summary: "Values of a job, client, storage or pool as key=value",
  usage: [".defaults job=NAME | client=NAME | storage=NAME | pool=NAME"],
  keywords: ["job=", "client=", "storage=", "pool="],
  async run(context) {
    const values = defaultsOf(context);
    Object.assign(context.data, values);
    await context.print(
      Object.entries(values)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(""),
    );
  },
};

function defaultsOf(context: CommandContext): Record<string, string> {
  const { args, config, acl } = context;
  const job = config.jobs.get(args.value("job") ?? "");
  if (job !== undefined && acl.allows("job", job.name)) {
    const plan = context.director.plan({ job: job.name });
    return {
      job: job.name,
      pool: acl.allows("pool", plan.pool?.name ?? "") ? (plan.pool?.name ?? "") : "",
      messages: plan.messages?.name ?? "",
      client: acl.allowsClient(job.client) ? job.client : "",
      storage: acl.allows("storage", plan.storage?.name ?? "") ? (plan.storage?.name ?? "") : "",
      where: job.where ?? "",
      level: job.level,
      type: job.type,
      fileset: acl.allows("fileSet", job.fileSet) ? job.fileSet : "",
      enabled: context.director.isEnabled("job", job.name) ? "1" : "0",
      catalog: catalogName(context.whole),
    };
  }
  const client = config.clients.get(args.value("client") ?? "");
  if (client !== undefined && acl.allowsClient(client.name)) {
    return {
      client: client.name,
      address: client.address,
      fdport: String(client.port),
      file_retention: String(client.fileRetentionSec),
      job_retention: String(client.jobRetentionSec),
      autoprune: client.autoPrune ? "1" : "0",
      catalog: catalogName(context.whole),
    };
  }
  const storage = config.storages.get(args.value("storage") ?? "");
  if (storage !== undefined && acl.allows("storage", storage.name)) {
    return {
      storage: storage.name,
      address: storage.address,
      enabled: context.director.isEnabled("storage", storage.name) ? "1" : "0",
      media_type: storage.mediaType,
      sdport: String(storage.port),
    };
  }
  const pool = config.pools.get(args.value("pool") ?? "");
  if (pool === undefined || !acl.allows("pool", pool.name)) return {};
  return {
    pool: pool.name,
    pool_type: pool.poolType,
    label_format: pool.labelFormat ?? "",
    max_volumes: String(pool.maximumVolumes),
    vol_retention: String(pool.volumeRetentionSec),
    vol_use_duration: String(pool.volumeUseDurationSec),
    max_vol_jobs: String(pool.maximumVolumeJobs),
    max_vol_bytes: String(pool.maximumVolumeBytes),
    auto_prune: pool.autoPrune ? "1" : "0",
    recycle: pool.recycle ? "1" : "0",
  };
}

const help: Command = {
  name: ".help",
  summary: "These commands",
  usage: [".help"],
  keywords: [],
  async run(context) {
    const shown = DOT_COMMANDS.filter((command) => context.acl.allows("command", command.name));
    context.data.commands = shown.map(({ name, summary }) => ({ name, summary }));
    for (const command of shown) await context.say(`  ${command.name.padEnd(13)} ${command.summary}`);
  },
};

function typed(type: string): (context: CommandContext) => string[] {
  return ({ config }) =>
    [...config.jobs.values()].filter((job) => type === "" || job.type === type).map((job) => job.name);
}

/** `type=R` or `type=Restore` narrows the list down. */
function jobNames(context: CommandContext): string[] {
  const type = context.args.value("type") ?? "";
  const full =
    { b: "Backup", r: "Restore", v: "Verify", d: "Admin", c: "Copy", g: "Migrate" }[type.toLowerCase()] ??
    type;
  return typed(full)(context);
}

const media: Command = {
  name: ".media",
  summary: "Names: volumes",
  usage: [".media [pool=NAME]"],
  keywords: ["pool="],
  async run(context) {
    const volumes = await catalogVolumes(context, { pool: context.args.value("pool") ?? "" });
    const found = volumes.map((volume) => volume.name);
    context.data.names = found;
    await context.print(found.map((each) => `${each}\n`).join(""));
  },
};

const clients: Command = {
  name: ".clients",
  summary: "Names: clients",
  usage: [".clients [address=IP]"],
  keywords: ["address="],
  async run(context) {
    const address = context.args.value("address");
    const found: string[] = [];
    for (const client of context.config.clients.values()) {
      if (!context.acl.allowsClient(client.name)) continue;
      if (address === undefined || (await isAt(client.address, address, context.signal)))
        found.push(client.name);
    }
    context.data.names = found;
    await context.print(found.map((each) => `${each}\n`).join(""));
  },
};

export const DOT_COMMANDS: readonly Command[] = [
  names(".actiononpurge", "Values of ActionOnPurge", () => ["None", "Truncate"]),
  api,
  ...BVFS_COMMANDS,
  resources(".catalogs", "catalog", (context) => [catalogName(context.whole)]),
  clients,
  defaults,
  dotEstimate,
  { ...exit, name: ".exit" },
  resources(".filesets", "fileSet", ({ config }) => config.fileSets.keys()),
  help,
  resources(".jobs", "job", jobNames),
  dotLs,
  names(".levels", "Levels of backup jobs", () => [
    "Incremental",
    "Full",
    "Differential",
    "Base",
    "VirtualFull",
  ]),
  media,
  names(".mediatypes", "Names: media types", ({ config }) => [
    ...new Set([...config.storages.values()].map((storage) => storage.mediaType)),
  ]),
  { ...messages, name: ".messages" },
  names(".msgs", "Names: messages resources", ({ config }) => config.messages.keys()),
  resources(".pools", "pool", ({ config }) => config.pools.keys()),
  { ...quit, name: ".quit" },
  resources(".schedule", "schedule", ({ config }) => config.schedules.keys()),
  dotSql,
  dotStatus,
  resources(".storage", "storage", ({ config }) => config.storages.keys()),
  names(".volstatus", "Status words of volumes", () => VOLUME_STATUSES),
  names(".types", "Types of jobs", () => ["Backup", "Restore", "Admin", "Verify", "Migrate", "Copy"]),
  dotPutfile,
];
