/** The summary of a run, `OK to run?`, and the changes that `mod` offers. */
import { baculaTime, nowMs } from "../../common/time.js";
import { VERIFY_LEVELS } from "../config/job-spec.js";
import type { JobLevel, ReplacePolicy, VerifyLevel } from "../config/types.js";
import { restoreTarget, shownTarget } from "../job/restore-target.js";
import { verifyLevelOf } from "../job/verify.js";
import { startTime } from "./commands/run.js";
import { Abandoned, type CommandContext, catalogName } from "./context.js";
import { copyLines, from, type Line } from "./copy-lines.js";
import type { JobPlan, RunRequest } from "./port.js";
import { choose, granted, pickResource, RESOURCE, type ResourceKind, yesModNo } from "./prompts.js";
import { relocationDialog } from "./relocation-dialog.js";
import { checkPlan } from "./rights/run.js";

/**
 * Shows what would run and asks, unless `sure`; then queues it. `files`: where a restore's Storage is known better
 * than from its job.
 */
export async function confirmRun(context: CommandContext, request: RunRequest, sure: boolean): Promise<void> {
  let current = request;
  for (;;) {
    const plan = context.director.plan(current);
    checkPlan(plan, context.acl);
    if (sure) return await start(context, current);
    await context.print(summary(context, plan));
    const answer = await yesModNo(context);
    if (answer === "yes") return await start(context, current);
    if (answer === "no") return void (await context.fail("Job not run."));
    current = await modify(context, current, plan);
  }
}

async function start(context: CommandContext, request: RunRequest): Promise<void> {
  const jobId = await context.director.runJob(request);
  context.data.jobId = jobId;
  await context.say(`Job queued. JobId=${jobId}`);
}

const TITLES: Readonly<Record<string, string>> = {
  Backup: "Backup job",
  Restore: "Restore job",
  Verify: "Verify Job",
  Copy: "Copy job",
  Migrate: "Migration job",
  Admin: "Admin Job",
};

const REPLACE_WORDS: Readonly<Record<ReplacePolicy, string>> = {
  always: "Always",
  ifnewer: "IfNewer",
  ifolder: "IfOlder",
  never: "Never",
};

function summary(context: CommandContext, plan: JobPlan): string {
  const lines = plan.job.type === "Restore" ? restoreLines(context, plan) : jobLines(plan);
  const wide = plan.job.type === "Restore" || plan.job.type === "Copy" || plan.job.type === "Migrate";
  const width = wide ? 17 : 10;
  const text = lines.map(([key, value]) => `${`${key}:`.padEnd(width)}${value}\n`).join("");
  const { job, ...rest } = { job: plan.job.name, type: plan.job.type };
  context.data.summary = { job, ...rest, ...Object.fromEntries(lines) };
  return `Run ${TITLES[plan.job.type]}\n${text}`;
}

function jobLines(plan: JobPlan): Line[] {
  const { job, client, fileSet, pool, storage, origins } = plan;
  const lines: Line[] = [["JobName", job.name]];
  if (job.type !== "Admin") {
    lines.push(["Level", job.type === "Verify" ? verifyLevelOf(plan) : plan.level]);
    lines.push(["Client", client?.name ?? "*None*"], ["FileSet", fileSet?.name ?? "*None*"]);
    lines.push(["Pool", from(pool?.name, origins.pool)]);
    if (job.type === "Copy" || job.type === "Migrate") lines.push(...copyLines(plan));
    else lines.push(["Storage", from(storage?.name, origins.storage)]);
  }
  lines.push(["When", when(plan)], ["Priority", String(plan.priority)]);
  return lines;
}

/** What is due now is shown with the current time, which moves on while the question stands. */
function when(plan: JobPlan): string {
  return baculaTime(Math.max(plan.whenMs, nowMs()));
}

function restoreLines(context: CommandContext, plan: JobPlan): Line[] {
  const { job, client, fileSet, storage, request } = plan;
  const replace = request.restore?.replace ?? job.replace;
  return [
    ["JobName", job.name],
    ["Bootstrap", request.restore?.bootstrap ?? "*None*"],
    [restoreTarget(plan).regexWhere === "" ? "Where" : "RegexWhere", shownTarget(plan)],
    ["Replace", REPLACE_WORDS[replace]],
    ["FileSet", fileSet?.name ?? "*None*"],
    ["Backup Client", request.restore?.client ?? client?.name ?? "*None*"],
    ["Restore Client", request.restore?.restoreClient ?? client?.name ?? "*None*"],
    ["Storage", storage?.name ?? "*None*"],
    ["When", when(plan)],
    ["Catalog", catalogName(context.whole)],
    ["Priority", String(plan.priority)],
    ["Plugin Options", "*None*"],
  ];
}

/** Backup jobs by name; its newest run is verified. */
const changeVerifyJob: Change = async (context, request) => {
  const { verifyJobId: _, ...rest } = request;
  const jobs = [...context.config.jobs.values()].filter(({ type }) => type === "Backup");
  const names = jobs.map(({ name }) => name);
  const verifyJob = await pickResource(context, RESOURCE.job, granted(context, RESOURCE.job, names));
  return { ...rest, verifyJob };
};

type Change = (context: CommandContext, request: RunRequest, plan: JobPlan) => Promise<RunRequest>;

function resourceChange(
  kind: ResourceKind,
  field: "storage" | "job" | "fileSet" | "client" | "pool" | "nextPool",
  names: (context: CommandContext, plan: JobPlan) => Iterable<string>,
): Change {
  return async (context, request, plan) => {
    const name = await pickResource(context, kind, granted(context, kind, names(context, plan)));
    const origins = { ...request.origins, ...(field === "job" ? {} : { [field]: "User input" }) };
    return { ...request, [field]: name, origins };
  };
}

const changeStorage = resourceChange(RESOURCE.storage, "storage", (context) =>
  context.config.storages.keys(),
);
const changePool = resourceChange(RESOURCE.pool, "pool", (context) => context.config.pools.keys());
const changeNextPool = resourceChange(RESOURCE.nextPool, "nextPool", (context) =>
  context.config.pools.keys(),
);
const changeFileSet = resourceChange(RESOURCE.fileSet, "fileSet", (context) =>
  context.config.fileSets.keys(),
);
const changeClient = resourceChange(RESOURCE.client, "client", (context) => context.config.clients.keys());
const changeJob = resourceChange(RESOURCE.job, "job", (context, plan) =>
  [...context.config.jobs.values()]
    .filter((job) => (job.type === "Restore") === (plan.job.type === "Restore"))
    .map((job) => job.name),
);

const LEVELS: readonly (JobLevel | "Since")[] = [
  ...(["Full", "Incremental", "Differential", "Since", "VirtualFull", "Base"] as const),
];

/** As Bacula offers them. */
const VERIFY_WORDS: Readonly<Record<VerifyLevel, string>> = {
  InitCatalog: "Initialize Catalog",
  Catalog: "Verify Catalog",
  VolumeToCatalog: "Verify Volume to Catalog",
  DiskToCatalog: "Verify Disk to Catalog",
  Data: "Verify Volume Data",
};

const changeLevel: Change = async (context, request, plan) => {
  if (plan.job.type === "Verify") {
    const items = VERIFY_LEVELS.map((each) => VERIFY_WORDS[each]);
    const chosen = await choose(context, { heading: "Levels:", items, question: "Select level" });
    const level = VERIFY_LEVELS[chosen]!;
    return { ...request, verifyLevel: level, origins: { ...request.origins, level: "User input" } };
  }
  if (plan.job.type !== "Backup") {
    await context.say("Level not appropriate for this Job. Cannot be changed.");
    return request;
  }
  const heading = "Levels:";
  const level = LEVELS[await choose(context, { heading, items: LEVELS, question: "Select level" })]!;
  if (level === "Since") {
    await context.say(`Level ${level} is not available in this version.`);
    return request;
  }
  return { ...request, level, origins: { ...request.origins, level: "User input" } };
};

const changeWhen: Change = async (context, request) => {
  const text = await context.ask("Please enter desired start time as YYYY-MM-DD HH:MM:SS (return for now): ");
  return { ...request, whenMs: text === "" ? nowMs() : startTime(text) };
};

const changePriority: Change = async (context, request) => {
  const text = await context.ask("Enter new Priority: ");
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) {
    return { ...request, priority: Number(text), origins: { ...request.origins, priority: "User input" } };
  }
  await context.say("Priority must be a positive integer.");
  return request;
};

const changeRestoreClient: Change = async (context, request) => {
  const list = granted(context, RESOURCE.restoreClient, context.config.clients.keys());
  const restoreClient = await pickResource(context, RESOURCE.restoreClient, list);
  return { ...request, restore: { ...request.restore!, restoreClient } };
};

const changeWhere: Change = async (context, request) => {
  const where = await context.ask("Please enter the full path prefix for restore (/ for none): ");
  if (where !== "" && !where.startsWith("/")) {
    await context.say("Prefix must begin with a /.");
    return request;
  }
  const { regexWhere: _, ...restore } = request.restore!;
  return { ...request, restore: { ...restore, where: where === "/" ? "" : where } };
};

const changeRelocation: Change = async (context, request) => {
  const regexWhere = await relocationDialog(context);
  if (regexWhere === undefined) return request;
  return { ...request, restore: { ...request.restore!, regexWhere } };
};

/** A restore that was chosen file by file is not one of a whole job. */
const changeJobId: Change = async (context, request) => {
  await context.say("You must set the bootstrap file to NULL to be able to specify a JobId.");
  return request;
};

/** Asked for as in Bacula, so that scripts go on in step. */
const changePluginOptions: Change = async (context, request) => {
  const text = await context.ask("Please Plugin Options string: ");
  if (text !== "") await context.say("There are no plugins: the options are not used.");
  return request;
};

const POLICIES: readonly ReplacePolicy[] = ["always", "ifnewer", "ifolder", "never"];

const changeReplace: Change = async (context, request) => {
  const items = POLICIES.map((policy) => REPLACE_WORDS[policy]);
  const index = await choose(context, { heading: "Replace:", items, question: "Select replace option" });
  return { ...request, restore: { ...request.restore!, replace: POLICIES[index]! } };
};

function unavailable(name: string): Change {
  return async (context, request) => {
    await context.say(`${name} is not available in this version.`);
    return request;
  };
}

const COMMON: readonly [string, Change][] = [
  ["Level", changeLevel],
  ["Storage", changeStorage],
  ["Job", changeJob],
  ["FileSet", changeFileSet],
];
const AFTER_CLIENT: readonly [string, Change][] = [
  ["When", changeWhen],
  ["Priority", changePriority],
];

function changesOf(plan: JobPlan): readonly [string, Change][] {
  const client: [string, Change] = ["Client", changeClient];
  switch (plan.job.type) {
    case "Restore":
      return [
        ...COMMON,
        ["Restore Client", changeRestoreClient],
        ...AFTER_CLIENT,
        ["Bootstrap", unavailable("Bootstrap")],
        ["Where", changeWhere],
        ["File Relocation", changeRelocation],
        ["Replace", changeReplace],
        ["JobId", changeJobId],
        ["Plugin Options", changePluginOptions],
      ];
    case "Backup":
      return [
        ...COMMON,
        client,
        ...AFTER_CLIENT,
        ["Pool", changePool],
        ["Plugin Options", changePluginOptions],
      ];
    case "Verify":
      return [...COMMON, client, ...AFTER_CLIENT, ["Pool", changePool], ["Verify Job", changeVerifyJob]];
    case "Copy":
    case "Migrate":
      return [...COMMON, client, ...AFTER_CLIENT, ["Pool", changePool], ["NextPool", changeNextPool]];
    default:
      return [...COMMON, client, ...AFTER_CLIENT];
  }
}

async function modify(context: CommandContext, request: RunRequest, plan: JobPlan): Promise<RunRequest> {
  const changes = changesOf(plan);
  const index = await choose(context, {
    heading: "Parameters to modify:",
    items: changes.map(([name]) => name),
    question: "Select parameter to modify",
  });
  try {
    return await changes[index]![1](context, request, plan);
  } catch (error) {
    if (error instanceof Abandoned || context.signal.aborted) throw error;
    // A value that does not fit is told, and the summary comes again.
    await context.say((error as Error).message);
    return request;
  }
}
