/** What a failed attempt to reach a daemon means. */

import { BackupError, codeOf, describeError } from "../../common/errors.js";

const PASSING = new Set(["PEER_UNAVAILABLE", "PEER_TIMEOUT", "CONNECTION_LOST"]);

/** A daemon that is about to end, or has just begun, takes connections and breaks them before anything was said. */
export function canRetry(error: unknown, words: string): boolean {
  return (
    PASSING.has(codeOf(error) ?? "") &&
    (/disconnected before/i.test(words) || !/certificate|TLS|SSL/i.test(words))
  );
}

/** True for what a peer says that wants to know more, and for a connection that breaks before anything was said. */
export function mayBeSomebodyElse(error: unknown): boolean {
  const code = codeOf(error) ?? "";
  if (code === "PASSWORD_PROOF_NEEDED" || code === "TLS_IDENTITY") return true;
  return (
    PASSING.has(code) && /certificate|TLS|SSL|reset|hang up|closed|disconnected/i.test(describeError(error))
  );
}

/** The operating system's part of what gRPC says about a connection. */
export function reason(error: unknown): string {
  const cause = error instanceof BackupError && error.cause instanceof Error ? error.cause : error;
  const text = describeError(cause);
  const last = /Last error: (.*)$/.exec(text)?.[1] ?? text;
  if (/ECONNREFUSED/.test(last)) return "Connection refused";
  if (/ETIMEDOUT|Deadline exceeded/i.test(last)) return "Connection timed out";
  if (/EHOSTUNREACH/.test(last)) return "No route to host";
  if (/ENOTFOUND|Name resolution/i.test(last)) return "Host name not found";
  return last.replace(/\.? ?Resolution note:.*$/, "");
}
