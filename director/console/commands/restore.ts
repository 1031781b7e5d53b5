/** `restore`: choose runs and files, then run the restore job. */
import { rm } from "node:fs/promises";
import { BackupError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import { relocationOf } from "../../../common/relocation.js";
import { withCommas } from "../../../common/units.js";
import type { ReplacePolicy } from "../../config/types.js";
import type { InImages } from "../../job/request.js";
import { idsOf } from "../chain.js";
import type { Command, CommandContext } from "../context.js";
import type { RunRequest } from "../port.js";
import { pickResource, RESOURCE, selectResource } from "../prompts.js";
import { chooseByBootstrap, leaveBootstrap } from "../restore/bootstrap.js";
import { type Choice, viewOf } from "../restore/choice.js";
import { chooseRuns } from "../restore/choose.js";
import { chooseInImages, type ImageChoice } from "../restore/images.js";
import { rulesForNames } from "../restore/names.js";
import { printBases, printVolumes } from "../restore/print.js";
import { confirmRun } from "../run-dialog.js";
import { treeDialog } from "../tree-dialog.js";
import { TreeMarks } from "../tree-marks.js";
import { startTime } from "./run.js";

export const restore: Command = {
  name: "restore",
  summary: "Restore files",
  usage: [
    "restore client=NAME [fileset=NAME] select [current | before=TIME] [copies] [all] [done] [where=DIR] [yes]",
    "restore jobid=N[,M] [all] [done] …",
    "restore client=NAME file=PATH [file=PATH …] | file=<LISTFILE | directory=PATH …",
    "    [pool=NAME] [when=TIME] [restoreclient=NAME] [restorejob=NAME] [storage=NAME] [replace=always|ifnewer|ifolder|never]",
    '    [regexwhere="!FROM!TO!FLAGS,…" | strip_prefix=PATH add_prefix=PATH add_suffix=TEXT]',
    "restore jobid=N file=PATH … [image=PATH …] [partition=N] …      (out of the disk images of the run)",
    "restore bootstrap=FILE [where=DIR] [yes]",
    "restore      (a menu)",
  ],
  keywords: [
    ...[
      "client=",
      "restoreclient=",
      "fileset=",
      "jobid=",
      "file=",
      "directory=",
      "where=",
      "replace=",
      "storage=",
    ],
    ...[
      "restorejob=",
      "bootstrap=",
      "before=",
      "pool=",
      "when=",
      "copies",
      "select",
      "current",
      "all",
      "done",
      "yes",
      "comment=",
    ],
    ...["image=", "partition="],
    ...["regexwhere=", "strip_prefix=", "add_prefix=", "add_suffix="],
  ],
  async run(context) {
    await context.useCatalog();
    const restoreJobs = [...context.config.jobs.values()].filter((job) => job.type === "Restore");
    if (restoreJobs.length === 0) {
      return void (await context.fail(
        "No Restore Job Resource found in the configuration.\nYou must create at least one before running this command.",
      ));
    }
    await refuseUnknown(context);
    const names = restoreJobs.map((job) => job.name);
    const bootstrap = context.args.value("bootstrap");
    if (bootstrap !== undefined) {
      const { choice, marks, files } = await chooseByBootstrap(context, bootstrap);
      return await askAndRun(context, { choice, marks, files, restoreJobs: names, bootstrap });
    }
    const choice = await chooseRuns(context);
    if (choice === undefined) return;
    const inside = await chooseInImages(context, choice);
    if (inside !== undefined) return await finishInImages(context, choice, inside, names);
    const marks = await chooseFiles(context, choice);
    if (marks === undefined) return;
    await finish(context, choice, marks, names);
  },
};

/** A word that is not understood might have changed what is restored: it must not be passed over. */
async function refuseUnknown(context: CommandContext): Promise<void> {
  const known = new Set([...restore.keywords, ...SILENT].map((each) => each.replace(/=$/, "")));
  const unknown = context.args.list.find(({ key }) => !known.has(key));
  if (unknown !== undefined) await context.fail(`Unknown keyword: ${unknown.key}`);
}

/** Other names of keywords, and those without a meaning here. */
const SILENT = ["rwhere", "sd", "catalog", "pluginoptions", "fdcalled", "priority"];

/** Files to restore as marks; undefined when nothing is to be done. */
async function chooseFiles(context: CommandContext, choice: Choice): Promise<TreeMarks | undefined> {
  const all = context.args.has("all");
  if (choice.names !== undefined) return TreeMarks.of(await rulesForNames(context, choice, choice.names));
  await printBases(context, choice);
  const view = await viewOf(context, choice);
  const marks = new TreeMarks(all);
  await context.print(`\nBuilding directory tree for JobId(s) ${idsOf(choice.jobs).join(",")} ...  \n`);
  const { total } = await view.count([]);
  await context.say(
    `${withCommas(total)} files inserted into the tree${all ? " and marked for extraction" : ""}.`,
  );
  if (context.args.has("done")) return marks;
  if (await treeDialog(context, view, marks)) return marks;
  await context.fail("Restore not done.");
  return undefined;
}

async function finish(
  context: CommandContext,
  choice: Choice,
  marks: TreeMarks,
  restoreJobs: readonly string[],
): Promise<void> {
  const view = await viewOf(context, choice);
  const { files, bytes } = marks.rules.length === 0 ? { files: 0, bytes: 0 } : await view.count(marks.rules);
  context.data.jobIds = idsOf(choice.jobs);
  context.data.files = files;
  context.data.bytes = bytes;
  if (files === 0) return void (await context.say("No files selected to be restored."));
  const bootstrap = await leaveBootstrap(context, choice, marks);
  try {
    await printVolumes(context, choice);
    await context.print(`\n${withCommas(files)} file${files === 1 ? "" : "s"} selected to be restored.\n\n`);
    await askAndRun(context, { choice, marks, files, restoreJobs, bootstrap, dropBootstrap: true });
  } catch (error) {
    await rm(bootstrap, { force: true });
    throw error;
  }
}

/** How many files there are in the images is known when the job has mounted them. */
async function finishInImages(
  context: CommandContext,
  choice: Choice,
  { marks, inImages }: ImageChoice,
  restoreJobs: readonly string[],
): Promise<void> {
  context.data.jobIds = idsOf(choice.jobs);
  context.data.images = marks.rules.map(({ path }) => displayPath(path));
  await printVolumes(context, choice);
  await askAndRun(context, { choice, marks, inImages, files: 0, restoreJobs });
}

interface Chosen {
  choice: Choice;
  marks: TreeMarks;
  inImages?: InImages;
  /** Entries; 0: as many as the storage daemon plans. */
  files: number;
  restoreJobs: readonly string[];
  bootstrap?: string;
  dropBootstrap?: boolean;
}

async function askAndRun(context: CommandContext, chosen: Chosen): Promise<void> {
  const { choice, marks, inImages, files, restoreJobs, bootstrap, dropBootstrap = false } = chosen;
  const job = await restoreJob(context, restoreJobs);
  const restoreClient = await restoreClientOf(context, choice.client);
  const where = context.args.value("where");
  const regexWhere = relocationGiven(context);
  const replace = replaceOf(context.args.value("replace"));
  const comment = context.args.value("comment");
  const when = context.args.value("when");
  const request: RunRequest = {
    job,
    storage: choice.storage,
    ...(comment === undefined ? {} : { comment }),
    ...(when === undefined ? {} : { whenMs: startTime(when) }),
    restore: {
      selection: { jobIds: idsOf(choice.jobs), rules: marks.toWire() },
      client: choice.client,
      restoreClient,
      ...(where === undefined ? {} : { where }),
      ...(regexWhere === undefined ? {} : { regexWhere }),
      ...(replace === undefined ? {} : { replace }),
      filesExpected: files,
      ...(inImages === undefined ? {} : { inImages }),
      ...(bootstrap === undefined ? {} : { bootstrap, dropBootstrap }),
    },
  };
  await confirmRun(context, request, context.args.has("yes"));
}

/**
 * New names by keyword; prefixes and suffix outrank expressions. What is wrong with them, or with `where=`, is found by
 * the job, as in Bacula.
 */
function relocationGiven({ args }: CommandContext): string | undefined {
  const affixes = {
    strip: args.value("strip_prefix"),
    prefix: args.value("add_prefix"),
    suffix: args.value("add_suffix"),
  };
  return relocationOf(affixes) || args.value("regexwhere", "rwhere");
}

async function restoreJob(context: CommandContext, names: readonly string[]): Promise<string> {
  const kind = RESOURCE.restoreJob;
  if (names.length === 1 && context.args.value(...kind.keywords) === undefined) {
    // The only one is taken without a word, as Bacula does.
    context.require("job", names[0]!, "Job");
    return names[0]!;
  }
  return await selectResource(context, kind, names);
}

async function restoreClientOf(context: CommandContext, client: string): Promise<string> {
  const kind = RESOURCE.restoreClient;
  const { clients } = context.config;
  if (context.args.value(...kind.keywords) !== undefined)
    return await selectResource(context, kind, clients.keys());
  if (clients.has(client)) return client;
  await context.say(`Client "${client}" is no longer in the configuration; choose where the files shall go.`);
  return await pickResource(context, kind, [...clients.keys()]);
}

function replaceOf(text: string | undefined): ReplacePolicy | undefined {
  if (text === undefined) return undefined;
  const word = text.toLowerCase();
  const known = (["always", "ifnewer", "ifolder", "never"] as const).find((each) => each === word);
  if (known === undefined) {
    throw new BackupError("USAGE", `replace="${text}": must be always, ifnewer, ifolder or never`);
  }
  return known;
}
