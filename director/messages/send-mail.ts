/** Sends one mail by SMTP (RFC 5321). The protocol, MIME and encodings are nodemailer's trade. */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { getSystemErrorName } from "node:util";
import { BackupError, describeError } from "../../common/errors.js";
import { readSecretFile } from "../../common/secret-file.js";
import type { MailServer, MailSettings } from "../config/types-messages.js";
import { withRecipients } from "./mail-text.js";

export interface Mail {
  /** Unique; becomes the Message-ID. */
  uuid: string;
  recipients: readonly string[];
  subject: string;
  text: string;
  timeMs: number;
}

/** How an attempt ended that did not throw: addresses that the server did not take, and why. */
export interface MailResult {
  refused: Refusal[];
}

export interface Refusal {
  address: string;
  reason: string;
  /** Trying again will not help. */
  final: boolean;
}

const CONNECT_MS = 20_000;
const GREETING_MS = 30_000;
const SILENCE_MS = 60_000;

/** `mail.example.org:587`: the server as messages name it. */
export function serverText({ address, port }: MailServer): string {
  return `${address.includes(":") && !address.startsWith("[") ? `[${address}]` : address}:${port}`;
}

/**
 * Resolves when the server has taken the mail for at least one address.
 * @throws BackupError MAIL_SERVER (retry "later": no server, no TLS, no login: nothing can be sent now), MAIL_REFUSED
 * (this mail; "never" when the server will not take it later either)
 */
export async function sendMail(
  settings: MailSettings,
  mail: Mail,
  signal?: AbortSignal,
): Promise<MailResult> {
  // A sixth of the time that a director takes to load, and many never send a mail.
  const { createTransport } = await import("nodemailer");
  const transport = createTransport(transportOptions(settings.server));
  const [first = ""] = mail.recipients;
  const from = withRecipients(settings.from, first);
  try {
    const info = await transport.sendMail({
      from,
      to: mail.recipients.map((each) => (each.includes("@") ? each : `${each}@${hostname()}`)).join(", "),
      envelope: { from: addressIn(from) ?? first, to: [...mail.recipients] },
      ...(settings.replyTo === undefined ? {} : { replyTo: withRecipients(settings.replyTo, first) }),
      subject: mail.subject,
      text: mail.text,
      date: new Date(mail.timeMs),
      messageId: `<${mail.uuid}@${hostname()}>`,
      headers: { "Auto-Submitted": "auto-generated" },
      ...(signal === undefined ? {} : { signal }),
    });
    return { refused: refusals(info.rejectedErrors ?? []) };
  } catch (error) {
    throw failure(error, settings.server);
  } finally {
    transport.close();
  }
}

/** @throws BackupError MAIL_SERVER when the password or the certificates cannot be read */
function transportOptions(server: MailServer) {
  const { address, port, tls, caFile, verifyPeer, user, passwordFile } = server;
  const host = address.replace(/^\[(.*)\]$/, "$1");
  try {
    const pass =
      passwordFile === undefined ? "" : readSecretFile(passwordFile, "the mail server's password file");
    return {
      host,
      port,
      name: hostname(),
      secure: tls === "smtps",
      requireTLS: tls === "starttls",
      ignoreTLS: tls === "no",
      opportunisticTLS: tls === "auto",
      tls: {
        minVersion: "TLSv1.2" as const,
        // An encrypted line to anybody is better than a readable one, which `auto` would take as well.
        rejectUnauthorized: verifyPeer && (tls !== "auto" || caFile !== undefined),
        ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
      },
      ...(user === undefined ? {} : { auth: { user, pass } }),
      connectionTimeout: CONNECT_MS,
      dnsTimeout: CONNECT_MS,
      greetingTimeout: GREETING_MS,
      socketTimeout: SILENCE_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    };
  } catch (cause) {
    const message = `mail server ${serverText(server)}: ${describeError(cause)}`;
    throw new BackupError("MAIL_SERVER", message, { retry: "later" });
  }
}

/** What nodemailer tells of a failure. */
interface SmtpError {
  code?: string | undefined;
  responseCode?: number | undefined;
  command?: string | undefined;
  recipient?: string | undefined;
  rejectedErrors?: readonly SmtpError[] | undefined;
  message?: string | undefined;
}

/** Codes that are about this mail and not about the server. */
const ABOUT_MAIL = new Set(["EENVELOPE", "EMESSAGE", "EMAXRECIPIENTS"]);

function failure(error: unknown, server: MailServer): BackupError {
  const { code = "", responseCode, rejectedErrors } = error as SmtpError;
  const about = ABOUT_MAIL.has(code);
  const answers = rejectedErrors?.length ? rejectedErrors.map((each) => each.responseCode) : [responseCode];
  const final = about && answers.every((answer) => isFinal(answer));
  const text = describeError(systemError(error));
  if (error instanceof BackupError) return error;
  return new BackupError(
    about ? "MAIL_REFUSED" : "MAIL_SERVER",
    `mail server ${serverText(server)}: ${text}`,
    {
      retry: final ? "never" : "later",
    },
  );
}

/** nodemailer puts a code of its own over the system's. */
function systemError(error: unknown): unknown {
  const { errno, syscall, message, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (typeof errno !== "number" || errno >= 0 || syscall === undefined) return error;
  return Object.assign(new Error(message), { code: getSystemErrorName(errno), syscall, address, port });
}

function refusals(errors: readonly SmtpError[]): Refusal[] {
  return errors.map((error) => ({
    address: error.recipient ?? "",
    reason: describeError(error),
    final: isFinal(error.responseCode),
  }));
}

/** 5yz is for good, but for 503, which is about the state of the session. */
function isFinal(answer: number | undefined): boolean {
  return answer !== undefined && answer >= 500 && answer < 600 && answer !== 503;
}

/** The address in `Name <address>` or alone. */
function addressIn(text: string): string | undefined {
  return /<([^<>\s]+)>/.exec(text)?.[1] ?? /^[^\s<>()"]+$/.exec(text.trim())?.[0];
}
