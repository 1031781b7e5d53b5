/** `list` and `llist`: what is recorded, as tables or as blocks. The first keyword that names a subject decides. */
import type { Command, CommandContext } from "../context.js";
import { listDependants } from "./list-dependants.js";
import { listBaseFiles, listBaseJobs, listFiles, listJobLog } from "./list-job-parts.js";
import { listJobMedia } from "./list-jobmedia.js";
import { listJobs, listJobTotals } from "./list-jobs.js";
import { listClients, listCopies, listNextVolume, listPools, listVolumes } from "./list-media.js";

/** Lists one subject; `long` for llist. `value` is that of the keyword that chose it. */
export type Lister = (context: CommandContext, long: boolean, value: string | undefined) => Promise<void>;

/** In the order in which keywords are looked for: parts of a job before jobs, since `jobid=` goes with both. */
const SUBJECTS: readonly (readonly [words: readonly string[], lister: Lister])[] = [
  [["files"], listFiles],
  [["basefiles"], listBaseFiles],
  [["basejobs"], listBaseJobs],
  [["joblog"], listJobLog],
  [["dependants", "dependents"], listDependants],
  [["jobmedia"], listJobMedia],
  [["jobtotals"], listJobTotals],
  [["nextvol", "nextvolume"], listNextVolume],
  [["copies"], listCopies],
  [["volumes", "volume", "media"], listVolumes],
  [["pools", "pool"], listPools],
  [["jobs", "jobid", "ujobid", "job", "jobname"], listJobs],
  [["clients", "client"], listClients],
];

/** Keywords that only narrow a list down when another subject is named. */
const NARROWING = new Set(["pool", "client", "job", "jobname", "jobid", "ujobid", "volume"]);

function command(name: "list" | "llist", long: boolean): Command {
  return {
    name,
    summary: long ? "List with every column" : "List jobs, files, volumes, pools, clients, logs",
    usage: [
      `${name} jobs [job=NAME] [client=NAME] [jobstatus=T,W] [jobtype=B] [level=F] [joberrors] [days=N] [limit=N] [order=asc|desc]`,
      `${name} jobid=N | ujobid=JOB`,
      `${name} files jobid=N [type=all|deleted] [limit=N] [after=PATH]`,
      `${name} basefiles jobid=N`,
      `${name} basejobs jobid=N`,
      `${name} joblog jobid=N`,
      `${name} jobmedia [jobid=N]`,
      `${name} dependants jobid=N | volume=NAME`,
      `${name} jobtotals`,
      `${name} volumes [pool=NAME | jobid=N] | volume=NAME | media`,
      `${name} pools [pool=NAME]`,
      `${name} clients`,
      `${name} nextvol job=NAME`,
      `${name} copies [jobid=N]`,
    ],
    keywords: [
      ...[
        "jobs",
        "jobid=",
        "ujobid=",
        "files",
        "basefiles",
        "basejobs",
        "joblog",
        "jobmedia",
        "dependants",
        "jobtotals",
        "volumes",
        "volume=",
      ],
      ...[
        "media",
        "pools",
        "pool=",
        "clients",
        "nextvol",
        "copies",
        "job=",
        "client=",
        "jobstatus=",
        "jobtype=",
      ],
      ...["level=", "joberrors", "days=", "limit=", "order=", "type=", "after="],
    ],
    async run(context) {
      await context.useCatalog();
      const words = context.args.list;
      if (words.length === 0) return void (await context.fail(`What do you want to list? See help ${name}.`));
      const plain = SUBJECTS.find(([keys]) => words.some((arg) => keys.includes(arg.key) && !narrows(arg)));
      const found = plain ?? SUBJECTS.find(([keys]) => words.some((arg) => keys.includes(arg.key)));
      if (found === undefined) return void (await context.fail(`Unknown list keyword: ${words[0]!.text}`));
      const arg = words.find((each) => found[0].includes(each.key));
      await found[1](context, long, arg?.value);
    },
  };
}

function narrows(arg: { key: string; value: string | undefined }): boolean {
  return NARROWING.has(arg.key) && arg.value !== undefined;
}

export const list = command("list", false);
export const llist = command("llist", true);
