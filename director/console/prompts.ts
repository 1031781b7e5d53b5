/** Questions in Bacula's form: choice lists, yes/no, and resources given by keyword or chosen from a list. */
import type { AclKind } from "./acl.js";
import { Abandoned, type CommandContext } from "./context.js";

export interface Choice {
  /** Line above the list. */
  heading: string;
  items: readonly string[];
  /** Question without its ` (1-N): `. */
  question: string;
  /** What a single item is called when it is taken unasked; without it the question is asked all the same. */
  automatic?: string | undefined;
}

/** Index of the chosen item. `.` and an empty list abandon the command. */
export async function choose(context: CommandContext, choice: Choice): Promise<number> {
  const { items, automatic, heading, question } = choice;
  if (items.length === 0) {
    return await context.fail(`Selection list for "${question.replace(/^Select (the )?/, "")}" is empty!`);
  }
  if (items.length === 1 && automatic !== undefined) {
    await context.say(`Automatically selected ${automatic}: ${items[0]}`);
    return 0;
  }
  const list = items.map((item, index) => `${String(index + 1).padStart(6)}: ${item}\n`).join("");
  await context.print(`${heading}\n${list}`);
  for (;;) {
    const answer = await context.ask(`${question} (1-${items.length}): `);
    const number = await positive(context, answer);
    if (number === undefined) continue;
    if (number <= items.length) return number - 1;
    await context.say(`Please enter a number between 1 and ${items.length}`);
  }
}

/** The positive number in `answer`; otherwise says what was expected. */
async function positive(context: CommandContext, answer: string): Promise<number | undefined> {
  if (/^\d{1,9}$/.test(answer) && Number(answer) > 0) return Number(answer);
  await context.say(`Expected a positive integer, got: ${answer}`);
  return undefined;
}

/** True for `yes` and its prefixes, false for `no`, its prefixes and `.`; anything else is asked again. */
export async function yesNo(context: CommandContext, question: string): Promise<boolean> {
  for (;;) {
    const answer = (await context.askRaw(question)).trim().toLowerCase();
    if (answer === ".") return false;
    if (answer !== "" && "yes".startsWith(answer)) return true;
    if (answer !== "" && "no".startsWith(answer)) return false;
    await context.say("Invalid response. You must answer yes or no.");
  }
}

/** `yes`, `no` or `mod` (prefixes too); `.` is no. */
export async function yesModNo(
  context: CommandContext,
  question = "OK to run? (yes/mod/no): ",
): Promise<"yes" | "mod" | "no"> {
  for (;;) {
    const answer = (await context.askRaw(question)).trim();
    const word = answer.toLowerCase();
    if (word === ".") return "no";
    for (const known of ["yes", "mod", "no"] as const) {
      if (word !== "" && known.startsWith(word)) return known;
    }
    await context.say(`Bad response: ${answer}. You must answer yes, mod, or no.`);
  }
}

/** A kind of resource and the words of its question. */
export interface ResourceKind {
  keywords: readonly string[];
  /** As in `Job "x" not found`. */
  label: string;
  heading: string;
  question: string;
  automatic: string;
  acl: AclKind;
}

export const RESOURCE: Readonly<
  Record<
    | "job"
    | "restoreJob"
    | "client"
    | "restoreClient"
    | "fileSet"
    | "storage"
    | "pool"
    | "nextPool"
    | "schedule",
    ResourceKind
  >
> = {
  job: {
    keywords: ["job", "jobname"],
    label: "Job",
    heading: "The defined Job resources are:",
    question: "Select Job resource",
    automatic: "Job",
    acl: "job",
  },
  restoreJob: {
    keywords: ["restorejob"],
    label: "Restore Job",
    heading: "The defined Restore Job resources are:",
    question: "Select Restore Job",
    automatic: "Restore Job",
    acl: "job",
  },
  client: {
    keywords: ["client", "fd"],
    label: "Client",
    heading: "The defined Client resources are:",
    question: "Select Client (File daemon) resource",
    automatic: "Client",
    acl: "client",
  },
  restoreClient: {
    keywords: ["restoreclient"],
    label: "Client",
    heading: "The defined Client resources are:",
    question: "Select Client (File daemon) resource",
    automatic: "Client",
    acl: "restoreClient",
  },
  fileSet: {
    keywords: ["fileset"],
    label: "FileSet",
    heading: "The defined FileSet resources are:",
    question: "Select FileSet resource",
    automatic: "FileSet",
    acl: "fileSet",
  },
  storage: {
    keywords: ["storage", "sd"],
    label: "Storage",
    heading: "The defined Storage resources are:",
    question: "Select Storage resource",
    automatic: "Storage",
    acl: "storage",
  },
  pool: {
    keywords: ["pool"],
    label: "Pool",
    heading: "The defined Pool resources are:",
    question: "Select Pool resource",
    automatic: "Pool",
    acl: "pool",
  },
  nextPool: {
    keywords: ["nextpool"],
    label: "Pool",
    heading: "The defined Pool resources are:",
    question: "Select Pool resource",
    automatic: "Pool",
    acl: "pool",
  },
  schedule: {
    keywords: ["schedule"],
    label: "Schedule",
    heading: "The defined Schedule resources are:",
    question: "Select Schedule resource",
    automatic: "Schedule",
    acl: "schedule",
  },
};

/** Names that this console may use, in the order of the configuration. */
export function granted(context: CommandContext, kind: ResourceKind, names: Iterable<string>): string[] {
  return [...names].filter((name) =>
    kind.acl === "client" || kind.acl === "restoreClient"
      ? context.acl.allowsClient(name, kind.acl === "restoreClient" ? "restore" : "any")
      : context.acl.allows(kind.acl, name),
  );
}

/** The resource named by keyword, else chosen from a list. An unknown name is told, then the list is asked. */
export async function selectResource(
  context: CommandContext,
  kind: ResourceKind,
  names: Iterable<string>,
): Promise<string> {
  const list = granted(context, kind, names);
  const given = context.args.value(...kind.keywords);
  if (given !== undefined) {
    if (list.includes(given)) return given;
    await context.say(`${kind.label} "${given}" not found`);
  }
  return await pickResource(context, kind, list);
}

/** Names of one kind, and the words of their question. */
export interface NamedChoice {
  /** As in `Pool "x" not found`. */
  label: string;
  heading: string;
  question: string;
  names: readonly string[];
}

/** `given` if it is among the names, else one chosen from them. An unknown name is told first. */
export async function selectNamed(
  context: CommandContext,
  given: string | undefined,
  { label, heading, question, names }: NamedChoice,
): Promise<string> {
  if (given !== undefined) {
    if (names.includes(given)) return given;
    await context.say(`${label} "${given}" not found`);
  }
  return names[await choose(context, { heading, items: names, question, automatic: label })]!;
}

/** The question of selectResource alone. */
export async function pickResource(
  context: CommandContext,
  kind: ResourceKind,
  list: readonly string[],
): Promise<string> {
  if (list.length === 0) {
    await context.say(`No ${kind.label} resource is defined, or none that this console may use.`);
    throw new Abandoned(`no ${kind.label} resource`);
  }
  const { heading, question, automatic } = kind;
  return list[await choose(context, { heading, items: list, question, automatic })]!;
}
