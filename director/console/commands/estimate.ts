/** `estimate`: what a job would look at, counted by its client. */

import { randomUUID } from "node:crypto";
import { displayPath } from "../../../common/format/path.js";
import { parseYesNo, withCommas } from "../../../common/units.js";
import type { EstimateEvent__Output } from "../../../proto/generated/basalt/v1/EstimateEvent.js";
import type { JobLevel } from "../../config/types.js";
import { type CodeValues, hookWords } from "../../job/codes.js";
import { type SentFileSet, toSentFileSet } from "../../job/file-set.js";
import { type ListContext, sendLists } from "../../job/send-lists.js";
import type { Command, CommandContext } from "../context.js";
import { longLine } from "../format.js";
import { fromWire } from "../names.js";
import type { JobPlan } from "../port.js";
import { RESOURCE, selectResource } from "../prompts.js";

const LEVELS: readonly JobLevel[] = ["Full", "Incremental", "Differential", "Base"];

export const estimate: Command = {
  name: "estimate",
  summary: "Count what a job would back up",
  usage: ["estimate job=NAME [level=LEVEL] [listing] [accurate=yes|no] [client=NAME] [fileset=NAME]"],
  keywords: ["job=", "level=", "listing", "accurate=", "client=", "fileset="],
  async run(context) {
    const { args, config } = context;
    await context.useCatalog();
    const jobs = [...config.jobs.values()].filter((job) => job.type === "Backup").map((job) => job.name);
    const job = config.jobs.get(await selectResource(context, RESOURCE.job, jobs))!;
    const client = await override(context, "client", job.client, config.clients.keys());
    const fileSetName = await override(context, "fileSet", job.fileSet, config.fileSets.keys());
    if (!context.acl.allowsClient(client, "backup")) context.require("client", client, "Client");
    context.require("fileSet", fileSetName, "FileSet");
    const level = await levelOf(context, job.level);
    await checkAccurate(context);
    const sinceMs =
      level === "Full" || level === "Base" ? 0 : since(context, job.name, client, fileSetName, level);
    if (config.clients.get(client) === undefined)
      return void (await context.fail(`Client "${client}" not found`));
    const address = config.clients.get(client)!;
    await context.say(`Connecting to Client ${client} at ${address.address}:${address.port}`);
    const plan = context.director.plan({ job: job.name, client, fileSet: fileSetName, level });
    const lists = listContext(context, plan);
    const sent = await toSentFileSet(config.fileSets.get(fileSetName)!, lists);
    await streamEstimate(context, client, {
      ...sent,
      listContext: lists,
      listing: args.has("listing"),
      sinceMs,
    });
  },
};

/** Accurate or not, what has changed is counted by its times. */
async function checkAccurate(context: CommandContext): Promise<void> {
  try {
    parseYesNo(context.args.value("accurate") ?? "yes");
  } catch {
    await context.fail("Invalid value for accurate. It must be yes or no.");
  }
}

/** Commands that make lists are run as for a job, but that there is no run yet for %-codes to tell of. */
function listContext(
  { signal }: CommandContext,
  { config, job, level, client, pool, storage }: JobPlan,
): ListContext {
  const values: CodeValues = {
    ...{ bytes: 0, files: 0, readBytes: 0, errors: 0, jobId: 0, volumes: "", exitStatus: "Running" },
    ...{ name: job.name, job: job.name, type: job.type, level, fileSet: job.fileSet, priority: job.priority },
    ...{ client: client?.name ?? "", clientAddress: client?.address ?? "", director: config.director.name },
    ...{ pool: pool?.name ?? "", storage: storage?.name ?? "", since: "1970-01-01 00:00:00" },
    pid: process.pid,
  };
  return { words: (command) => hookWords(command, values), onLine: () => undefined, signal };
}

async function override(
  context: CommandContext,
  kind: "client" | "fileSet",
  fallback: string,
  names: Iterable<string>,
): Promise<string> {
  const given = context.args.value(...RESOURCE[kind].keywords);
  return given === undefined || given === fallback
    ? fallback
    : await selectResource(context, RESOURCE[kind], names);
}

async function levelOf(context: CommandContext, fallback: JobLevel): Promise<JobLevel> {
  const given = context.args.value("level");
  if (given === undefined) return fallback;
  const level = LEVELS.find((each) => each.toLowerCase() === given.toLowerCase());
  return level ?? (await context.fail(`Level "${given}" not valid.`));
}

/** Start of the run that the level counts from; 0 (as for a Full) when there is none. */
function since(
  context: CommandContext,
  name: string,
  client: string,
  fileSet: string,
  level: JobLevel,
): number {
  const filter = { name, client, fileSet, type: "B", status: ["T", "W"], order: "desc" as const };
  const full = context.director.db.jobs.list({ ...filter, level: "F", limit: 1 })[0];
  if (full === undefined) return 0;
  if (level === "Differential") return full.startMs;
  const last = ["I", "D"].map(
    (letter) => context.director.db.jobs.list({ ...filter, level: letter, limit: 1 })[0],
  );
  return Math.max(full.startMs, ...last.map((record) => record?.startMs ?? 0));
}

/** Prints what a file daemon finds, and the count. Without `listContext` there are no lists to send. */
export async function streamEstimate(
  context: CommandContext,
  client: string,
  estimate: SentFileSet & { listContext?: ListContext; listing: boolean; sinceMs: number },
): Promise<void> {
  const caller = await context.director.daemons.filed(client, { signal: context.signal });
  const namesKey = randomUUID();
  const { fileSet, lists, listContext, listing, sinceMs } = estimate;
  if (listContext !== undefined) await sendLists(caller, namesKey, lists, listContext);
  const events = caller.stream<EstimateEvent__Output>(
    "Filed",
    "Estimate",
    { fileSet, listing, sinceMs, namesKey },
    { signal: context.signal },
  );
  for await (const event of events) {
    const lines = event.lines.map((line) => `${longLine({ ...line, name: nameOf(line) })}\n`);
    await context.print(lines.join(""));
    if (event.error !== "") await context.say(event.error);
    if (!event.done) continue;
    context.data.files = event.files;
    context.data.bytes = event.bytes;
    await context.say(`2000 OK estimate files=${withCommas(event.files)} bytes=${withCommas(event.bytes)}`);
  }
}

function nameOf(line: { path: Buffer; target: Buffer; type: string }): string {
  const path = displayPath(fromWire(line.path));
  return line.type === "symlink" ? `${path} -> ${displayPath(fromWire(line.target))}` : path;
}
