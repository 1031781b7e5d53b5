/** Messages (where job messages go) and Console (what an operator may do). */

import { type Diagnostics, quoted, suggestion } from "../../common/config/diagnostics.js";
import { MESSAGE_WORDS } from "../../common/config/message-words.js";
import { fingerprint } from "../../common/config/parts.js";
import { type ResourceOf, resourceName } from "../../common/config/resources.js";
import type { ConfigNode } from "../../common/config/source.js";
import { type BlockSpec, commaList, type Directive, type ReadContext } from "../../common/config/spec.js";
import {
  SENDING_DIRECTIVES,
  toMailSettings,
  toWebhookSettings,
  wrongRecipients,
  wrongWebhook,
} from "./mail.js";
import type { ConsoleResource } from "./types-console.js";
import type { MessageDestination, MessageDestinationKind, MessagesResource } from "./types-messages.js";

const typeList = commaList();

function readTypes(node: ConfigNode, context: ReadContext): readonly string[] {
  const { diagnostics, directive, place } = context;
  const given = (typeList(node, context) ?? []).map((word) => word.toLowerCase().replace(/^!\s+/, "!"));
  for (const word of given) {
    const name = word.replace(/^!/, "");
    if (MESSAGE_WORDS.includes(name)) continue;
    const hint = suggestion(name, MESSAGE_WORDS) || `; known are ${MESSAGE_WORDS.join(", ")}`;
    diagnostics.error(node.at, `${directive} in ${place}: ${quoted(word)} is not a message type${hint}`);
  }
  if (given.length === 0)
    diagnostics.error(node.at, `${directive} in ${place}: name message types, such as "all"`);
  return given;
}

function plain(kind: MessageDestinationKind): Directive<readonly MessageDestination[]> {
  return (node, context) => [{ kind, types: readTypes(node, context) }];
}

/** Why a text cannot be the target of a destination; undefined when it can. */
type TargetCheck = (target: string) => string | undefined;

/**
 * `Append: {"/var/log/x.log": "all, !skipped"}`, or in Bacula's way `"/var/log/x.log = all, !skipped"`; the same with
 * addresses or a URL in place of the path.
 */
function toTarget(
  kind: MessageDestinationKind,
  check: TargetCheck,
  example: string,
): Directive<readonly MessageDestination[]> {
  const read = (
    target: string,
    at: ConfigNode,
    types: ConfigNode,
    context: ReadContext,
  ): MessageDestination => {
    const wrong = check(target);
    if (wrong !== undefined)
      context.diagnostics.error(at.at, `${context.directive} in ${context.place}: ${wrong}`);
    return { kind, target, types: readTypes(types, context) };
  };
  const readNode = (node: ConfigNode, context: ReadContext): readonly MessageDestination[] => {
    if (node.kind === "list") return node.items.flatMap((item) => readNode(item, context));
    if (node.kind === "map") {
      return node.entries.map(({ key, at, value }) => read(key.trim(), { ...value, at }, value, context));
    }
    // The target ends at the last "=": message types hold none, a URL may.
    const match = /^\s*"?([^"]+?)"?\s*=\s*([^="]*)$/.exec(node.text);
    if (match !== null)
      return [read(match[1]!, node, { kind: "scalar", text: match[2]!, at: node.at }, context)];
    const where = `${context.directive} in ${context.place}`;
    context.diagnostics.error(node.at, `${where}: write {${example}: "all, !skipped"}`);
    return [];
  };
  return readNode;
}

const absolute: TargetCheck = (target) =>
  target.startsWith("/") ? undefined : `${quoted(target)} is not an absolute path`;
const FILE = '"/path/of/file"';
const ADDRESS = '"root@localhost"';

const destinations = {
  console: plain("console"),
  catalog: plain("catalog"),
  stdout: plain("stdout"),
  stderr: plain("stderr"),
  syslog: plain("syslog"),
  file: toTarget("file", absolute, FILE),
  append: toTarget("append", absolute, FILE),
  mail: toTarget("mail", wrongRecipients, ADDRESS),
  mailOnError: toTarget("mailOnError", wrongRecipients, ADDRESS),
  mailOnSuccess: toTarget("mailOnSuccess", wrongRecipients, ADDRESS),
  operator: toTarget("operator", wrongRecipients, ADDRESS),
  webhook: toTarget("webhook", wrongWebhook, '"https://host/path"'),
};

const messagesDirectives = { name: resourceName(), ...destinations, ...SENDING_DIRECTIVES };

export const MESSAGES_SPEC: BlockSpec<typeof messagesDirectives> = {
  directives: messagesDirectives,
  noEffect: { Director: "this is the director" },
};

/** The typed Messages resource; one without destinations is reported. */
export function toMessages(
  raw: ResourceOf<typeof MESSAGES_SPEC>,
  diagnostics: Diagnostics,
): MessagesResource {
  const names = Object.keys(destinations) as (keyof typeof destinations)[];
  if (!names.some((name) => raw.positions.has(name))) {
    diagnostics.warning(raw.at, `${raw.place} has no destination: what it gets is seen nowhere`);
  }
  const all = names.flatMap((name) => raw.values[name] ?? []);
  const mail = toMailSettings(raw, all, diagnostics);
  const webhook = toWebhookSettings(raw, all, diagnostics);
  return {
    name: raw.name,
    destinations: all,
    ...(mail === undefined ? {} : { mail }),
    ...(webhook === undefined ? {} : { webhook }),
  };
}

const consoleDirectives = {
  name: resourceName(),
  fingerprint: fingerprint(),
  commandAcl: commaList(),
  jobAcl: commaList(),
  clientAcl: commaList(),
  storageAcl: commaList(),
  scheduleAcl: commaList(),
  poolAcl: commaList(),
  fileSetAcl: commaList(),
  catalogAcl: commaList(),
  whereAcl: commaList(),
  pluginOptionsAcl: commaList(),
  restoreClientAcl: commaList(),
  backupClientAcl: commaList(),
  userIdAcl: commaList(),
  directoryAcl: commaList(),
};

export const CONSOLE_SPEC: BlockSpec<typeof consoleDirectives> = {
  directives: consoleDirectives,
  noEffect: { Password: "consoles prove who they are with certificates; take it out of the file" },
};

/** The typed Console; an ACL that was not given is empty and allows nothing. */
export function toConsole({ name, values }: ResourceOf<typeof CONSOLE_SPEC>): ConsoleResource {
  return {
    name,
    ...(values.fingerprint === undefined ? {} : { fingerprint: values.fingerprint }),
    commandAcl: values.commandAcl ?? [],
    jobAcl: values.jobAcl ?? [],
    clientAcl: values.clientAcl ?? [],
    storageAcl: values.storageAcl ?? [],
    scheduleAcl: values.scheduleAcl ?? [],
    poolAcl: values.poolAcl ?? [],
    fileSetAcl: values.fileSetAcl ?? [],
    catalogAcl: values.catalogAcl ?? [],
    whereAcl: values.whereAcl ?? [],
    pluginOptionsAcl: values.pluginOptionsAcl ?? [],
    restoreClientAcl: values.restoreClientAcl ?? [],
    backupClientAcl: values.backupClientAcl ?? [],
    userIdAcl: values.userIdAcl ?? [],
    directoryAcl: values.directoryAcl ?? [],
  };
}
