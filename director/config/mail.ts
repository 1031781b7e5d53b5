/** Mail, Operator and Webhook destinations of a Messages resource, and how they are sent. */

import path from "node:path";
import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import { address, pathText } from "../../common/config/parts.js";
import type { Resource } from "../../common/config/resources.js";
import {
  type BlockOf,
  type BlockSpec,
  block,
  type Directive,
  duration,
  port,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import { describeError } from "../../common/errors.js";
import { readSecretFile } from "../../common/secret-file.js";
import { splitWords } from "../../common/words.js";
import type { MailServer, MailSettings, MessageDestination, WebhookSettings } from "./types-messages.js";

const serverDirectives = {
  address: address(),
  port: port(),
  tls: words("no", "auto", "starttls", "smtps"),
  caFile: pathText(),
  verifyPeer: yesNo(),
  user: text(),
  passwordFile: pathText(),
};

const SERVER_SPEC: BlockSpec<typeof serverDirectives> = {
  directives: serverDirectives,
  aliases: { Host: "address", TlsVerifyPeer: "verifyPeer", CaCertificateFile: "caFile" },
};

/** Directives of a Messages resource that say how its mails and webhooks are sent. */
export const SENDING_DIRECTIVES = {
  mailServer: block(SERVER_SPEC),
  mailFrom: text(),
  mailReplyTo: text(),
  mailSubject: text(),
  operatorSubject: text(),
  mailCommand: text(),
  operatorCommand: text(),
  webhookTimeout: duration(),
  webhookTokenFile: pathText(),
};

const MAILS: readonly MessageDestination["kind"][] = ["mail", "mailOnError", "mailOnSuccess", "operator"];
const DEFAULT_FROM = "Bacula <%r>";
const DEFAULT_SUBJECT = "Bacula: %t %e of %c %l";
const DEFAULT_OPERATOR_SUBJECT = "Bacula: Intervention needed for %j";
const WEBHOOK_TIMEOUT_SEC = 10;
const MAX_WEBHOOK_TIMEOUT_SEC = 120;
const ADDRESS = /^[^\s@<>(),;:"\\[\]]+(@[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?)?$/;

/** Why a text is no list of mail addresses (`root`, `a@b.c, d@e.f`); undefined when it is one. */
export function wrongRecipients(target: string): string | undefined {
  const list = target.split(",").map((part) => part.trim());
  const wrong = list.find((part) => part.length > 254 || !ADDRESS.test(part));
  return wrong === undefined ? undefined : `${quoted(wrong)} is not a mail address`;
}

/** Why a text is no webhook; undefined when it is a http or https URL, or `</path/of/file/with/it`. */
export function wrongWebhook(target: string): string | undefined {
  if (target.startsWith("<"))
    return target.startsWith("</") ? undefined : `${quoted(target)}: the file needs an absolute path`;
  // The URL itself may be the secret: it is not repeated.
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol))
    return "a webhook is a http:// or https:// URL, or <FILE that holds it";
  if (url.username !== "" || url.password !== "")
    return "the URL holds a password; put the whole URL into a file (<FILE), or use WebhookTokenFile";
  return undefined;
}

type Sending = Resource<typeof SENDING_DIRECTIVES & Record<string, Directive<unknown>>>;

/** What mails of the resource need; undefined when it has none. Bacula's MailCommand is read, and never run. */
export function toMailSettings(
  raw: Sending,
  destinations: readonly MessageDestination[],
  diagnostics: Diagnostics,
): MailSettings | undefined {
  const { values } = raw;
  const mail = readCommand(raw, "mailCommand", diagnostics);
  const operator = readCommand(raw, "operatorCommand", diagnostics);
  if (!destinations.some(({ kind }) => MAILS.includes(kind))) return undefined;
  const from = values.mailFrom ?? mail.from ?? operator.from ?? DEFAULT_FROM;
  const replyTo = values.mailReplyTo ?? mail.replyTo;
  return {
    server: toServer(raw, mail.server ?? operator.server, diagnostics),
    from,
    ...(replyTo === undefined ? {} : { replyTo }),
    subject: values.mailSubject ?? mail.subject ?? DEFAULT_SUBJECT,
    operatorSubject: values.operatorSubject ?? operator.subject ?? DEFAULT_OPERATOR_SUBJECT,
  };
}

/** What webhooks of the resource need; undefined when it has none. */
export function toWebhookSettings(
  raw: Sending,
  destinations: readonly MessageDestination[],
  diagnostics: Diagnostics,
): WebhookSettings | undefined {
  const hooks = destinations.filter(({ kind }) => kind === "webhook");
  if (hooks.length === 0) return undefined;
  const { webhookTimeout: timeoutSec = WEBHOOK_TIMEOUT_SEC, webhookTokenFile } = raw.values;
  if (timeoutSec < 1 || timeoutSec > MAX_WEBHOOK_TIMEOUT_SEC) {
    const at = raw.positions.get("webhookTimeout") ?? raw.at;
    diagnostics.error(at, `WebhookTimeout in ${raw.place}: from 1 to ${MAX_WEBHOOK_TIMEOUT_SEC} seconds`);
  }
  for (const { target } of hooks) {
    if (target?.startsWith("<") === true)
      checkSecret(raw, "webhook", { file: target.slice(1), what: "the webhook's file", diagnostics });
  }
  if (webhookTokenFile === undefined) return { timeoutSec };
  const tokenFile = path.resolve(raw.directory, webhookTokenFile);
  checkSecret(raw, "webhookTokenFile", { file: tokenFile, what: "the webhook's token file", diagnostics });
  return { timeoutSec, tokenFile };
}

function toServer(raw: Sending, fromCommand: Server | undefined, diagnostics: Diagnostics): MailServer {
  const given: BlockOf<typeof SERVER_SPEC> | undefined = raw.values.mailServer;
  const { user, caFile, verifyPeer = true } = given?.values ?? {};
  const tls = given?.values.tls ?? (user === undefined ? "auto" : "starttls");
  const usual = tls === "smtps" ? 465 : user === undefined ? 25 : 587;
  const host = given?.values.address ?? fromCommand?.address ?? "localhost";
  const passwordFile = given?.values.passwordFile;
  const at = given?.at ?? raw.at;
  const wrong = (message: string): void => diagnostics.error(at, `MailServer of ${raw.place}: ${message}`);
  if ((user === undefined) !== (passwordFile === undefined)) wrong("User and PasswordFile go together");
  if (user !== undefined && (tls === "no" || tls === "auto") && !isLoopback(host))
    wrong("a password is sent over an encrypted line only; TLS must be starttls or smtps");
  const secret = passwordFile === undefined ? undefined : path.resolve(raw.directory, passwordFile);
  if (secret !== undefined)
    checkSecret(raw, "mailServer", { file: secret, what: "the mail server's password file", diagnostics });
  return {
    address: host,
    port:
      given?.values.port ?? (given?.values.address === undefined ? fromCommand?.port : undefined) ?? usual,
    tls,
    verifyPeer,
    ...(caFile === undefined ? {} : { caFile: path.resolve(raw.directory, caFile) }),
    ...(user === undefined ? {} : { user }),
    ...(secret === undefined ? {} : { passwordFile: secret }),
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function checkSecret(
  raw: Sending,
  directive: string,
  { file, what, diagnostics }: { file: string; what: string; diagnostics: Diagnostics },
): void {
  try {
    readSecretFile(file, what);
  } catch (error) {
    diagnostics.error(raw.positions.get(directive) ?? raw.at, `${raw.place}: ${describeError(error)}`);
  }
}

interface Server {
  address: string;
  port: number | undefined;
}

/** What a MailCommand says that calls Bacula's own mailer. */
interface FromCommand {
  server?: Server;
  from?: string;
  replyTo?: string;
  subject?: string;
}

/** Options of bsmtp(1) that take a value. */
const WITH_VALUE = new Set(["-c", "-d", "-f", "-h", "-l", "-r", "-s"]);

/** Commands are never run: of bsmtp's words server, sender and subject count, any other command does nothing. */
function readCommand(
  raw: Sending,
  property: "mailCommand" | "operatorCommand",
  diagnostics: Diagnostics,
): FromCommand {
  const line = raw.values[property];
  if (line === undefined) return {};
  const at = raw.positions.get(property) ?? raw.at;
  const name = property === "mailCommand" ? "MailCommand" : "OperatorCommand";
  const said = (rest: string): void => diagnostics.warning(at, `${name} in ${raw.place} is not run: ${rest}`);
  const parts = wordsOf(line);
  if (parts === undefined || path.posix.basename(parts[0] ?? "") !== "bsmtp") {
    said("messages go by SMTP to MailServer; what else that command does is not done");
    return {};
  }
  const options = new Map<string, string>();
  for (let index = 1; index < parts.length; index++) {
    if (WITH_VALUE.has(parts[index]!)) options.set(parts[index]!, parts[++index] ?? "");
  }
  const [from, replyTo, subject] = ["-f", "-r", "-s"].map((option) => options.get(option)?.trim());
  const host = /^\[?([^\]]+?)\]?(?::(\d{1,5}))?$/.exec(options.get("-h")?.trim() ?? "");
  said("its server, sender and subject are taken over, and mail goes by SMTP");
  return {
    ...(host === null
      ? {}
      : { server: { address: host[1]!, port: host[2] === undefined ? undefined : Number(host[2]) } }),
    ...(from ? { from } : {}),
    ...(replyTo ? { replyTo } : {}),
    ...(subject ? { subject } : {}),
  };
}

function wordsOf(line: string): string[] | undefined {
  try {
    return splitWords(line);
  } catch {
    return undefined;
  }
}
