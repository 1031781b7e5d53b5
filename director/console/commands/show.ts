/** `show`: resources of the configuration in force. */
import type { RetentionPolicy } from "../../config/types.js";
import { webhookText } from "../../messages/send-webhook.js";
import { keepText } from "../../retention/rules.js";
import type { AclKind } from "../acl.js";
import type { Command, CommandContext, Data } from "../context.js";
import { type Kind, MORE_KINDS, type Values } from "./show-kinds.js";

function yes(value: boolean): number {
  return value ? 1 : 0;
}

/** A name, when this console may see it. */
function seen({ acl }: CommandContext, kind: AclKind, name: string | undefined): string | undefined {
  const grants = kind === "client" ? acl.allowsClient(name ?? "") : acl.allows(kind, name ?? "");
  return name !== undefined && name !== "" && grants ? name : undefined;
}

/** How long runs stay, as far as this resource says it. */
function retentionValues(policy: RetentionPolicy): Values {
  const { keep, consolidate, jobRetentionSec, fileRetentionSec } = policy;
  return {
    Keep: keep === undefined ? undefined : keepText({ ...keep, within: keep.withinSec }),
    Consolidate: consolidate === undefined ? undefined : yes(consolidate),
    JobRetention: jobRetentionSec,
    FileRetention: fileRetentionSec,
  };
}

const KINDS: readonly Kind[] = [
  {
    words: ["director", "dir"],
    title: "Director",
    list: ({ config: { director } }) => [
      [
        director.name,
        {
          Address: director.address,
          Port: director.port,
          MaxJobs: director.maximumConcurrentJobs,
          WorkingDirectory: director.workingDirectory,
          FDConnectTimeout: director.fdConnectTimeoutSec,
          SDConnectTimeout: director.sdConnectTimeoutSec,
        },
      ],
    ],
  },
  {
    words: ["jobs", "job"],
    title: "Job",
    list: (context) =>
      context.acl
        .filter("job", [...context.config.jobs.values()], (job) => job.name)
        .map((job) => [
          job.name,
          {
            JobType: job.type,
            level: job.type === "Verify" ? job.verifyLevel : job.level,
            Priority: job.priority,
            Enabled: yes(context.director.isEnabled("job", job.name)),
            Client: seen(context, "client", job.client),
            FileSet: seen(context, "fileSet", job.fileSet),
            Pool: seen(context, "pool", job.pool),
            NextPool: seen(context, "pool", job.nextPool),
            Storage: seen(context, "storage", job.storage),
            Schedule: seen(context, "schedule", job.schedule),
            Messages: job.messages,
            Base: job.base.filter((name) => context.acl.allows("job", name)).join(",") || undefined,
            Reference: job.reference?.name,
            ExpectedMatch: job.reference && `${job.reference.expectedMatchPercent} %`,
            Accurate: yes(job.accurate),
            MaxJobs: job.maximumConcurrentJobs,
            MaxRunTime: job.maxRunTimeSec || undefined,
            ...retentionValues(job),
            Where: job.where,
            Replace: job.type === "Restore" ? job.replace : undefined,
          },
        ]),
  },
  {
    words: ["clients", "client"],
    title: "Client",
    list: ({ config, director, acl }) =>
      [...config.clients.values()]
        .filter((client) => acl.allowsClient(client.name))
        .map((client) => [
          client.name,
          {
            Enabled: yes(director.isEnabled("client", client.name)),
            Address: client.address,
            FDport: client.port,
            MaxJobs: client.maximumConcurrentJobs,
            ...(client.maximumConcurrentImageJobs > 0
              ? { MaxImageJobs: client.maximumConcurrentImageJobs }
              : {}),
            JobRetention: client.jobRetentionSec,
            FileRetention: client.fileRetentionSec,
            AutoPrune: yes(client.autoPrune),
            Dial: client.dial,
          },
        ]),
  },
  {
    words: ["storages", "storage"],
    title: "Storage",
    list: ({ config, director, acl }) =>
      acl
        .filter("storage", [...config.storages.values()], (storage) => storage.name)
        .map((storage) => [
          storage.name,
          {
            Address: storage.address,
            SDport: storage.port,
            MaxJobs: storage.maximumConcurrentJobs,
            DeviceName: storage.device,
            MediaType: storage.mediaType,
            Enabled: yes(director.isEnabled("storage", storage.name)),
          },
        ]),
  },
  {
    words: ["pools", "pool"],
    title: "Pool",
    list: (context) =>
      context.acl
        .filter("pool", [...context.config.pools.values()], (pool) => pool.name)
        .map((pool) => [
          pool.name,
          {
            PoolType: pool.poolType,
            Deduplicate: yes(pool.deduplicate),
            MaxVols: pool.maximumVolumes,
            MaxVolBytes: pool.maximumVolumeBytes,
            MaxVolJobs: pool.maximumVolumeJobs,
            VolUse: pool.volumeUseDurationSec,
            VolRetention: pool.volumeRetentionSec,
            Recycle: yes(pool.recycle),
            AutoPrune: yes(pool.autoPrune),
            LabelFormat: pool.labelFormat,
            Storage: seen(context, "storage", pool.storage),
            ScratchPool: seen(context, "pool", pool.scratchPool),
            RecyclePool: seen(context, "pool", pool.recyclePool),
            NextPool: seen(context, "pool", pool.nextPool),
            RecycleOldest: pool.recycleOldestVolume ? "1" : undefined,
            RecycleCurrent: pool.recycleCurrentVolume ? "1" : undefined,
            PurgeOldest: pool.purgeOldestVolume ? "1" : undefined,
            ActionOnPurge: pool.truncateOnPurge ? "Truncate" : undefined,
            ...retentionValues(pool),
          },
        ]),
  },
  {
    words: ["filesets", "fileset"],
    title: "FileSet",
    list: ({ config, acl }) =>
      acl
        .filter("fileSet", [...config.fileSets.values()], (set) => set.name)
        .map((set) => [
          set.name,
          {
            IgnoreFileSetChanges: yes(set.ignoreChanges),
            Digest: set.digest.slice(0, 16),
            Include: set.include.flatMap((block) => block.files).join(" "),
            Image: set.include.flatMap((block) => block.images ?? []).join(" ") || undefined,
            Root: set.include.find((block) => block.root !== undefined)?.root,
            Exclude: set.excludeFiles.length > 0 ? set.excludeFiles.join(" ") : undefined,
          },
        ]),
  },
  {
    words: ["schedules", "schedule"],
    title: "Schedule",
    list: ({ config, director, acl }) =>
      acl
        .filter("schedule", [...config.schedules.values()], (schedule) => schedule.name)
        .map((schedule) => [
          schedule.name,
          {
            Enabled: yes(director.isEnabled("schedule", schedule.name)),
            ...Object.fromEntries(
              schedule.runs.map((run, index) => [
                `Run${index + 1}`,
                [run.overrides.level, run.spec.kind === "cron" ? run.spec.expression : run.spec.text]
                  .filter((part) => part !== undefined)
                  .join(" "),
              ]),
            ),
          },
        ]),
  },
  {
    words: ["messages"],
    title: "Messages",
    list: ({ config }) =>
      [...config.messages.values()].map((messages) => [
        messages.name,
        Object.fromEntries(
          messages.destinations.map((to) => [
            to.kind,
            // A webhook's URL may be the secret that lets messages in.
            [to.kind === "webhook" ? webhookText(to.target ?? "") : to.target, to.types.join(",")]
              .filter(Boolean)
              .join(" = "),
          ]),
        ),
      ]),
  },
  ...MORE_KINDS,
];

export const show: Command = {
  name: "show",
  summary: "Show resources of the configuration",
  usage: [
    "show all",
    "show job[s][=NAME] | client | storage | pool | fileset | schedule | messages | director | catalog | counter | console",
    "show disabled",
  ],
  keywords: [
    "all",
    "disabled",
    ...KINDS.flatMap((kind) => kind.words.map((word) => (word.endsWith("s") ? word : `${word}=`))),
  ],
  async run(context) {
    const { args } = context;
    if (args.has("disabled")) return await disabled(context);
    const all = args.list.length === 0 || args.has("all");
    let known = all;
    for (const kind of KINDS) {
      const word = args.find(...kind.words);
      if (!all && word === undefined) continue;
      known = true;
      await showKind(context, kind, all ? undefined : word?.value);
    }
    if (!known) await context.fail(`show: ${args.list[0]!.text}: no such kind of resource.`);
  },
};

async function showKind(context: CommandContext, kind: Kind, name: string | undefined): Promise<void> {
  const found = kind.list(context).filter(([each]) => name === undefined || each === name);
  if (found.length === 0 && name !== undefined)
    return void (await context.say(`${kind.title} "${name}" not found`));
  if (found.length === 0) return void (await context.say(`No ${kind.title} resource defined.`));
  const rows: Data[] = [];
  for (const [each, values] of found) {
    const known = Object.entries(values).filter((entry) => entry[1] !== undefined);
    rows.push(Object.fromEntries([["Name", each], ...known]));
    const words = known.map(([key, value]) => `${key}=${value}`);
    await context.say(`${kind.title}: name=${each} ${words.slice(0, 4).join(" ")}`.trimEnd());
    for (const word of words.slice(4)) await context.say(`  ${word}`);
  }
  context.data[kind.title] = rows;
}

async function disabled(context: CommandContext): Promise<void> {
  const { config, director, acl } = context;
  const kinds = [
    ["Jobs", "job", config.jobs],
    ["Clients", "client", config.clients],
    ["Schedules", "schedule", config.schedules],
    ["Storages", "storage", config.storages],
  ] as const;
  for (const [title, kind, map] of kinds) {
    const off = [...map.keys()].filter((name) => !director.isEnabled(kind, name) && acl.allows(kind, name));
    context.data[title] = off;
    if (off.length === 0) await context.say(`No disabled ${title}.`);
    else await context.say(`Disabled ${title}:\n${off.map((name) => `   ${name}`).join("\n")}`);
  }
}
