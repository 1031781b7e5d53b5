/** Job and JobDefs. */

import type { BaculaDirective } from "../syntax.js";
import { givenText, listOf, textOf } from "../values.js";
import { BlockBuilder, LeftOut } from "./mapper.js";
import {
  firstName,
  line,
  list,
  mapDirectives,
  name,
  names,
  oneOfSeveral,
  text,
  textValue,
  time,
} from "./rules.js";
import type { Rule, Rules } from "./types.js";

const TYPES: Readonly<Record<string, string>> = {
  backup: "Backup",
  restore: "Restore",
  verify: "Verify",
  admin: "Admin",
  copy: "Copy",
  migrate: "Migrate",
  migration: "Migrate",
};

/** What Bacula and Bareos also take. */
const OTHER_TYPES: ReadonlySet<string> = new Set(["archive", "console", "scan", "system"]);

/** A job of another type must not become a backup. */
const type: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value === undefined) return;
  const mine = Object.hasOwn(TYPES, value.toLowerCase()) ? TYPES[value.toLowerCase()] : undefined;
  if (mine !== undefined) block.set("Type", mine, directive);
  else if (value.toLowerCase() === "consolidate") throw new LeftOut("replaced", CONSOLIDATE);
  else if (!OTHER_TYPES.has(value.toLowerCase()))
    throw new LeftOut("wrong", `a job is of Type Backup, Restore, Verify, Admin, Copy or Migrate`);
  else throw new LeftOut("unsupported", `there are no jobs of Type ${value}: this one is not run`);
};

const CONSOLIDATE =
  "runs are consolidated after each backup of a job with Keep and Consolidate; no job of its own is needed";

const MAX_PRIORITY = 1000;

const priority: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value === undefined) return;
  if (Number(value) > MAX_PRIORITY) {
    block.say("differs", directive, `priorities end at ${MAX_PRIORITY}; ${value} becomes ${MAX_PRIORITY}`);
    block.set("Priority", String(MAX_PRIORITY), directive);
  } else {
    block.set("Priority", value, directive);
  }
};

/** `%c` is the client of the job, which RunsOnClient says here. */
const target: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value === undefined) return;
  if (value === "%c") block.set("RunsOnClient", "yes", directive);
  else throw new LeftOut("unsupported", "the command would run on another machine than the job's client");
};

const runScriptRules: Rules = {
  command: oneOfSeveral("Command"),
  console: oneOfSeveral("Console"),
  runswhen: text("RunsWhen", { aftervss: "Before" }),
  target,
};

const runScript: Rule = (directive, block) => {
  if (directive.block === undefined) {
    block.say("wrong", directive, "RunScript needs a block { … }");
    return;
  }
  const place = `RunScript of ${block.place}`;
  const inner = new BlockBuilder(block.mapper, place, directive.at);
  mapDirectives(directive.block, runScriptRules, inner);
  block.add("RunScript", [inner.node()], directive);
};

/** How the daemons' own databases are backed up here. */
export interface CatalogCopy {
  /** Command that copies them. */
  readonly command: string;
  /** Directory that it copies them to. */
  readonly directory: string;
}

/** Bacula's own scripts around the backup of its catalog have no database to work on. */
function catalogScripts(copy: CatalogCopy): Rules {
  const before: Rule = (directive, block) => {
    if (!/\bmake_catalog_backup/.test(textOf(directive).text))
      return oneOfSeveral("RunBeforeJob")(directive, block);
    block.say(
      "differs",
      directive,
      "it copies the daemons' own databases, which take the place of Bacula's catalog",
    );
    block.add("RunBeforeJob", [copy.command], directive);
  };
  const after: Rule = (directive, block) => {
    if (!/\bdelete_catalog_backup/.test(textOf(directive).text))
      return oneOfSeveral("RunAfterJob")(directive, block);
    block.say("replaced", directive, "the copy of the databases stays, and the next one takes its place");
  };
  return { runbeforejob: before, runafterjob: after };
}

const ONE_STORAGE = "a job has one Storage here; it does not move on to others";

const JOB_RULES: Rules = {
  jobdefs: name("JobDefs"),
  type,
  level: text("Level", { verifyvolumetocatalog: "VolumeToCatalog" }),
  client: name("Client"),
  fileset: name("FileSet"),
  pool: name("Pool"),
  fullpool: name("Pool", "FullPool"),
  fullbackuppool: name("Pool", "FullPool"),
  incrementalpool: name("Pool", "IncrementalPool"),
  incrementalbackuppool: name("Pool", "IncrementalPool"),
  differentialpool: name("Pool", "DifferentialPool"),
  differentialbackuppool: name("Pool", "DifferentialPool"),
  virtualfullbackuppool: name("Pool", "VirtualFullPool"),
  nextpool: name("Pool"),
  alwaysincrementalnextpool: name("Pool", "NextPool"),
  storage: firstName("Storage", ONE_STORAGE),
  schedule: name("Schedule"),
  messages: name("Messages"),
  base: names("Job"),
  verifyjob: name("Job"),
  jobtoverify: name("Job", "VerifyJob"),
  priority,
  maxruntime: time("MaxRunTime"),
  maximumruntime: time("MaxRunTime"),
  maxwaittime: time("MaxWaitTime"),
  maximumwaittime: time("MaxWaitTime"),
  maxstartdelay: time("MaxStartDelay"),
  maximumstartdelay: time("MaxStartDelay"),
  maxrunschedtime: time("MaxRunSchedTime"),
  maximumrunschedtime: time("MaxRunSchedTime"),
  fullmaxruntime: time("FullMaxRunTime"),
  fullmaxwaittime: time("FullMaxRunTime"),
  incrementalmaxruntime: time("IncrementalMaxRunTime"),
  incrementalmaxwaittime: time("IncrementalMaxRunTime"),
  differentialmaxruntime: time("DifferentialMaxRunTime"),
  differentialmaxwaittime: time("DifferentialMaxRunTime"),
  maxfullinterval: time("MaxFullInterval"),
  maximumfullinterval: time("MaxFullInterval"),
  maxdiffinterval: time("MaxDiffInterval"),
  maximumdiffinterval: time("MaxDiffInterval"),
  maxvirtualfullinterval: time("MaxVirtualFullInterval"),
  rescheduleinterval: time("RescheduleInterval"),
  jobretention: time("JobRetention"),
  fileretention: time("FileRetention"),
  alwaysincrementaljobretention: time("AlwaysIncrementalJobRetention"),
  alwaysincrementalmaxfullage: time("AlwaysIncrementalMaxFullAge"),
  maximumbandwidth: line("MaximumBandwidth"),
  maxbandwidth: line("MaximumBandwidth"),
  maximumbandwidthperjob: line("MaximumBandwidth"),
  spoolsize: line("SpoolSize"),
  runbeforejob: oneOfSeveral("RunBeforeJob"),
  runafterjob: oneOfSeveral("RunAfterJob"),
  runafterfailedjob: oneOfSeveral("RunAfterFailedJob"),
  clientrunbeforejob: oneOfSeveral("ClientRunBeforeJob"),
  clientrunafterjob: oneOfSeveral("ClientRunAfterJob"),
  runscript: runScript,
  run: oneOfSeveral("Run"),
  fdpluginoptions: list("FdPluginOptions"),
  sdpluginoptions: list("SdPluginOptions"),
  dirpluginoptions: list("DirPluginOptions"),
};

/** The rules of Job or JobDefs, which have names of their own. */
export function jobRules(kind: "Job" | "JobDefs", copy: CatalogCopy | undefined): Rules {
  const scripts = copy === undefined ? {} : catalogScripts(copy);
  return { ...JOB_RULES, ...scripts, name: name(kind, "Name") };
}

/** A command that a job has run on its client. */
export interface ClientCommand {
  readonly command: string;
  readonly directive: BaculaDirective;
}

/** The commands of one Job or JobDefs that are run by file daemons. */
export function clientCommands(directives: readonly BaculaDirective[]): ClientCommand[] {
  return directives.flatMap((directive): ClientCommand[] => {
    const folded = directive.name.toLowerCase().replace(/[\s_-]/g, "");
    if (folded === "clientrunbeforejob" || folded === "clientrunafterjob") {
      return [{ command: textOf(directive).text, directive }];
    }
    if (folded !== "runscript" || directive.block === undefined) return [];
    const onClient = givenText(directive.block, "RunsOnClient") ?? "yes";
    if (/^(no|false|off|0)$/i.test(onClient)) return [];
    return directive.block
      .filter((inner) => inner.name.toLowerCase() === "command")
      .map((inner) => ({ command: listOf(inner.words).join(","), directive: inner }));
  });
}
