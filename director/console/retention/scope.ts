/** Which runs a console may let go of: only such as its lists grant, and all of them where a command names none. */
import { BackupError } from "../../../common/errors.js";
import type { CommandContext } from "../context.js";

/** @throws BackupError NOT_ALLOWED when runs within the limits may be out of this console's reach */
export function requireScope(context: CommandContext, limits: { client?: string; jobName?: string }): void {
  const { acl, config } = context;
  if (limits.jobName !== undefined) context.require("job", limits.jobName, "Job");
  else if (!acl.grantsAll("job")) throw notAllowed("every job", "job=NAME");
  const client = limits.client ?? config.jobs.get(limits.jobName ?? "")?.client;
  if (client !== undefined) requireClient(context, client);
  else if (!acl.grantsAll("client")) throw notAllowed("every client", "client=NAME");
}

/** A console that does not reach every client reaches runs of a job only as far as they are of the job's client. */
export function ownClient(
  { acl, config }: CommandContext,
  limits: { client?: string; jobName?: string },
): { client?: string } {
  const client = config.jobs.get(limits.jobName ?? "")?.client;
  return limits.client !== undefined || client === undefined || acl.grantsAll("client") ? {} : { client };
}

function requireClient(context: CommandContext, client: string): void {
  if (!context.acl.allowsClient(client)) context.require("client", client, "Client");
}

function notAllowed(what: string, hint: string): BackupError {
  const message = `this console's ACL does not grant ${what}; limit the command with ${hint}`;
  return new BackupError("NOT_ALLOWED", message);
}
