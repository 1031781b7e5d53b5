/**
 * FileSet. Two things are read otherwise here than in Bacula, and are put right: in Bacula the settings of the last
 * Options block hold for all files that no block matches, and a block without patterns in front of others matches
 * nothing; here such a block matches every file.
 */

import { foldName } from "../../config/diagnostics.js";
import type { ConfigNode } from "../../config/source.js";
import type { BaculaDirective } from "../syntax.js";
import { givenText, isYes, textOf } from "../values.js";
import { BlockBuilder } from "./mapper.js";
import {
  mapDirectives,
  name,
  oneOfSeveral,
  sayIgnored,
  text,
  textValue,
  unsupported,
  withoutEffect,
} from "./rules.js";
import type { MapNode, Rule, Rules } from "./types.js";

const NO_WINDOWS = "there are no Windows clients";

const compression: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value === undefined) return;
  const word = value.toLowerCase();
  if (/^(lzfast|lz4hc?|lzo)$/.test(word))
    block.set("Compression", word === "lzo" ? "LZO" : "fast", directive);
  else if (/^zstd\d*$/.test(word)) block.set("Compression", word.slice(4) || "auto", directive);
  else block.set("Compression", value, directive);
};

const SIGNATURES = new Set(["none", "no", "md5", "sha1", "sha256", "sha512"]);

const signature: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value === undefined) return;
  if (SIGNATURES.has(value.toLowerCase())) block.set("Signature", value, directive);
  else block.say("replaced", directive, "content is always known by its BLAKE3 digest");
};

const LETTERS = "ipnugsamcdA5123";

/** Letters that are not known here are left out. */
function letters(key: string): Rule {
  return (directive, block) => {
    const value = textValue(directive, block);
    if (value === undefined) return;
    const known = [...value].filter((letter) => LETTERS.includes(letter)).join("");
    const others = [...value].filter((letter) => !LETTERS.includes(letter)).join("");
    if (known === "") {
      block.say("unsupported", directive, `none of these letters is known here (${[...LETTERS].join(" ")})`);
      return;
    }
    if (others !== "")
      block.say("differs", directive, `the letters ${others} are not known here, and left out`);
    block.set(key, known, directive);
  };
}

const patterns = (key: string): Rule => oneOfSeveral(key);

const OPTION_RULES: Rules = {
  compression,
  signature,
  basejob: letters("BaseJob"),
  accurate: letters("Accurate"),
  verify: letters("Verify"),
  onefs: text("OneFS"),
  aclsupport: text("AclSupport"),
  xattrsupport: text("XattrSupport"),
  strippath: text("StripPath"),
  strip: text("StripPath"),
  ignorecase: text("IgnoreCase"),
  wild: patterns("Wild"),
  wilddir: patterns("WildDir"),
  wildfile: patterns("WildFile"),
  regex: patterns("Regex"),
  regexdir: patterns("RegexDir"),
  regexfile: patterns("RegexFile"),
  fstype: patterns("FsType"),
  drivetype: withoutEffect(NO_WINDOWS),
  portable: withoutEffect(NO_WINDOWS),
  plugin: unsupported("there are no plugins: what it would have backed up is not backed up"),
};

const PATTERNS = ["wild", "wilddir", "wildfile", "regex", "regexdir", "regexfile"];

interface Options {
  readonly directive: BaculaDirective;
  readonly inner: readonly BaculaDirective[];
  readonly hasPatterns: boolean;
  readonly excludes: boolean;
}

function toOptions(directive: BaculaDirective): Options {
  const inner = directive.block ?? [];
  const hasPatterns = inner.some((each) => PATTERNS.includes(foldName(each.name)));
  return { directive, inner, hasPatterns, excludes: isYes(givenText(inner, "Exclude")) };
}

/** Options blocks in the order that means the same here, with one without patterns at the end. */
function putOptions(found: readonly Options[], block: BlockBuilder, complete: Compress): void {
  const { mapper } = block;
  const mapped = found.map((each) => {
    const place = `Options of ${block.place}`;
    const inner = new BlockBuilder(mapper, place, each.directive.at);
    mapDirectives(each.inner, OPTION_RULES, inner);
    return { ...each, node: inner.node() };
  });
  const matching = mapped.filter((each) => each.hasPatterns || each.excludes);
  const plain = mapped.filter((each) => !each.hasPatterns && !each.excludes);
  const last = mapped.at(-1);
  const general = plain.at(-1);
  for (const each of plain.slice(0, -1)) {
    block.say("differs", each.directive, "a later Options block without patterns holds for all files");
  }
  for (const each of matching) block.add("Options", [each.node], each.directive);
  if (general !== undefined) {
    if (general !== last) block.say("differs", general.directive, MOVED);
    block.add("Options", [complete(general.node)], general.directive);
  } else if (last !== undefined && !last.excludes) {
    block.say(
      "differs",
      last.directive,
      "as in Bacula, its settings also hold for files that no pattern matches",
    );
    block.add("Options", [complete(withoutPatterns(last.node))], last.directive);
  } else {
    const node: MapNode = { kind: "map", entries: [], at: block.at };
    block.put("Options", {
      kind: "list",
      items: [...block.take("Options"), complete(node)],
      at: block.at,
    });
  }
}

const MOVED =
  "it stands last here, since it matches every file; in Bacula the last block's settings would hold";

function withoutPatterns(node: MapNode): MapNode {
  return { ...node, entries: node.entries.filter((entry) => !PATTERNS.includes(foldName(entry.key))) };
}

/** What a block that says nothing about compression gets. */
type Compress = (node: MapNode) => MapNode;

/** Bacula compresses only when it is told to. */
function uncompressed(node: MapNode): MapNode {
  if (node.entries.some((entry) => foldName(entry.key) === "compression")) return node;
  const value: ConfigNode = { kind: "scalar", text: "none", at: node.at };
  return { ...node, entries: [{ key: "Compression", at: node.at, value }, ...node.entries] };
}

const ON_CLIENT =
  "the client runs it only where its HookDirectories hold the program: else a job with this FileSet fails";

/** A path, or a list: `<file`, `|command`, `\<file`, `\|command`; `catalogCopy` takes the place of Bacula's dump. */
const fileRule =
  (catalogCopy: string | undefined): Rule =>
  (directive, block) => {
    const { text: value, ignored } = textOf(directive);
    const path = value.trim();
    if (directive.block !== undefined || path === "") {
      textValue(directive, block);
      return;
    }
    if (/^[A-Za-z]:([/\\]|$)/.test(path)) {
      block.say("unsupported", directive, `${NO_WINDOWS}: this is not backed up`);
      return;
    }
    if (ignored !== "") sayIgnored(directive, block, ignored);
    if (path.startsWith("\\|")) block.say("differs", directive, ON_CLIENT);
    if (catalogCopy !== undefined && /\/(bacula|bareos)\.sql$/.test(path)) {
      block.say(
        "differs",
        directive,
        "the copy of the daemons' own databases takes the place of Bacula's catalog",
      );
      block.add("File", [catalogCopy], directive);
    } else {
      block.add("File", [path], directive);
    }
  };

export interface FileSetOptions {
  /** Directory with copies of the daemons' databases, in place of Bacula's dump of its catalog. */
  readonly catalogCopy: string | undefined;
  /** Files are compressed although the original does not say so. */
  readonly compress: boolean;
}

const includeRules = (catalogCopy: string | undefined): Rules => ({
  file: fileRule(catalogCopy),
  options: () => undefined,
  excludedircontaining: oneOfSeveral("ExcludeDirContaining"),
  plugin: unsupported("there are no plugins: what it would have backed up is not backed up"),
});

const include =
  ({ catalogCopy, compress }: FileSetOptions): Rule =>
  (directive, block) => {
    if (directive.block === undefined) {
      block.say("wrong", directive, "Include needs a block { … }");
      return;
    }
    const inner = new BlockBuilder(block.mapper, `Include of ${block.place}`, directive.at);
    const removed = block.mapper.removed;
    const options = directive.block.filter((each) => foldName(each.name) === "options" && !removed.has(each));
    mapDirectives(directive.block, includeRules(catalogCopy), inner);
    putOptions(options.map(toOptions), inner, compress ? (node) => node : uncompressed);
    block.add("Include", [inner.node()], directive);
  };

const exclude: Rule = (directive, block) => {
  if (directive.block === undefined) {
    block.say("wrong", directive, "Exclude needs a block { … }");
    return;
  }
  const inner = new BlockBuilder(block.mapper, `Exclude of ${block.place}`, directive.at);
  mapDirectives(directive.block, { file: oneOfSeveral("File") }, inner);
  const node = inner.node();
  // Several Exclude blocks are one.
  const files = node.entries.find((entry) => entry.key === "File")?.value;
  if (files?.kind === "list") block.add("Exclude", files.items, directive);
};

export const fileSetRules = (options: FileSetOptions): Rules => ({
  name: name("FileSet", "Name"),
  include: include(options),
  exclude,
  enablevss: withoutEffect(NO_WINDOWS),
  enablesnapshot: unsupported(
    "no snapshot is made by this directive; use snapshot-create and snapshot-remove as commands of the job",
  ),
});
