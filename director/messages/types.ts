/** Kinds of messages, as in Bacula's Messages resource, and the form in which they are printed. */

import { messageTime } from "../../common/time.js";

export const MESSAGE_TYPES = [
  "info",
  "warning",
  "error",
  "fatal",
  "security",
  "alert",
  "skipped",
  "saved",
  "notsaved",
  "restored",
  "mount",
  "volmgmt",
  "terminate",
  "audit",
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

const SEVERITY: Partial<Record<MessageType, string>> = {
  warning: "Warning: ",
  error: "Error: ",
  fatal: "Fatal error: ",
  security: "Security Alert: ",
};

/** A type sent by a daemon; unknown ones count as info. */
export function messageType(text: string): MessageType {
  return (MESSAGE_TYPES as readonly string[]).includes(text) ? (text as MessageType) : "info";
}

/** `21-Nov 03:23 NAME JobId 7: Warning: TEXT`; further lines of the text follow as they are. */
export function formatMessage(
  timeMs: number,
  daemon: string,
  jobId: number,
  type: MessageType,
  text: string,
): string {
  return `${messageTime(timeMs)} ${daemon} JobId ${jobId}: ${SEVERITY[type] ?? ""}${text}`;
}
