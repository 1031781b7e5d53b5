/** Completion of a half-typed line: commands, keywords of the command, names behind `keyword=`. */

import { Acl } from "./acl.js";
import { VOLUME_STATUSES } from "./commands/update-volume.js";
import { COMMANDS, DOT_COMMANDS } from "./commands.js";
import { findByPrefix, splitWords } from "./grammar.js";
import type { ConsoleDirector } from "./port.js";
import { RestrictedDirector } from "./rights/restricted.js";

export interface Completion {
  /** Whole words that may stand in place of `fragment`. */
  candidates: string[];
  /** End of the line that a candidate replaces. */
  fragment: string;
}

const MAX_CANDIDATES = 200;
/** Characters of a line that anybody wants completed. */
const MAX_LINE = 4096;

/** Candidates for the last word of `line`, only what the console may use. `console`: name in its certificate. */
export function completeLine(whole: ConsoleDirector, line: string, console = ""): Completion {
  if (line.length > MAX_LINE) return { candidates: [], fragment: "" };
  const acl = new Acl(whole.config.consoles.get(console));
  const { signal } = new AbortController();
  const director = acl.unrestricted ? whole : new RestrictedDirector(whole, acl, signal);
  const fragment = lastWord(line);
  const before = splitWords(line.slice(0, line.length - fragment.length));
  if (before.length === 0) {
    const table = fragment.startsWith(".") ? DOT_COMMANDS : COMMANDS;
    const names = table.map((command) => command.name).filter((name) => acl.allows("command", name));
    return { candidates: fitting(names, fragment), fragment };
  }
  const command = findByPrefix(before[0]!.startsWith(".") ? DOT_COMMANDS : COMMANDS, before[0]!);
  if (command === undefined || !acl.allows("command", command.name)) return { candidates: [], fragment };
  if (command.name === "help") {
    const names = COMMANDS.map(({ name }) => name).filter((name) => acl.allows("command", name));
    return { candidates: fitting(names, fragment), fragment };
  }
  const cut = fragment.indexOf("=");
  if (cut > 0) {
    const key = fragment.slice(0, cut).toLowerCase();
    const values = valuesFor(director, acl, key).map((value) => `${fragment.slice(0, cut)}=${quoted(value)}`);
    return { candidates: fitting(values, fragment), fragment };
  }
  return { candidates: fitting(command.keywords, fragment), fragment };
}

/** What stands behind the last blank that is not between quotes. */
function lastWord(line: string): string {
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!;
    if (char === "\\") at++;
    else if (char === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /\s/.test(char)) from = at + 1;
  }
  return line.slice(from);
}

function quoted(value: string): string {
  return /[\s"\\]/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value;
}

function fitting(words: readonly string[], fragment: string): string[] {
  const start = fragment.toLowerCase();
  return words.filter((word) => word.toLowerCase().startsWith(start)).slice(0, MAX_CANDIDATES);
}

const FIXED: Readonly<Record<string, readonly string[]>> = {
  level: ["Full", "Incremental", "Differential", "Base"],
  replace: ["always", "ifnewer", "ifolder", "never"],
  order: ["asc", "desc"],
  accurate: ["yes", "no"],
  type: ["all", "deleted"],
  volstatus: VOLUME_STATUSES,
  actiononpurge: ["truncate", "none"],
  action: ["truncate", "all"],
  recycle: ["yes", "no"],
  enabled: ["yes", "no"],
  inchanger: ["yes", "no"],
};

function valuesFor(director: ConsoleDirector, acl: Acl, key: string): string[] {
  const { config } = director;
  switch (key) {
    case "job":
    case "jobname":
    case "restorejob":
      return acl.filter("job", [...config.jobs.keys()], (name) => name);
    case "client":
    case "restoreclient":
    case "fd":
      return [...config.clients.keys()].filter((name) => acl.allowsClient(name));
    case "fileset":
      return acl.filter("fileSet", [...config.fileSets.keys()], (name) => name);
    case "storage":
    case "sd":
      return acl.filter("storage", [...config.storages.keys()], (name) => name);
    case "pool":
    case "nextpool":
    case "recyclepool":
    case "allfrompool":
      return acl.filter("pool", [...config.pools.keys()], (name) => name);
    case "schedule":
      return acl.filter("schedule", [...config.schedules.keys()], (name) => name);
    case "jobid":
      return director.queue.list().map((job) => String(job.jobId));
    default:
      return [...(FIXED[key] ?? [])];
  }
}
