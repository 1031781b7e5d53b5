/** The usual things that become of a directive. */

import { foldName } from "../../config/diagnostics.js";
import type { BaculaDirective } from "../syntax.js";
import { listOf, plainLineOf, textOf, timeText } from "../values.js";
import { type BlockBuilder, countDirectives } from "./mapper.js";
import type { NameKind } from "./names.js";
import type { Outcome, Removal, Rule, Rules } from "./types.js";

/** Applies rules to the directives of a block, in their order. */
export function mapDirectives(
  directives: readonly BaculaDirective[],
  rules: Rules,
  block: BlockBuilder,
): void {
  const { mapper } = block;
  for (const directive of directives) {
    const removal = mapper.removed.get(directive);
    const before = mapper.findings.length;
    mapper.total += 1;
    if (removal === undefined) {
      ruleFor(foldName(directive.name), rules)(directive, block);
    } else {
      mapper.total += countDirectives(directive.block ?? []);
      block.say(removal.outcome, directive, removal.text);
      for (const inner of removedInside(directive.block ?? [], mapper.removed)) {
        block.say(inner.removal.outcome, inner.directive, inner.removal.text);
      }
    }
    const said = mapper.findings.slice(before);
    if (!said.some(({ at, outcome }) => at === directive.at && outcome !== "differs")) mapper.carried += 1;
  }
}

/** Directives of a block that is left out which were themselves the reason. */
export function removedInside(
  directives: readonly BaculaDirective[],
  removed: ReadonlyMap<object, Removal>,
): { directive: BaculaDirective; removal: Removal }[] {
  return directives.flatMap((directive) => {
    const removal = removed.get(directive);
    const inner = removedInside(directive.block ?? [], removed);
    return removal === undefined ? inner : [{ directive, removal }, ...inner];
  });
}

function ruleFor(folded: string, rules: Rules): Rule {
  if (Object.hasOwn(rules, folded)) return rules[folded]!;
  return folded.startsWith("tls") ? replaced(TLS) : (rules[""] ?? text());
}

const TLS = "connections always use mutual TLS, with the certificates in pki/";

/** Passwords of daemons and consoles. */
export const PASSWORD: Rule = (directive, block) => {
  if (!block.mapper.places.takesPasswords) replaced(CERTIFICATES)(directive, block);
};

const CERTIFICATES = "daemons and consoles prove who they are with the certificates in pki/";

/** `Maximum Concurrent jobs` as `MaximumConcurrentJobs`. */
export function yamlName(name: string): string {
  return name.replace(/(?:^|[\s_-]+)(\S)/g, (_, letter: string) => letter.toUpperCase());
}

function leftOut(outcome: Outcome, why: string): Rule {
  return (directive, block) => {
    block.mapper.total += countDirectives(directive.block ?? []);
    block.say(outcome, directive, why);
  };
}

export function replaced(why: string): Rule {
  return leftOut("replaced", why);
}

export function withoutEffect(why: string): Rule {
  return leftOut("without effect", why);
}

export function unsupported(consequence: string): Rule {
  return leftOut("unsupported", consequence);
}

/** The text of a directive; undefined, and said so, for an empty one or a block. */
export function textValue(directive: BaculaDirective, block: BlockBuilder): string | undefined {
  if (directive.block !== undefined) {
    block.mapper.total += countDirectives(directive.block);
    block.say("unsupported", directive, "a block of this name is not known here");
    return undefined;
  }
  const { text: value, ignored } = textOf(directive);
  if (value === "") {
    block.say("without effect", directive, "it is empty");
    return undefined;
  }
  if (ignored !== "") sayIgnored(directive, block, ignored);
  return value;
}

/** What stands behind a value is passed over, as Bacula does. */
export function sayIgnored(directive: BaculaDirective, block: BlockBuilder, ignored: string): void {
  const shown = ignored.length > 60 ? `${ignored.slice(0, 57)}...` : ignored;
  block.say("differs", directive, `as in Bacula, only the first value counts, not: ${shown}`);
}

/** One text, under its own name or another one; `values` changes what is known by another word here. */
export function text(to?: string, values: Readonly<Record<string, string>> = {}): Rule {
  return (directive, block) => {
    const value = textValue(directive, block);
    if (value === undefined) return;
    const other = Object.hasOwn(values, value.toLowerCase()) ? values[value.toLowerCase()] : undefined;
    block.set(to ?? yamlName(directive.name), other ?? value, directive);
  };
}

/** A size or number, for which the whole line counts. */
export function line(to?: string): Rule {
  return (directive, block) => {
    if (directive.words.length === 0) textValue(directive, block);
    else block.set(to ?? yamlName(directive.name), plainLineOf(directive), directive);
  };
}

/** A time; `3m` becomes `3 months`. */
export function time(to?: string): Rule {
  return (directive, block) => {
    if (directive.words.length === 0) textValue(directive, block);
    else block.set(to ?? yamlName(directive.name), timeText(plainLineOf(directive)), directive);
  };
}

/** Several texts, by commas or by several directives of the name. */
export function list(to?: string): Rule {
  return (directive, block) => {
    const values = listOf(directive.words);
    if (values.length === 0) textValue(directive, block);
    else block.add(to ?? yamlName(directive.name), values, directive);
  };
}

/** One text of several that directives of the same name give. */
export function oneOfSeveral(to?: string): Rule {
  return (directive, block) => {
    const value = textValue(directive, block);
    if (value !== undefined) block.add(to ?? yamlName(directive.name), [value], directive);
  };
}

/** The name of another resource, or the own one. */
export function name(kind: NameKind, to?: string): Rule {
  return (directive, block) => {
    const value = textValue(directive, block);
    if (value === undefined) return;
    const mine = block.mapper.names.of(kind, value);
    if (mine !== value) block.say("differs", directive, `the name cannot be used here; it becomes "${mine}"`);
    block.set(to ?? yamlName(directive.name), mine, directive);
  };
}

/** Names of other resources of which the first one counts here. */
export function firstName(kind: NameKind, why: string, to?: string): Rule {
  return (directive, block) => {
    const [first, ...others] = listOf(directive.words);
    const key = to ?? yamlName(directive.name);
    if (first === undefined) {
      textValue(directive, block);
    } else if (block.has(key)) {
      block.say("unsupported", directive, why);
    } else {
      if (others.length > 0) block.say("differs", directive, `${why}; left out: ${others.join(", ")}`);
      block.set(key, block.mapper.names.of(kind, first), directive);
    }
  };
}

/** Names of other resources. */
export function names(kind: NameKind, to?: string): Rule {
  return (directive, block) => {
    const values = listOf(directive.words).map((each) => block.mapper.names.of(kind, each));
    if (values.length === 0) textValue(directive, block);
    else block.add(to ?? yamlName(directive.name), values, directive);
  };
}
