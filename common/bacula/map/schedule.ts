/** Schedule: `Run = overrides when`. */

import { foldName } from "../../config/diagnostics.js";
import type { BaculaDirective, BaculaWord } from "../syntax.js";
import { lineOf } from "../values.js";
import type { BlockBuilder } from "./mapper.js";
import type { NameKind } from "./names.js";
import { name, text } from "./rules.js";
import type { Rule, Rules } from "./types.js";

const NAMES: Readonly<Record<string, NameKind>> = {
  pool: "Pool",
  fullpool: "Pool",
  incrementalpool: "Pool",
  differentialpool: "Pool",
  virtualfullpool: "Pool",
  nextpool: "Pool",
  storage: "Storage",
  messages: "Messages",
};

const OWN: Readonly<Record<string, string>> = {
  fullpool: "FullPool",
  incrementalpool: "IncrementalPool",
  differentialpool: "DifferentialPool",
  virtualfullpool: "VirtualFullPool",
  nextpool: "NextPool",
};

const BACKUP_LEVELS = ["full", "incremental", "differential", "base", "virtualfull"];
const VERIFY_LEVELS = ["initcatalog", "catalog", "volumetocatalog", "disktocatalog", "data"];
const NO_EFFECT = ["spooldata", "writepartafterjob"];

interface Override {
  readonly key: string;
  readonly value: string;
}

/** `Key = value` in front of the time; undefined when the line goes on with the time. */
function overrideAt(
  words: readonly BaculaWord[],
  at: number,
): { override: Override; next: number } | undefined {
  const [key, equals, value] = words.slice(at, at + 3);
  if (key?.kind !== "word" || equals?.kind !== "equals" || value === undefined) return undefined;
  return { override: { key: key.text, value: value.text }, next: at + 3 };
}

const run: Rule = (directive, block) => {
  if (directive.words.length === 0) {
    block.say("wrong", directive, "a time such as: mon-fri at 23:05 is missing");
    return;
  }
  const said: string[] = [];
  const overrides: string[] = [];
  const { words } = directive;
  let at = 0;
  for (;;) {
    const found = overrideAt(words, at);
    if (found !== undefined) {
      overrides.push(...overrideText(found.override, { directive, block, said }));
      at = found.next;
    } else if (isLevel(words[at]?.text)) {
      overrides.push(...overrideText({ key: "Level", value: words[at]!.text }, { directive, block, said }));
      at += 1;
    } else {
      break;
    }
  }
  const when = withTime(lineOf(words.slice(at)));
  if (/\b\w+\/\w+\b/.test(when)) {
    block.say("unsupported", directive, "every n-th week or day is not known here: these runs do not start");
    return;
  }
  for (const each of said) block.say("differs", directive, each);
  block.add("Run", [[...overrides, when].join(" ")], directive);
};

function isLevel(text: string | undefined): boolean {
  const word = text?.toLowerCase() ?? "";
  return BACKUP_LEVELS.includes(word) || VERIFY_LEVELS.includes(word);
}

interface Place {
  readonly directive: BaculaDirective;
  readonly block: BlockBuilder;
  readonly said: string[];
}

/** An override as it is written here; none for what does nothing. */
function overrideText({ key, value }: Override, { block, said }: Place): string[] {
  const folded = foldName(key);
  if (folded === "level" && VERIFY_LEVELS.includes(value.toLowerCase())) {
    said.push(`the Level of a Verify job is that of the job itself, not ${value}`);
    return [];
  }
  if (NO_EFFECT.includes(folded)) {
    said.push(`${key} in a Run line has no effect: nothing is spooled`);
    return [];
  }
  const kind = Object.hasOwn(NAMES, folded) ? NAMES[folded] : undefined;
  const mine = kind === undefined ? value : block.mapper.names.of(kind, value);
  const shownKey = Object.hasOwn(OWN, folded) ? OWN[folded] : key;
  return [`${shownKey}=${/[\s,]/.test(mine) ? `"${mine}"` : mine}`];
}

/** In Bacula a line that says no time is due every hour. */
function withTime(when: string): string {
  const words = when.toLowerCase().split(/\s+/);
  if (words.includes("at") || words.includes("hourly")) return when;
  return `${when} hourly at 0:00`.trim();
}

export const SCHEDULE_RULES: Rules = {
  name: name("Schedule", "Name"),
  run,
  enabled: text("Enabled"),
};
