/** Console, and Bareos' Profile and User: what an operator may do. */

import { foldName } from "../../config/diagnostics.js";
import type { BaculaDirective, BaculaResource } from "../syntax.js";
import { listOf, named } from "../values.js";
import { type BlockBuilder, LeftOut, type Mapper } from "./mapper.js";
import { name, PASSWORD, replaced } from "./rules.js";
import type { Rule, Rules } from "./types.js";

const ACLS: Readonly<Record<string, string>> = {
  commandacl: "CommandACL",
  jobacl: "JobACL",
  clientacl: "ClientACL",
  storageacl: "StorageACL",
  scheduleacl: "ScheduleACL",
  poolacl: "PoolACL",
  filesetacl: "FileSetACL",
  catalogacl: "CatalogACL",
  whereacl: "WhereACL",
  pluginoptionsacl: "PluginOptionsACL",
  restoreclientacl: "RestoreClientACL",
  backupclientacl: "BackupClientACL",
  useridacl: "UserIdACL",
  directoryacl: "DirectoryACL",
};

/** Regular expressions of Bareos; `.status` and `*all*` are none. */
const REGEX = /[\\^$+?()[\]{}|]|[^.]\*|\.\*/;

function isPattern(item: string): boolean {
  return item.toLowerCase() !== "*all*" && REGEX.test(item);
}

/** What is denied by a pattern would be granted without it. @throws LeftOut */
function refusePatterns(block: BlockBuilder, items: readonly string[]): void {
  const denied = items.filter((item) => item.startsWith("!") && isPattern(item.slice(1)));
  if (!block.mapper.isBareos || denied.length === 0) return;
  const text = `patterns are not known here, and it denies by some: ${denied.join(", ")}. Name what is denied one by one`;
  throw new LeftOut("unsupported", `${text}; until then this console may do nothing`);
}

const acl: Rule = (directive, block) => {
  const key = ACLS[foldName(directive.name)]!;
  const items = listOf(directive.words);
  const odd = items.filter((item) => isPattern(item) && !/^[!/]/.test(item));
  if (odd.length > 0 && block.mapper.isBareos) {
    block.say("differs", directive, `these count as they are written, not as patterns: ${odd.join(", ")}`);
  }
  refusePatterns(block, items);
  if (items.length === 0) block.say("without effect", directive, "it is empty, and grants nothing");
  else block.add(key, items, directive);
};

const ACL_RULES: Rules = Object.fromEntries(Object.keys(ACLS).map((key) => [key, acl]));

const CONSOLE_RULES: Rules = {
  ...ACL_RULES,
  name: name("Console", "Name"),
  password: PASSWORD,
  profile: () => undefined,
  usepamauthentication: replaced("who a console is comes from its certificate"),
};

/** Adds the lists of Bareos' profiles to those of the console itself. */
function addProfiles(
  block: BlockBuilder,
  resource: BaculaResource,
  profiles: readonly BaculaResource[],
): void {
  for (const use of named(resource.directives, "Profile")) {
    for (const wanted of listOf(use.words)) {
      const profile = profiles.find(
        (each) => listOf(named(each.directives, "Name")[0]?.words ?? [])[0] === wanted,
      );
      if (profile === undefined) block.say("wrong", use, `there is no Profile "${wanted}"`);
      else for (const directive of profile.directives) addAcl(block, directive, use);
    }
  }
}

function addAcl(block: BlockBuilder, directive: BaculaDirective, use: BaculaDirective): void {
  const folded = foldName(directive.name);
  const items = listOf(directive.words);
  if (!Object.hasOwn(ACLS, folded) || items.length === 0) return;
  refusePatterns(block, items);
  block.add(ACLS[folded]!, items, use);
}

/** A Console, or a User of Bareos, which becomes one. */
export function mapConsole(
  mapper: Mapper,
  resource: BaculaResource,
  profiles: readonly BaculaResource[],
): void {
  mapper.resource(resource, "Console", CONSOLE_RULES, (block) => addProfiles(block, resource, profiles));
}

/** A Profile is carried over into the consoles that use it. */
export function mapProfile(mapper: Mapper, resource: BaculaResource): void {
  mapper.leaveOut(resource, "replaced", "its lists stand in each Console that uses it");
}
