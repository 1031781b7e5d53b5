/** Messages: `destination [= target] = types`. */

import { MESSAGE_WORDS } from "../../config/message-words.js";
import type { ConfigNode } from "../../config/source.js";
import type { BaculaDirective, BaculaWord } from "../syntax.js";
import type { BlockBuilder } from "./mapper.js";
import { name, replaced, text, unsupported } from "./rules.js";
import type { Rule, Rules } from "./types.js";

/** The types behind the last `=`, and the words in front of it. */
function split(words: readonly BaculaWord[]): {
  target: readonly BaculaWord[];
  types: readonly BaculaWord[];
} {
  const last = words.findLastIndex((word) => word.kind === "equals");
  return { target: words.slice(0, Math.max(0, last)), types: words.slice(last + 1) };
}

/** `all, !skipped`; types that are not known here are left out, and said so. */
function typesText(words: readonly BaculaWord[], directive: BaculaDirective, block: BlockBuilder): string {
  const joined = words.map(({ kind, text: word }) => (kind === "comma" ? "," : word)).join("");
  const given = joined
    .split(",")
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== "" && word !== "!");
  const unknown = given.filter((word) => !MESSAGE_WORDS.includes(word.replace(/^!/, "")));
  if (unknown.length > 0) {
    block.say("differs", directive, `there are no messages of the type ${unknown.join(", ")}`);
  }
  return given.filter((word) => !unknown.includes(word)).join(", ");
}

function plain(key: string): Rule {
  return (directive, block) => {
    const { target, types } = split(directive.words);
    if (target.length > 0) block.say("differs", directive, "what stands in front of the types has no effect");
    const given = typesText(types, directive, block);
    if (given === "") block.say("without effect", directive, "it names no types");
    else block.set(key, given, directive);
  };
}

function withTarget(key: string, isPath: boolean): Rule {
  return (directive, block) => {
    const { target, types } = split(directive.words);
    const texts = target
      .filter((word) => word.kind !== "comma" && word.kind !== "equals")
      .map((word) => word.text);
    const shown = isPath ? (texts[0] ?? "") : texts.join(", ");
    const given = typesText(types, directive, block);
    if (shown === "" || given === "") {
      block.say("wrong", directive, `${key} takes a target and types, such as: root = all, !skipped`);
      return;
    }
    const value: ConfigNode = { kind: "scalar", text: given, at: directive.at };
    const node: ConfigNode = {
      kind: "map",
      entries: [{ key: shown, at: directive.at, value }],
      at: directive.at,
    };
    block.add(key, [node], directive);
  };
}

export const MESSAGES_RULES: Rules = {
  name: name("Messages", "Name"),
  console: plain("Console"),
  catalog: plain("Catalog"),
  stdout: plain("Stdout"),
  stderr: plain("Stderr"),
  syslog: plain("Syslog"),
  append: withTarget("Append", true),
  file: withTarget("File", true),
  mail: withTarget("Mail", false),
  mailonerror: withTarget("MailOnError", false),
  mailonsuccess: withTarget("MailOnSuccess", false),
  operator: withTarget("Operator", false),
  mailcommand: text("MailCommand"),
  operatorcommand: text("OperatorCommand"),
  director: replaced("messages of jobs always go to the director"),
  timestampformat: unsupported("times in messages have one form"),
};
