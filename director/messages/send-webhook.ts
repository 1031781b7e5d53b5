/** Hands messages to a webhook: one POST of JSON, over http or https, by Node's own fetch. */

import { BackupError, describeError } from "../../common/errors.js";
import { readSecretFile } from "../../common/secret-file.js";
import { wrongWebhook } from "../config/mail.js";
import type { WebhookSettings } from "../config/types-messages.js";

/** A message as it is sent. */
export interface WebhookMessage {
  /** ISO 8601, UTC. */
  time: string;
  /** Daemon that speaks. */
  daemon: string;
  /** 0: no job. */
  jobId: number;
  /** Job resource, "" for no job. */
  job: string;
  /** Message type, such as `error`. */
  type: string;
  /** Without head and severity. */
  text: string;
}

/** Body of a call. */
export interface WebhookBody {
  director: string;
  messages: readonly WebhookMessage[];
}

/** Where a target goes to, without what may be secret in it: `https://host`, or the name of its file. */
export function webhookText(target: string): string {
  if (target.startsWith("<")) return target.slice(1);
  return URL.canParse(target) ? new URL(target).origin : "webhook";
}

/**
 * Resolves when the other side answered with 2xx. `key`: the same for all attempts (header Idempotency-Key).
 * @throws BackupError WEBHOOK (retry "later", or "never" when the answer says that it is the message: 400, 413, 422)
 */
export async function callWebhook(
  { target, key, body }: { target: string; key: string; body: WebhookBody },
  settings: WebhookSettings,
  signal?: AbortSignal,
): Promise<void> {
  const name = webhookText(target);
  const limit = AbortSignal.timeout(settings.timeoutSec * 1000);
  let status: number;
  try {
    const answer = await fetch(urlOf(target), {
      method: "POST",
      headers: headersFor(settings, key),
      body: JSON.stringify(body),
      redirect: "manual",
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    status = answer.status;
    await answer.body?.cancel();
  } catch (error) {
    const why = limit.aborted ? `no answer within ${settings.timeoutSec} seconds` : reasonOf(error);
    throw new BackupError("WEBHOOK", `webhook ${name}: ${why}`, { retry: "later" });
  }
  if (status >= 200 && status < 300) return;
  const final = status === 400 || status === 413 || status === 422;
  throw new BackupError("WEBHOOK", `webhook ${name}: answered ${status}`, {
    retry: final ? "never" : "later",
  });
}

function urlOf(target: string): string {
  if (!target.startsWith("<")) return target;
  const url = readSecretFile(target.slice(1), "the webhook's file");
  const wrong = url.startsWith("<") ? "the file must hold a URL" : wrongWebhook(url);
  if (wrong !== undefined) throw new BackupError("WEBHOOK", wrong);
  return url;
}

function headersFor({ tokenFile }: WebhookSettings, key: string): Record<string, string> {
  const headers = { "content-type": "application/json", "idempotency-key": key, "user-agent": "basalt" };
  if (tokenFile === undefined) return headers;
  const token = readSecretFile(tokenFile, "the webhook's token file");
  return { ...headers, authorization: `Bearer ${token}` };
}

/** fetch says only "fetch failed" and keeps the reason as its cause. URLs, which may be secret, are cut out. */
function reasonOf(error: unknown): string {
  const cause = error instanceof TypeError && error.cause !== undefined ? error.cause : error;
  return describeError(cause).replace(/https?:\/\/\S+/g, "URL");
}
