/** `.ls`: a directory of a client as it is now. `.estimate`: what a job will bring, from its last runs. */

import { BackupError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import type { FileSet } from "../../../proto/generated/basalt/v1/FileSet.js";
import type { Command } from "../context.js";
import { levelLetter } from "../format.js";
import { resolvePath, typedName } from "../names.js";
import { RESOURCE, selectResource } from "../prompts.js";
import { streamEstimate } from "./estimate.js";

/** Runs that an estimate is made of. */
const RUNS = 10;

export const dotLs: Command = {
  name: ".ls",
  summary: "Entries of a directory on a client",
  usage: [".ls client=NAME path=DIR"],
  keywords: ["client=", "path="],
  async run(context) {
    const { clients } = context.config;
    const path = context.args.value("path");
    if (path === undefined) throw new BackupError("USAGE", "Can't find path argument");
    const client = await selectResource(context, RESOURCE.client, clients.keys());
    const top = resolvePath("/", typedName(path));
    const fileSet: FileSet = {
      name: ".ls",
      include: [{ files: [textOf(top)], options: [{ recurse: false, oneFs: false, hardLinks: true }] }],
      exclude: [],
    };
    await streamEstimate(context, client, { fileSet, lists: [], listing: true, sinceMs: 0 });
  },
};

/** @throws BackupError USAGE for a name that is no text, which a FileSet cannot hold */
function textOf(path: string): string {
  const text = Buffer.from(path, "latin1").toString("utf8");
  if (Buffer.from(text, "utf8").toString("latin1") === path) return text;
  throw new BackupError("USAGE", `${displayPath(path)}: list the directory above it`);
}

export const dotEstimate: Command = {
  name: ".estimate",
  summary: "What a job will bring, from its last runs of that level",
  usage: [".estimate job=NAME [level=LEVEL]"],
  keywords: ["job=", "level="],
  async run(context) {
    const { args, config, director } = context;
    const name = await selectResource(context, RESOURCE.job, config.jobs.keys());
    const job = config.jobs.get(name)!;
    const given = args.value("level") ?? job.level;
    const level = given.length === 1 ? given.toUpperCase() : levelLetter(given);
    if (!"FIDB".includes(level)) return void (await context.fail(`Level "${given}" not valid.`));
    const runs = director.db.jobs
      .list({ name, type: "B", level, ended: true, order: "desc", limit: RUNS * 2 })
      .filter(({ status }) => status === "T" || status === "W")
      .slice(0, RUNS);
    const mean = (of: (run: (typeof runs)[number]) => number): number =>
      runs.length === 0 ? 0 : Math.round(runs.reduce((sum, run) => sum + of(run), 0) / runs.length);
    const values = {
      ...{ level, job: name, nbjob: runs.length, jobbytes: mean(({ bytes }) => bytes) },
      ...{ jobfiles: mean(({ files }) => files), duration: mean((run) => (run.endMs - run.startMs) / 1000) },
    };
    Object.assign(context.data, values);
    const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
    await context.print(lines.join(""));
  },
};
