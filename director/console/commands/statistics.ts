/** `statistics`: figures of the director, of clients and of storage daemons, a line each. */
import { describeError } from "../../../common/errors.js";
import { storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";
import { statisticsOf } from "../status/statistics.js";

/** Figures by name. */
type Figures = Record<string, number>;

export const statistics: Command = {
  name: "statistics",
  summary: "Show figures of the daemons",
  usage: ["statistics [all | client[=NAME] [all] | storage[=NAME] [all]] [full | simple | json]"],
  keywords: ["all", "client=", "storage=", "full", "simple", "json"],
  async run(context) {
    const figures = await collected(context);
    const { args } = context;
    context.data.statistics = figures;
    if (args.has("json")) await context.say(JSON.stringify(figures));
    else for (const line of lines(figures, args.has("full"))) await context.say(line);
  },
};

async function collected(context: CommandContext): Promise<Figures> {
  const { args, config } = context;
  if (args.has("client", "fd")) {
    const all = args.has("all") && args.value("client", "fd") === undefined;
    const names = all
      ? [...config.clients.keys()]
      : [await selectResource(context, RESOURCE.client, config.clients.keys())];
    return await ofEach(context, names, ofClient);
  }
  if (args.has("storage", "sd")) {
    const all = args.has("all") && args.value("storage", "sd") === undefined;
    const names = all
      ? storageDaemons(context)
      : [await selectResource(context, RESOURCE.storage, config.storages.keys())];
    return await ofEach(context, names, ofStorage);
  }
  const own = statisticsOf(context);
  if (!args.has("all")) return own;
  const clients = await ofEach(context, [...config.clients.keys()], ofClient);
  return { ...own, ...clients, ...(await ofEach(context, storageDaemons(context), ofStorage)) };
}

/** Asks one after the other; one that is away is told of, unless it is the only one. */
async function ofEach(
  context: CommandContext,
  names: readonly string[],
  ask: (context: CommandContext, name: string) => Promise<Figures>,
): Promise<Figures> {
  const all: Figures = {};
  for (const name of names) {
    try {
      Object.assign(all, await ask(context, name));
    } catch (error) {
      if (context.signal.aborted || names.length === 1) throw error;
      await context.say(`Warning: ${describeError(error)}`);
    }
  }
  return all;
}

async function ofClient(context: CommandContext, client: string): Promise<Figures> {
  const { running, rssBytes } = await context.director.daemons.filedStatus(client);
  const figures = ofJobs(running);
  return named(`bacula.client.${client}`, { ...figures, "memory.rss": rssBytes });
}

async function ofStorage(context: CommandContext, storage: string): Promise<Figures> {
  const { running, devices, rssBytes } = await context.director.daemons.storagedStatus(storage);
  return named(`bacula.storage.${storage}`, {
    ...ofJobs(running),
    "devices.all": devices.length,
    "memory.rss": rssBytes,
  });
}

interface RunningJob {
  readonly progress?: { readonly files: number; readonly bytesRead: number } | null;
}

function ofJobs(running: readonly RunningJob[]): Figures {
  const sum = (key: "files" | "bytesRead") =>
    running.reduce((total, { progress }) => total + (progress?.[key] ?? 0), 0);
  return { "jobs.running": running.length, "jobs.files": sum("files"), "jobs.bytes": sum("bytesRead") };
}

function named(prefix: string, figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}.${name}`, value]));
}

/** `NAME=VALUE`; with `full` also what it counts. */
function lines(figures: Figures, full: boolean): string[] {
  const unit = (name: string): string =>
    /\.(heap|rss|bytes)$/.test(name) ? "bytes" : name.endsWith(".files") ? "files" : "count";
  return Object.entries(figures).map(([name, value]) =>
    full ? `name="${name}" type=integer unit=${unit(name)} value=${value}` : `${name}=${value}`,
  );
}
